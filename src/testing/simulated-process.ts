/**
 * A simulated process: pawl on a clock and a store that die with it. After `kill` nothing of it happens any more: its
 * timers do not fire, its store does not answer, its agents are not heard. Several may share a store; each hears when
 * another one has written.
 */
import type { Clock } from "../clock.ts";
import type { PawlError } from "../errors.ts";
import { openOn } from "../open.ts";
import type { BreakerOption, Duration, HealthOptions, LimitsOptions, Log, NoticeReceiver, Pawl, ProcessFacts, Schedule, Startable } from "../index.ts";
import type { Amendment, Commit, Outcome, ScheduleChange, Store } from "../store/store.ts";
import type { MemoryStore } from "../store/memory.ts";
import { seededRandom } from "./seeded-random.ts";
import type { StepClock } from "./step-clock.ts";

/**
 * What happens to one group of commits, which a process writes at once, also with a schedule. The process dies before it is written, or after
 * and before anything follows from it; the store does not say whether it was written, and it was, or was not; or the
 * disk is full.
 */
export type Fault = "crashBefore" | "crashAfter" | "unknownApplied" | "unknownLost" | "full";

export interface ProcessOptions {
  readonly clock: StepClock;
  readonly store: MemoryStore;
  readonly seed: number;
  readonly workflows: readonly Startable[];
  readonly schedules?: readonly Schedule[];
  /** Where lines go, instead. */
  readonly log?: Log;
  /** Hears what machines log. */
  readonly logged?: (message: string) => void;
  readonly maxConcurrentAttempts?: number;
  readonly maxActiveRuns?: number;
  readonly limits?: LimitsOptions;
  readonly breaker?: BreakerOption;
  readonly timeoutMultiplier?: number;
  /** Who is told what happens to runs, and after how long without a commit that they stall. */
  readonly notify?: NoticeReceiver;
  readonly stallAfter?: Duration;
  /** How health is looked at, and what the process says of itself. */
  readonly health?: HealthOptions;
  readonly facts?: ProcessFacts;
  /** `false`: a process that executes nothing. Default true. */
  readonly execute?: boolean;
  /** What happens to the n-th group of commits of this process, counted from 1; one may be a schedule without any. */
  readonly fault?: (group: number, commits: readonly Commit[]) => Fault | undefined;
  /** Sees each group that was applied. */
  readonly onApplied?: (group: readonly Commit[], outcomes: readonly Outcome[]) => void | Promise<void>;
  /** Stands between pawl and the store, whose faults it sees: for planted bugs. */
  readonly wrap?: (store: Store) => Store;
}

/** The processes that share a store. */
const sharing = new WeakMap<MemoryStore, Set<SimProcess>>();
/** What changes nothing that others could see. */
const READS = /^(read|list|is|has|due|ready|inbox|first|ended|walk|definitionsOf)/;

export class SimProcess {
  readonly #options: ProcessOptions;
  isAlive = true;
  /** Since it was stopped, as by SIGSTOP: what waits until it goes on. */
  #whenGoesOn: PromiseWithResolvers<void> | undefined;
  /** What was due meanwhile, in order. */
  #held: (() => void)[] = [];
  readonly #epochs: number[] = [];
  readonly #listeners = new Set<() => void>();
  #isToldSoon = false;
  groups = 0;
  /** Groups that were applied. */
  commits = 0;
  fatal: PawlError | undefined;
  pawl!: Pawl;

  constructor(options: ProcessOptions) {
    this.#options = options;
  }

  /** Opens pawl in this process. */
  async boot(): Promise<void> {
    const store = this.#storeView();
    const processes = sharing.get(this.#options.store) ?? new Set();
    sharing.set(this.#options.store, processes.add(this));
    const logged = (data: object, message = ""): void => ("actor" in data ? this.#options.logged?.(message) : undefined);
    const silent = { debug() {}, info: logged, warn() {}, error() {} };
    const attempts = { log: this.#options.log ?? silent, environment: () => undefined, timeoutMultiplier: this.#options.timeoutMultiplier };
    const onFatal = (error: PawlError): void => {
      this.fatal = error;
    };
    const { seed, stallAfter, health, facts } = this.#options;
    this.pawl = await openOn(
      store,
      { store, clock: this.clock, random: seededRandom(seed), attempts, onFatal, notify: this.#notify, stallAfter, health, facts },
      {
        workflows: this.#options.workflows,
        ...(this.#options.schedules !== undefined && { schedules: this.#options.schedules }),
        ...(this.#options.execute !== undefined && { execute: this.#options.execute }),
        ...(this.#options.breaker !== undefined && { breaker: this.#options.breaker }),
        ...(this.#options.limits !== undefined && { limits: this.#options.limits }),
        ...(this.#options.maxActiveRuns !== undefined && { maxActiveRuns: this.#options.maxActiveRuns }),
        ...(this.#options.maxConcurrentAttempts !== undefined && { maxConcurrentAttempts: this.#options.maxConcurrentAttempts }),
      },
    );
  }

  /** Nobody hears what a dead process says. */
  get #notify(): NoticeReceiver | undefined {
    const { notify } = this.#options;
    return notify && ((notice) => (this.isAlive ? notify(notice) : undefined));
  }

  /** Its own view of time. */
  get clock(): Clock {
    const { clock } = this.#options;
    const ifAlive = (callback: () => void) => () => {
      if (this.#whenGoesOn !== undefined) this.#held.push(ifAlive(callback));
      else if (this.isAlive) callback();
    };
    return {
      now: () => clock.now(),
      mono: () => clock.mono(),
      after: (delayMs, callback) => clock.after(delayMs, ifAlive(callback)),
      soon: (callback) => clock.soon(ifAlive(callback)),
    };
  }

  kill(): void {
    this.isAlive = false;
    this.#leave();
    for (const epoch of this.#epochs) this.#options.store.abandon(epoch);
  }

  /** Nothing of it happens until it goes on; to others it is still there. */
  stop(): void {
    this.#whenGoesOn ??= Promise.withResolvers<void>();
  }

  goOn(): void {
    this.#whenGoesOn?.resolve();
    this.#whenGoesOn = undefined;
    const held = this.#held;
    this.#held = [];
    const next = (): void => {
      const callback = held.shift();
      if (callback === undefined) return;
      callback();
      this.#options.clock.soon(next);
    };
    next();
  }

  get isStopped(): boolean {
    return this.#whenGoesOn !== undefined;
  }

  #leave(): void {
    sharing.get(this.#options.store)?.delete(this);
  }

  #storeView(): Store {
    const { store, wrap } = this.#options;
    const faulty = new Proxy(store, {
      get: (inner, method: keyof Store) => {
        if (method === "commit") return (...given: Parameters<Store["commit"]>) => this.#whileAlive(() => this.#commit(inner, ...given));
        if (method === "writeSchedule") return (change: ScheduleChange) => this.#whileAlive(() => this.#writeSchedule(inner, change));
        if (method === "watch") return (listener: () => void) => this.#watch(listener);
        if (method === "close") return () => this.#close(inner);
        const call = inner[method] as (...values: unknown[]) => Promise<unknown>;
        return (...values: unknown[]) =>
          this.#whileAlive(async () => {
            const answer = await call.apply(inner, values);
            if (method === "openEpoch") this.#epochs.push(answer as number);
            if (!READS.test(method) && !isNothing(method, answer)) this.#tellOthers();
            return answer;
          });
      },
    });
    return wrap?.(faulty) ?? faulty;
  }

  async #close(store: MemoryStore): Promise<void> {
    this.#leave();
    for (const epoch of this.#epochs) await store.closeEpoch(epoch);
    this.#tellOthers();
  }

  #watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tellOthers(): void {
    for (const process of sharing.get(this.#options.store) ?? []) if (process !== this) process.#isTold();
  }

  /** Several writes may be told at once. */
  #isTold(): void {
    if (this.#isToldSoon || this.#listeners.size === 0) return;
    this.#isToldSoon = true;
    this.clock.soon(() => {
      this.#isToldSoon = false;
      for (const listener of this.#listeners) listener();
    });
  }

  /** A dead process waits for its store for ever. */
  async #whileAlive<T>(call: () => Promise<T>): Promise<T> {
    if (this.#whenGoesOn !== undefined) await this.#whenGoesOn.promise;
    if (!this.isAlive) return new Promise<T>(() => {});
    const answer = await call();
    if (this.#whenGoesOn !== undefined) await this.#whenGoesOn.promise;
    return this.isAlive ? answer : new Promise<T>(() => {});
  }

  #commit(inner: Store, group: readonly Commit[], amendments?: readonly Amendment[]): Promise<Outcome[]> {
    const all = (outcome: Outcome): Outcome[] => group.map(() => outcome);
    return this.#write(group, all, async () => {
      const outcomes = await inner.commit(group, amendments);
      this.commits++;
      this.#tellOthers();
      const applied = this.#options.onApplied?.(group, outcomes);
      if (applied !== undefined) await applied;
      return outcomes;
    });
  }

  async #writeSchedule(inner: Store, change: ScheduleChange): Promise<Outcome> {
    const all = (outcome: Outcome): Outcome => outcome;
    return this.#write(change.runs ?? [], all, async () => {
      const outcome = await inner.writeSchedule(change);
      if (outcome === "committed") this.#tellOthers();
      return outcome;
    });
  }

  async #write<Answer>(group: readonly Commit[], all: (outcome: Outcome) => Answer, apply: () => Promise<Answer>): Promise<Answer> {
    this.groups++;
    const fault = this.#options.fault?.(this.groups, group);
    if (this.#whenGoesOn !== undefined) await this.#whenGoesOn.promise;
    if (!this.isAlive) return new Promise<Answer>(() => {});
    if (fault === "crashBefore") this.kill();
    if (fault === "full") return all("full");
    if (fault === "unknownLost") return all("unknown");
    if (!this.isAlive) return new Promise<Answer>(() => {});
    const answer = await apply();
    if (fault === "crashAfter") this.kill();
    if (!this.isAlive) return new Promise<Answer>(() => {});
    return fault === "unknownApplied" ? all("unknown") : answer;
  }
}

/** Did this call, by its answer, find nothing to do? */
function isNothing(method: keyof Store, answer: unknown): boolean {
  return answer === 0 || answer === false || (method === "claimRun" && answer === undefined) || (Array.isArray(answer) && answer.length === 0);
}

/** The store with some of its methods replaced. */
export function replacing(store: Store, methods: Partial<Store>): Store {
  return new Proxy(store, { get: (inner, key: keyof Store) => methods[key] ?? inner[key] });
}
