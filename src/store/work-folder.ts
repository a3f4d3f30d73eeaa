/**
 * A folder beside a file's place, for what is not finished. It is removed at the end; when a process died in between,
 * the next one that works in the same place removes it.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { sqliteCode } from "./open-database.ts";
import { takeLock } from "./side-locks.ts";

const PREFIX = ".pawl-work-";
const LOCK = "lock";

/** Does the work with a folder on the same file system as this place, which only its owner can read. */
export async function inWorkFolder<T>(place: string, work: (folder: string) => Promise<T>): Promise<T> {
  const around = dirname(place);
  mkdirSync(around, { recursive: true, mode: 0o700 });
  removeLeftovers(around);
  const folder = mkdtempSync(join(around, PREFIX));
  let lock: DatabaseSync | undefined;
  try {
    lock = takeLock(join(folder, LOCK));
    return await work(folder);
  } finally {
    lock?.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The kernel lets go of a lock when its process dies, however that is. */
function removeLeftovers(around: string): void {
  for (const name of readdirSync(around)) {
    if (!name.startsWith(PREFIX)) continue;
    const folder = join(around, name);
    try {
      takeLock(join(folder, LOCK)).close();
      rmSync(folder, { recursive: true, force: true });
    } catch (error) {
      if (sqliteCode(error) === undefined) throw error;
    }
  }
}
