/**
 * A backup becomes a store again. It is checked before anything is touched, and the store that was there is kept.
 */
import { existsSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "../clock.ts";
import { PawlError } from "../errors.ts";
import { decompressFile, isCompressed } from "./compress-file.ts";
import { asCopyError, copyStore } from "./copy-store.ts";
import { replaceStore } from "./replace-store.ts";
import { inWorkFolder } from "./work-folder.ts";

export interface RestoreOptions {
  /** Take the place of a store that is there; it is kept under another name. Default false. */
  readonly force?: boolean;
}

/** A store that was restored. */
export interface Restored {
  readonly path: string;
  readonly runs: number;
  /** When its newest commit was made, in ms since 1970; null when it holds no run. */
  readonly commitAt: number | null;
  /** Where the store is that was there before: `<path>.before-restore-<number>`; undefined when there was none. */
  readonly kept: string | undefined;
}

/** More commits than a store takes in a ms: one that is restored later begins further on than any other can have come. */
const CHANGES_PER_MS = 1_000;

/** See `restoreStore`. */
export async function restoreBackup(backup: string, path: string, options: RestoreOptions): Promise<Restored> {
  if (!existsSync(backup) || !statSync(backup).isFile()) throw new PawlError("PAWL_STORE_UNREADABLE", { message: "there is no such backup", at: backup });
  requireFree(path, options);
  const place = existsSync(path) ? realpathSync(path) : path;
  try {
    return await inWorkFolder(place, async (folder) => {
      const file = join(folder, "new");
      const facts = await copyStore(await plain(backup, folder), file);
      leapAhead(file);
      requireFree(path, options);
      return { path, ...facts, kept: await replaceStore(file, place, folder) };
    });
  } catch (error) {
    throw asCopyError(error);
  }
}

/** Who has read the changes of the store that was there before finds all that the restored one adds behind where they are. */
function leapAhead(file: string): void {
  const database = new DatabaseSync(file);
  try {
    const hasSequence = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'sequence'").get() !== undefined;
    if (hasSequence) database.prepare("UPDATE sequence SET last = max(last, ?)").run(systemClock.now() * CHANGES_PER_MS);
  } finally {
    database.close();
  }
}

function requireFree(path: string, { force }: RestoreOptions): void {
  if (force !== true && existsSync(path))
    throw new PawlError("PAWL_FILE_EXISTS", {
      message: "there is a store already",
      next: "replace it with `force` (`--force`); it is kept under another name",
      at: path,
    });
}

async function plain(backup: string, folder: string): Promise<string> {
  // A store that is in use is opened by SQLite only: closing any other handle of it would drop locks of this process.
  if (existsSync(`${backup}-wal`) || !isCompressed(backup)) return backup;
  const file = join(folder, "decompressed");
  await decompressFile(backup, file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOSPC") throw error;
    throw new PawlError("PAWL_BACKUP_DAMAGED", { message: "the compressed backup is damaged or cut short", cause: error });
  });
  return file;
}
