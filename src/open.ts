/**
 * `open`: pawl on this machine's clock, randomness and environment, over a file or in memory.
 */
import { systemClock } from "./clock.ts";
import type { Log } from "./define/agent.ts";
import type { BreakerOption } from "./define/breaker.ts";
import type { LimitsOptions } from "./define/limits.ts";
import type { Duration } from "./define/duration.ts";
import { environmentVariable } from "./environment.ts";
import { PawlError } from "./errors.ts";
import { systemRandom } from "./random.ts";
import { Health, type HealthOptions } from "./run/health.ts";
import { IsolatedThreads } from "./run/isolated.ts";
import { Notices, checkNotify } from "./run/notices.ts";
import type { RetentionPolicy } from "./run/retention.ts";
import type { Rollout } from "./run/rollout.ts";
import type { Schedule } from "./run/schedule.ts";
import type { Startable } from "./run/startable.ts";
import { Pawl } from "./run/pawl.ts";
import type { Seams } from "./run/seams.ts";
import type { NoticeReceiver, Webhook } from "./run/webhook.ts";
import { Worker } from "./run/worker.ts";
import { MemoryStore } from "./store/memory.ts";
import { openSqliteStore } from "./store/sqlite.ts";
import type { Store } from "./store/store.ts";
import { noFacts, systemFacts } from "./process-facts.ts";
import { CountingMeter } from "./watch/meter.ts";
import { ownChecks } from "./watch/own-checks.ts";

/** How pawl is opened. */
export interface OpenOptions {
  /** Workflows and machines whose unfinished runs go on at once. `start` of another makes it known, too. */
  readonly workflows?: readonly (Startable | Rollout)[];
  /** What is started at certain times; see `schedule()`. Their workflows need not be named among `workflows`. */
  readonly schedules?: readonly Schedule[];
  /**
   * `false` runs nothing: for web servers and commands beside a worker on the same file. They look, start runs, send
   * events and so on; the workers do it. Default true.
   */
  readonly execute?: boolean;
  /** How long another worker on the same file may be silent before this one takes its runs, in ms. Default 15,000. */
  readonly leaseMs?: number;
  /** How long ended runs are kept, by how they ended: `{ completed: '30d' }`. Those that are not named are kept for ever. */
  readonly retention?: RetentionPolicy;
  /**
   * Who is told that a run failed, timed out, was set aside, could not be undone or stalls; that an attempt, stage or run takes
   * longer than its `warnAfter`; that a stage timed out; that health changed; that a circuit breaker opened or closed: a function, or an address to which each notice is posted, signed (`verifyNotice` checks it). Each notice comes at least once, those of a
   * run in order, again under the same `id` when it was not taken, for 3 days. Give it to each worker of a store: only what
   * such workers commit is noticed, and one of them delivers. Default: nobody.
   */
  readonly notify?: NoticeReceiver | Webhook;
  /** How long a run that has work to do may commit nothing until a notice says that it stalls. Default: none says so. */
  readonly stallAfter?: Duration;
  /**
   * Checks of what the work depends on, beside those of the process itself, and how often all are asked. `notify` is told when
   * the worst of them gets worse, and when it recovers.
   */
  readonly health?: HealthOptions;
  /**
   * Multiplies the timeouts and warnings of attempts, stages and runs: for a slow machine, or one under test. How long events
   * are awaited stays as it is. Default 1.
   */
  readonly timeoutMultiplier?: number;
  /** Attempts that run at the same time. Default 100. */
  readonly maxConcurrentAttempts?: number;
  /**
   * Runs that are worked on at the same time, in this process; those beyond are `pending`, and begin as others end or have only
   * to wait: for an event, a timer, a limit, or runs of their own. The `priority` of a run says which is first, also of those
   * that no worker has yet, and each minute of waiting counts as one more. Runs of machines begin at once: they wait with the
   * attempts that they ask for. Default 100, or as many as `maxConcurrentAttempts` when that is more.
   */
  readonly maxActiveRuns?: number;
  /**
   * How much of what agents use may be used, by all runs and workers of the store together: `{ llmTokens: { max: 100_000,
   * per: '60s' }, dbConnections: { max: 50 } }`. An agent says by `uses` what its attempts use. Give the same to each worker.
   */
  readonly limits?: LimitsOptions;
  /**
   * The circuit breaker of all agents that have none of their own, nor by their workflow: `true` for one per agent; see
   * `agent()`. Default: none.
   */
  readonly breaker?: BreakerOption;
  /** Where lines go; anything with pino's methods. Default: nowhere. */
  readonly log?: Log;
  /** Called once when the store fails and nothing can go on. Default: an uncaught error. */
  readonly onFatal?: (error: PawlError) => void;
}

const MULTIPLIER_MAX = 1_000;

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/**
 * Opens a store and goes on with what is unfinished in it. `url` is the path of an SQLite file, made if it is not
 * there, or `':memory:'`. Any number of processes may open the same file: they share its runs, and take over those of one
 * that died.
 *
 * @example
 * ```ts
 * await using pawl = await open('pawl.db', { workflows: [research] });
 * const run = await pawl.start(research, { id: 'r-42', input: { topic: 'ratchets' } });
 * console.log(await run.result());
 * ```
 * @throws PAWL_STORE_FOREIGN, PAWL_STORE_NEWER, PAWL_STORE_UNREADABLE, PAWL_SQLITE_TOO_OLD, PAWL_INVALID_VALUE (a schedule's
 * expression), PAWL_INPUT_INVALID (its input), PAWL_DUPLICATE_ID (its name), PAWL_UNKNOWN_LIMIT (an agent uses what `limits` does
 * not name), PAWL_BREAKER_CONFLICT, PAWL_INVALID_ID (the name of a limit or breaker)
 */
export async function open(url: string, options: OpenOptions = {}): Promise<Pawl> {
  const execute = options.execute ?? true;
  const timeoutMultiplier = checkedMultiplier(options.timeoutMultiplier);
  const store = url === ":memory:" ? new MemoryStore() : openSqliteStore(url, { mustExist: !execute });
  const seams: Seams = {
    store,
    clock: systemClock,
    random: systemRandom,
    attempts: { log: options.log ?? silent, environment: environmentVariable, timeoutMultiplier },
    pid: process.pid,
    facts: systemFacts(url, execute),
    leaseMs: options.leaseMs,
    retention: options.retention,
    notify: options.notify,
    stallAfter: options.stallAfter,
    health: options.health,
    onFatal: options.onFatal ?? throwUncaught,
  };
  return openOn(store, seams, { ...options, execute });
}

/** Throws PAWL_INVALID_VALUE. */
function checkedMultiplier(factor = 1): number {
  if (Number.isFinite(factor) && factor > 0 && factor <= MULTIPLIER_MAX) return factor;
  throw new PawlError("PAWL_INVALID_VALUE", {
    message: `timeoutMultiplier is ${factor}, but must be a number above 0, at most ${MULTIPLIER_MAX}`,
    at: "open()",
  });
}

/** Opens pawl on given seams: what `open` does, and the simulator. */
export async function openOn(
  store: Store,
  seams: Seams,
  options: Pick<OpenOptions, "workflows" | "schedules" | "execute" | "maxConcurrentAttempts" | "maxActiveRuns" | "limits" | "breaker">,
): Promise<Pawl> {
  let pawl: Pawl | undefined;
  try {
    const { notify, stallAfter, facts = noFacts } = seams;
    checkNotify(options.execute !== false, notify, stallAfter);
    const { clock, attempts } = seams;
    const meter = new CountingMeter(facts);
    const more = { mono: () => clock.mono(), takeSlowestCommitMs: () => meter.takeSlowestCommitMs() };
    const health = new Health({ clock, log: attempts.log }, seams.health ?? {}, (sources) => ownChecks(facts, more, sources));
    const notices = notify === undefined ? undefined : new Notices(store, { clock, log: attempts.log, meter, health }, { notify, stallAfter });
    const own = { ...seams, facts, store: notices?.store ?? store, attempts: { ...attempts, threads: new IsolatedThreads(clock), meter, health } };
    const worker = options.execute === false ? undefined : new Worker(own, options);
    pawl = new Pawl(own, worker, notices);
    await pawl.begin(options.workflows ?? [], options.schedules);
    return pawl;
  } catch (error) {
    await pawl?.close({ graceMs: 0 }).catch(() => {});
    seams.facts?.stop();
    await store.close();
    throw error;
  }
}

function throwUncaught(error: PawlError): void {
  queueMicrotask(() => {
    throw error;
  });
}
