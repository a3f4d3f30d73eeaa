/**
 * The store on one SQLite file. Commits run on the caller's thread: a thread of its own was no faster, and with an
 * fsync of 5 ms the loop still stalls far below 100 ms (test/bench/disk.ts measures both).
 * 1. Writes are done in the order in which they were asked, also when the file is busy. Reads do not wait for them.
 * 2. After `close` every call rejects with PAWL_CLOSED, and so does one that still waits for the file: it was not done.
 */
import { systemClock } from "../clock.ts";
import { isPawlError } from "../errors.ts";
import type { FileOptions } from "./open-database.ts";
import type { Amendment } from "./shared-record.ts";
import { SqliteConnection } from "./sqlite-connection.ts";
import { sqliteFile } from "./sqlite-file.ts";
import { LeftRowsError } from "./sqlite-prune.ts";
import type { Commit, Outcome, ScheduleChange, Store } from "./store.ts";
import { TurnPosts } from "./turn-posts.ts";
import { WaitingLine } from "./waiting-line.ts";
import { Watcher } from "./watcher.ts";

/** A process that is stopped amid a write holds the file for as long as it is: others wait. Who closes waits no longer than this. */
const CLOSE_WAIT_MS = 2_000;

/** Longer than others wait until they ask again for the file. */
const SWEEP_GAP_MS = 5;

/** What changes nothing: another process that writes does not hold it up. */
const READS: ReadonlySet<string> = new Set<keyof Store>([
  ...(["readEpochs", "isAbandoned", "hasUnowned", "readRun", "readActors", "readActorRange", "readPast", "firstPast", "pastCommits", "readHistory"] as const),
  ...(["listRuns", "endedStatuses", "dueRuns", "readyRuns", "walkSleepers", "readInbox", "inboxRuns", "inboxSince", "readReplies"] as const),
  ...(["readEvent", "readDefinition", "definitionsOf", "countEnded", "readSchedules"] as const),
  ...(["readChanges", "readLastChange", "readNotices", "readShared", "readSharedSince"] as const),
]);

/** Opens a file as a store; creates it unless it must exist. Throws PAWL_STORE_FOREIGN, _NEWER, _UNREADABLE. */
export function openSqliteStore(path: string, options: FileOptions): Store {
  const connection = new SqliteConnection(path, options);
  const { sweepRun, postAll, ...calls } = sqliteFile(connection);
  const watcher = new Watcher(() => connection.dataVersion());
  const [reads, writes] = [new WaitingLine(), new WaitingLine()];
  const posts = new TurnPosts((together) => writes.run(() => postAll(together)));
  let closed: Promise<void> | undefined;

  const write = <T>(call: () => T): Promise<T> => {
    posts.flush();
    return writes.run(call);
  };
  const close = async (): Promise<void> => {
    watcher.stop();
    posts.flush();
    for (const line of [reads, writes]) line.close();
    await within(CLOSE_WAIT_MS, (line) => connection.locks.epochs.map((epoch) => line.run(() => calls.closeEpoch(epoch))));
    connection.close();
  };
  const sweepAll = async (runId: string): Promise<void> => {
    while (!(await write(() => sweepRun(runId)))) await pause(SWEEP_GAP_MS);
  };
  /** What a discarded run of the same id left is deleted first, a little at a time, however much it is. */
  const creating = async <Answer>(call: () => Answer, full: Answer): Promise<Answer> => {
    try {
      return await write(call);
    } catch (error) {
      if (!(error instanceof LeftRowsError)) throw error;
      return (await sweepAll(error.runId).catch(fullOrThrow)) === undefined ? creating(call, full) : full;
    }
  };
  const commit = (group: readonly Commit[], amendments?: readonly Amendment[]): Promise<Outcome[]> =>
    creating(
      () => calls.commit(group, amendments),
      group.map(() => "full"),
    );
  const writeSchedule = (change: ScheduleChange): Promise<Outcome> => creating(() => calls.writeSchedule(change), "full");

  const store: Record<string, unknown> = {};
  for (const [name, call] of Object.entries(calls) as [string, (...given: unknown[]) => unknown][]) {
    const isRead = READS.has(name);
    store[name] = (...given: unknown[]) => (isRead ? reads.run(() => call(...given)) : write(() => call(...given)));
  }
  const own: Partial<Store> = {
    commit,
    writeSchedule,
    post: (post, limit) => posts.add({ ...post, limit }),
    watch: (listener) => watcher.watch(listener),
    inboxSince: async (number, limit) => {
      const found = await reads.run(() => calls.inboxSince(number, limit));
      if (found.runIds.length > 0) watcher.hurry();
      return found;
    },
    readReplies: (numbers) => {
      watcher.hurry();
      return reads.run(() => calls.readReplies(numbers));
    },
    close: () => (closed ??= close()),
  };
  return Object.assign(store, own) as unknown as Store;
}

function fullOrThrow(error: unknown): "full" {
  if (isPawlError(error, "PAWL_STORE_FULL")) return "full";
  throw error;
}

async function pause(ms: number): Promise<void> {
  return new Promise((resolve) => systemClock.after(ms, resolve));
}

/** Waits for calls on a busy file no longer than this. */
async function within(waitMs: number, callsOn: (line: WaitingLine) => Promise<unknown>[]): Promise<void> {
  const line = new WaitingLine();
  const cancel = systemClock.after(waitMs, () => line.close());
  await Promise.allSettled(callsOn(line));
  cancel();
}
