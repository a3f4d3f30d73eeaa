/**
 * `pawl restore`: a backup becomes the store again; the store that was there is kept.
 */
import { restoreStore } from "../index.ts";
import { newestText } from "./backup.ts";
import { EXIT } from "./exit-code.ts";
import { toJson } from "./json.ts";
import { storePath } from "./stored.ts";
import { count } from "./text.ts";

export interface RestoreVerbOptions {
  readonly force?: true;
  readonly store?: string;
  readonly json?: true;
}

export async function restore(file: string, options: RestoreVerbOptions): Promise<number> {
  const { path, runs, commitAt, kept } = await restoreStore(file, storePath(options.store), { force: options.force === true });
  if (options.json) process.stdout.write(`${toJson({ path, runs, commitAt, kept: kept ?? null })}\n`);
  else {
    process.stdout.write(`${path}: ${count(runs, "run")}, ${newestText(commitAt)}; checked and restored\n`);
    if (kept !== undefined) process.stderr.write(`the store that was there is kept as ${kept}\n`);
  }
  return EXIT.completed;
}
