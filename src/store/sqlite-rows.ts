/**
 * Rows of runs and actors as SQL names them, and how the parts of the SQLite store are typed.
 */
import type { RunRecord, Store } from "./store.ts";

/** Methods of a store as they are here: answered at once. */
export type Calls<Method extends keyof Store> = { readonly [M in Method]: (...given: Parameters<Store[M]>) => Awaited<ReturnType<Store[M]>> };

export const RUN_COLUMNS = `id, workflow, definition, status, body, checksum, wake_at AS wakeAt, created_at AS createdAt, updated_at AS updatedAt,
  commit_no AS commitNo, epoch, suspicion, reason, subject, tags, origin`;
export const ACTOR_COLUMNS = "key, commit_no AS commitNo, status, body, output, checksum";

/** Partial indexes serve only who repeats their conditions to the letter. */
export const READY = "finished = 0 AND wake_at IS NULL";
export const WAITING = "finished = 0 AND wake_at IS NOT NULL";

export type RunRow = Omit<RunRecord, "tags"> & { readonly tags: string };

const NO_TAGS: readonly string[] = [];

export function runOf(row: RunRow): RunRecord {
  return { ...row, tags: row.tags === "[]" ? NO_TAGS : (JSON.parse(row.tags) as string[]) };
}
