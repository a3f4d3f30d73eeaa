/**
 * The doctor of a store's file, on this machine's clock: the file, and what it holds. What does it is loaded when it is
 * first asked for.
 */
import { systemClock } from "./clock.ts";
import type { Finding } from "./errors.ts";
import { openSqliteStore } from "./store/sqlite.ts";
import type { Store } from "./store/store.ts";

export interface ExamineOptions {
  /** Also what takes long: each index, and the rows of every run. Default false. */
  readonly full?: boolean;
  /** Also put in order what can be, without a decision: it is said line by line. Default false. */
  readonly fix?: boolean;
}

/**
 * Examines a store's file and what it holds, whether it is in use or not, or damaged. Changes nothing, unless it is told
 * to fix what can be.
 *
 * @example
 * ```ts
 * const findings = await examineStore('pawl.db');
 * const problems = findings.filter(({ severity }) => severity === 'problem');
 * ```
 */
export async function examineStore(path: string, { full = false, fix = false }: ExamineOptions = {}): Promise<Finding[]> {
  const [{ examineRuns }, { repair }, { examineFile }] = await Promise.all([
    import("./run/examine-runs.ts"),
    import("./run/repair.ts"),
    import("./store/examine-file.ts"),
  ]);
  const { findings, isUsable } = examineFile(path, { isFull: full });
  if (!isUsable) return [...findings];
  try {
    return await withStore(path, async (store) => {
      const more = await examineRuns(store, systemClock, { isFull: full });
      if (fix) await repair(store, systemClock, (message) => more.push({ severity: "ok", code: "fixed", message, next: null }));
      return [...findings, ...more];
    });
  } catch (error) {
    const { message, next = null } = error as Error & { next?: string };
    return [...findings, { severity: "problem", code: "store", message, next }];
  }
}

async function withStore<T>(path: string, work: (store: Store) => Promise<T>): Promise<T> {
  const store = openSqliteStore(path, { mustExist: true });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}
