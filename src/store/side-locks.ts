/**
 * Locks of the kernel on side files, one for each open epoch: held by an open transaction of SQLite's, so that each ends
 * with its process, however that dies. A file that is locked is never opened here by other means: the kernel drops the
 * locks of a process on a file when any of its handles is closed. SQLite knows of that, Node does not.
 */
import { closeSync, openSync, realpathSync, unlinkSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

export class SideLocks {
  readonly #base: string;
  readonly #held = new Map<number, DatabaseSync>();

  /** For a store's file, which is there; by whichever name it is opened, the side files are the same. */
  constructor(path: string) {
    this.#base = `${realpathSync(path)}-worker-`;
  }

  /** Throws SQLite's BUSY when another process has it. */
  take(epoch: number): void {
    this.#held.set(epoch, takeLock(this.#base + epoch));
  }

  holds(epoch: number): boolean {
    return this.#held.has(epoch);
  }

  /** Those that are held here. */
  get epochs(): number[] {
    return [...this.#held.keys()];
  }

  /** Could it be taken, so that whoever held it is dead? Who may not write cannot tell. */
  isFree(epoch: number): boolean {
    if (this.holds(epoch)) return false;
    try {
      takeLock(this.#base + epoch).close();
      return true;
    } catch {
      return false;
    }
  }

  free(epoch: number): void {
    this.#held.get(epoch)?.close();
    this.#held.delete(epoch);
  }

  freeAll(): void {
    for (const epoch of this.epochs) this.free(epoch);
  }

  /**
   * Only when nobody asks for this epoch any more. A file that stays does no harm. Whoever has the lock has a journal,
   * too, which stays when it is killed.
   */
  remove(epoch: number): void {
    for (const suffix of ["", "-journal"]) {
      try {
        unlinkSync(this.#base + epoch + suffix);
      } catch {
        // It is gone already, or belongs to somebody else.
      }
    }
  }
}

/** Throws SQLite's BUSY when it is held. */
export function takeLock(path: string): DatabaseSync {
  createPrivately(path);
  const lock = new DatabaseSync(path);
  try {
    lock.exec("PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    lock.close();
    throw error;
  }
}

/** Its owner's alone, as the store is. Of a file that is there no handle is made. */
function createPrivately(path: string): void {
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch {
    // It is there, or SQLite says why it cannot be.
  }
}
