/**
 * Backups of a store, and the way back. What does it is loaded when it is first asked for.
 */
import type { Backup, BackupOptions } from "./store/backup.ts";
import type { RestoreOptions, Restored } from "./store/restore.ts";

/**
 * Copies the store in the file `path`, as of one instant, into the file `to`; compressed with zstd when that ends in
 * `.zst`. The copy is checked: each page and index, the number of its runs, and that it comes out of the compression.
 *
 * @example
 * ```ts
 * const { bytes, runs } = await backupStore('pawl.db', 'backups/monday.db.zst');
 * ```
 * @throws PAWL_FILE_EXISTS, PAWL_STORE_UNREADABLE, PAWL_STORE_FOREIGN, PAWL_STORE_NEWER, PAWL_STORE_FULL, PAWL_BACKUP_DAMAGED
 */
export async function backupStore(path: string, to: string, options: BackupOptions = {}): Promise<Backup> {
  const { makeBackup } = await import("./store/backup.ts");
  return makeBackup(path, to, options);
}

/**
 * Makes the file `path` the store that this backup holds. Refused while any process has the store open. A process that
 * dies in between leaves the old store or the new one, and can be repeated.
 *
 * @example
 * ```ts
 * const { runs, kept } = await restoreStore('backups/monday.db.zst', 'pawl.db', { force: true });
 * ```
 * @throws PAWL_FILE_EXISTS, PAWL_STORE_LOCKED, PAWL_STORE_UNREADABLE, PAWL_STORE_FOREIGN, PAWL_STORE_NEWER, PAWL_STORE_FULL,
 * PAWL_BACKUP_DAMAGED
 */
export async function restoreStore(backup: string, path: string, options: RestoreOptions = {}): Promise<Restored> {
  const { restoreBackup } = await import("./store/restore.ts");
  return restoreBackup(backup, path, options);
}
