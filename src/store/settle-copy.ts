/**
 * A copy of a store becomes a file of its own: in no journal's debt, of no worker, and checked. In a thread, because
 * SQLite looks at every page and row of it.
 */
import { DatabaseSync } from "node:sqlite";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";

/** What a copy holds. */
export interface CopyFacts {
  readonly runs: number;
  /** When the newest commit was made, in ms since 1970; null when there is none. */
  readonly commitAt: number | null;
}

/** `errcode`: SQLite's code of the error, if it is one of SQLite's. */
type Answer = { readonly facts: CopyFacts } | { readonly problem: string; readonly errcode: number | undefined };

/** SQLite's own code for a damaged file. */
export const SQLITE_CORRUPT = 11;
const MARK = "pawl.settle-copy";

/** The facts of the copy, or what is wrong with it. */
export async function settleCopy(path: string): Promise<Answer> {
  const thread = new Worker(new URL(import.meta.url), { workerData: { [MARK]: path } });
  try {
    return await new Promise<Answer>((resolve, reject) => {
      thread.once("message", resolve).once("error", reject);
      thread.once("exit", () => reject(new Error("the thread ended without an answer")));
    });
  } finally {
    await thread.terminate();
  }
}

function settle(path: string): Answer {
  const database = new DatabaseSync(path);
  try {
    database.exec("PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL");
    const { integrity_check: check } = database.prepare("PRAGMA integrity_check(1)").get() as { integrity_check: string };
    if (check !== "ok") return { problem: check, errcode: SQLITE_CORRUPT };
    database.exec("DELETE FROM epoch");
    return { facts: database.prepare("SELECT count(*) AS runs, max(updated_at) AS commitAt FROM run").get() as unknown as CopyFacts };
  } catch (error) {
    const { message, errcode } = error as Error & { errcode?: number };
    return { problem: message, errcode };
  } finally {
    database.close();
  }
}

const task = (workerData as Record<string, string> | null)?.[MARK];
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
if (!isMainThread && task !== undefined) parentPort!.postMessage(settle(task));
