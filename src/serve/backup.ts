/**
 * `pawl backup`: a checked copy of the store as of this instant, beside any workers.
 */
import { backupStore } from "../index.ts";
import { EXIT } from "./exit-code.ts";
import { toJson } from "./json.ts";
import { storePath } from "./stored.ts";
import { bytesText, count, dateAndTime } from "./text.ts";

export interface BackupVerbOptions {
  readonly force?: true;
  readonly store?: string;
  readonly json?: true;
}

export async function backup(file: string, options: BackupVerbOptions): Promise<number> {
  const made = await backupStore(storePath(options.store), file, { force: options.force === true });
  if (options.json) process.stdout.write(`${toJson(made)}\n`);
  else process.stdout.write(`${made.path}: ${count(made.runs, "run")}, ${bytesText(made.bytes)}, ${newestText(made.commitAt)}; checked\n`);
  return EXIT.completed;
}

/** When the newest commit of a copy was made. */
export function newestText(commitAt: number | null): string {
  return commitAt === null ? "no commit" : `newest commit ${dateAndTime(commitAt)}`;
}
