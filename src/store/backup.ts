/**
 * Backups of a store, taken online: beside running workers, checked before they count, and never half a file.
 */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { PawlError } from "../errors.ts";
import { compressFile } from "./compress-file.ts";
import { type CopyProgress, asCopyError, copyStore } from "./copy-store.ts";
import { putInPlace } from "./durable-file.ts";
import { inWorkFolder } from "./work-folder.ts";

export interface BackupOptions {
  /** Take the place of a file that is there. Default false. */
  readonly force?: boolean;
  readonly onProgress?: CopyProgress;
}

/** A backup that was made and checked. */
export interface Backup {
  readonly path: string;
  readonly bytes: number;
  readonly runs: number;
  /** When its newest commit was made, in ms since 1970; null when it holds no run. */
  readonly commitAt: number | null;
}

/** See `backupStore`. */
export async function makeBackup(path: string, to: string, options: BackupOptions): Promise<Backup> {
  requireFree(path, to, options.force === true);
  try {
    return await inWorkFolder(to, async (folder) => {
      const copy = join(folder, "copy");
      const facts = await copyStore(path, copy, options.onProgress);
      const file = to.endsWith(".zst") ? await compressed(copy, join(folder, "compressed")) : copy;
      const { size: bytes } = statSync(file);
      requireFree(path, to, options.force === true);
      putInPlace(file, to);
      return { path: to, bytes, ...facts };
    });
  } catch (error) {
    throw asCopyError(error);
  }
}

/** A store with a log beside it is one that somebody uses: under another file the log would be applied to that. */
function requireFree(path: string, to: string, isForced: boolean): void {
  if (!existsSync(to)) return;
  if (!isForced) throw new PawlError("PAWL_FILE_EXISTS", { at: to });
  if (isSameFile(path, to) || existsSync(`${to}-wal`))
    throw new PawlError("PAWL_FILE_EXISTS", { message: "the file is a store that is in use", next: "choose another name", at: to });
}

function isSameFile(one: string, other: string): boolean {
  if (!existsSync(one)) return false;
  const [a, b] = [statSync(one), statSync(other)];
  return a.ino === b.ino && a.dev === b.dev;
}

async function compressed(from: string, to: string): Promise<string> {
  if (await compressFile(from, to)) return to;
  throw new PawlError("PAWL_BACKUP_DAMAGED", { message: "the compressed copy does not come out as it went in" });
}
