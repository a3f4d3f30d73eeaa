/**
 * `open`: pawl on this machine's clock, randomness and environment, over a file or in memory.
 */
import { systemClock } from "./clock.ts";
import type { Log } from "./define/agent.ts";
import { environmentVariable } from "./environment.ts";
import type { PawlError } from "./errors.ts";
import { systemRandom } from "./random.ts";
import type { Startable } from "./run/startable.ts";
import { Pawl } from "./run/pawl.ts";
import { type Seams, Worker } from "./run/worker.ts";
import { MemoryStore } from "./store/memory.ts";
import { openSqliteStore } from "./store/sqlite.ts";
import type { Store } from "./store/store.ts";

/** How pawl is opened. */
export interface OpenOptions {
  /** Workflows and machines whose unfinished runs go on at once. `start` of another makes it known, too. */
  readonly workflows?: readonly Startable[];
  /** `false` looks only: takes no lock, runs nothing, beside any worker. Default true. */
  readonly execute?: boolean;
  /** Attempts that run at the same time. Default 100. */
  readonly maxConcurrentAttempts?: number;
  /** Where lines go; anything with pino's methods. Default: nowhere. */
  readonly log?: Log;
  /** Called once when the store fails and nothing can go on. Default: an uncaught error. */
  readonly onFatal?: (error: PawlError) => void;
}

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/**
 * Opens a store and goes on with what is unfinished in it. `url` is the path of an SQLite file, made if it is not
 * there, or `':memory:'`.
 *
 * @example
 * ```ts
 * await using pawl = await open('pawl.db', { workflows: [research] });
 * const run = await pawl.start(research, { id: 'r-42', input: { topic: 'ratchets' } });
 * console.log(await run.result());
 * ```
 * @throws PAWL_STORE_LOCKED, PAWL_STORE_FOREIGN, PAWL_STORE_NEWER, PAWL_STORE_UNREADABLE, PAWL_SQLITE_TOO_OLD
 */
export async function open(url: string, options: OpenOptions = {}): Promise<Pawl> {
  const execute = options.execute ?? true;
  const store = url === ":memory:" ? new MemoryStore() : openSqliteStore(url, { readOnly: !execute });
  const seams: Seams = {
    store,
    clock: systemClock,
    random: systemRandom,
    attempts: { log: options.log ?? silent, environment: environmentVariable },
    onFatal: options.onFatal ?? throwUncaught,
  };
  return openOn(store, seams, { ...options, execute });
}

/** Opens pawl on given seams: what `open` does, and the simulator. */
export async function openOn(store: Store, seams: Seams, options: Pick<OpenOptions, "workflows" | "execute" | "maxConcurrentAttempts">): Promise<Pawl> {
  if (options.execute === false) return new Pawl(seams, undefined);
  const worker = new Worker(seams, options.maxConcurrentAttempts);
  try {
    worker.epoch = await store.openEpoch(seams.clock.now());
    const pawl = new Pawl(seams, worker);
    await pawl.begin(options.workflows ?? []);
    return pawl;
  } catch (error) {
    await store.close();
    throw error;
  }
}

function throwUncaught(error: PawlError): void {
  queueMicrotask(() => {
    throw error;
  });
}
