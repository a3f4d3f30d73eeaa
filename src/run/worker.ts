/**
 * The worker: it turns what happened into commits, and acts when they are durable.
 * 1. One tick: stimuli are applied, permits are granted round robin, what changed is committed as one group.
 * 2. A run has at most one commit in flight; what arrives meanwhile forms its next one.
 * 3. Nothing is called, answered or waited for before the commit that says so is durable.
 * 4. No tick is longer than its budget, whatever the number of runs or nodes.
 */
import type { Clock } from "../clock.ts";
import { PawlError, isPawlError } from "../errors.ts";
import type { Random } from "../random.ts";
import type { Commit, RunFacts, Store } from "../store/store.ts";
import type { AttemptSeams } from "./attempt.ts";
import { isWanted, parentsOf } from "./child-address.ts";
import { Commits, type PendingCommit } from "./commits.ts";
import type { DropCode, HostedRun, RunSeams } from "./hosted-run.ts";
import { IdleRuns } from "./idle-runs.ts";
import { PeerTimes } from "./peer-times.ts";
import { Permits } from "./permits.ts";
import { Protection, type ProtectionOptions } from "./protection.ts";
import { QueueOfOnes } from "./queue.ts";
import type { Seams } from "./seams.ts";
import { Quiet } from "./quiet.ts";
import { SteadyTime } from "./steady-time.ts";
import { type ChangeOptions, type Grant, Turns } from "./turns.ts";
import type { AnyEvent } from "./xstate/actor.ts";
import type { StepServices } from "./xstate/step.ts";

export { CLOCK_TOLERANCE_MS } from "./steady-time.ts";

/** Stimuli and grants of one tick: at some 30 µs each far below the 100 ms that a loop may stall. */
const TICK_BUDGET = 500;

export interface WorkerOptions extends ProtectionOptions, ChangeOptions {}

export class Worker implements RunSeams {
  readonly clock: Clock;
  readonly random: Random;
  readonly attempts: AttemptSeams;
  readonly runs = new Map<string, HostedRun>();
  readonly protection: Protection;
  epoch = 0;
  services: StepServices | undefined;
  readonly #store: Store;
  readonly #onFatal: (error: PawlError) => void;
  readonly permits: Permits;
  readonly #time: SteadyTime;
  readonly peerTimes = new PeerTimes(() => this.steadyNow());
  readonly lagOf = (epoch: number | undefined): number => this.peerTimes.lagOf(epoch);
  readonly #committedListeners = new Set<(run: HostedRun, commit: Commit) => void>();
  readonly #droppedListeners = new Set<(runId: string, error: PawlError) => void>();
  readonly #dirty = new QueueOfOnes<HostedRun>();
  readonly #facts = new WeakMap<HostedRun, RunFacts>();
  readonly turns: Turns;
  readonly #parents = new Set<HostedRun>();
  readonly #idle: IdleRuns;
  readonly #commits: Commits;
  readonly #quiet = new Quiet(() => this.#stopped === undefined && this.#isBusy);
  #ticking = false;
  #stopped: PawlError | undefined;

  constructor(seams: Seams, options: WorkerOptions = {}) {
    this.clock = seams.clock;
    this.random = seams.random;
    this.attempts = seams.attempts;
    this.#store = seams.store;
    this.#onFatal = seams.onFatal;
    this.#time = new SteadyTime(seams.clock);
    this.permits = new Permits(options.maxConcurrentAttempts);
    const latest = (): number => this.latestNow();
    this.#idle = new IdleRuns(seams.clock, latest, (run) => this.#isHosted(run) && this.#passivate(run));
    const [now, epoch, wantsTick] = [(): number => this.steadyNow(), (): number => this.epoch, (): void => this.#wantsTick()];
    this.protection = new Protection(
      { store: seams.store, clock: seams.clock, attempts: seams.attempts, permits: this.permits, now, epoch, wantsTick, notifies: seams.notify !== undefined },
      options,
    );
    this.turns = new Turns(this.permits, this.protection, options.maxActiveRuns);
    this.#commits = new Commits(seams.store, seams.clock, seams.attempts, this.protection.shared, {
      isAboutToWrite: () => this.protection.limits.review(),
      isHosted: (run) => (this.#dropUnwanted(run), this.#isHosted(run)),
      committed: (pending) => this.#committed(pending),
      fenced: (pending) => this.#fenced(pending),
      refused: ({ run }) => this.#drop(run, new PawlError("PAWL_STORE_FULL")),
      failed: (error) => this.#failStop(error),
      rests: () => this.#quiet.note(),
      hasSpace: () => this.#wantsTick(),
    });
  }

  get isFull(): boolean {
    return this.#commits.isFull;
  }

  get stopped(): PawlError | undefined {
    return this.#stopped;
  }

  /** Throws PAWL_INVALID_VALUE. */
  change(options: ChangeOptions): void {
    this.turns.change(options);
    this.#wantsTick();
  }

  /** Runs in memory that only wait for runs of their own. */
  get waitingForChildren(): number {
    return this.#parents.size;
  }

  onCommitted(listener: (run: HostedRun, commit: Commit) => void): void {
    this.#committedListeners.add(listener);
  }

  onDropped(listener: (runId: string, error: PawlError) => void): void {
    this.#droppedListeners.add(listener);
  }

  /** The run was created then, in ms since 1970; `facts` are those of one that is new. */
  host(run: HostedRun, createdAt: number, facts?: RunFacts): void {
    if (this.#stopped !== undefined) throw this.#stopped;
    const parents = parentsOf(run.id).flatMap((id) => this.runs.get(id) ?? []);
    this.turns.places.came(run, createdAt, parents[0]);
    if (facts !== undefined) this.#facts.set(run, facts);
    this.runs.set(run.id, run);
    this.#wantsTick(run);
  }

  get startedAt(): number {
    return this.#time.startedAt;
  }

  steadyNow(): number {
    return this.#time.now();
  }

  wake(run: HostedRun): void {
    if (this.#isHosted(run)) this.#wantsTick(run);
  }

  released(): void {
    this.permits.giveBack();
    if (this.turns.isWaitedFor) this.#wantsTick();
  }

  latestNow(): number {
    return this.#time.latest();
  }

  read<T>(call: (store: Store) => Promise<T>): Promise<T> {
    return this.attempt(() => call(this.#store));
  }

  streamed(...said: Parameters<RunSeams["streamed"]>): void {
    if (this.#stopped === undefined) this.onStreamed?.(...said);
  }

  emitted(run: HostedRun, event: AnyEvent): void {
    if (this.#stopped === undefined) this.onEmitted?.(run.id, event);
  }

  strayed(runId: string, key: string, event: () => string): void {
    if (this.#stopped === undefined && !this.#quiet.isWanted) this.onStrayed?.(runId, key, event);
  }

  wantsInbox(runId: string): void {
    if (this.#stopped === undefined) this.onWantsInbox?.(runId);
  }

  broken(run: HostedRun, error: unknown): void {
    if (this.#stopped !== undefined || !this.#isHosted(run)) return;
    if (isPawlError(error, "PAWL_STORE_FAILED")) return this.#failStop(error);
    this.#forget(run);
    run.drop("PAWL_RUN_QUARANTINED");
    this.quarantine(run.id, error).catch((cause: unknown) => this.attempts.log.error({ runId: run.id, error: cause }, "the run could not be set aside"));
  }

  /** Sets a run aside with its reason; its rows stay as they are. */
  async quarantine(runId: string, error: unknown): Promise<void> {
    const reason = isPawlError(error) ? `${error.code}: ${error.message}` : "its state cannot be used";
    this.attempts.log.error({ runId, reason, error }, "run quarantined");
    try {
      await this.attempt(() => this.#store.quarantine(this.epoch, runId, reason, this.clock.now()));
    } finally {
      for (const listener of this.#droppedListeners) listener(runId, new PawlError("PAWL_RUN_QUARANTINED", { message: reason, cause: error }));
      this.#quiet.note();
    }
  }

  async attempt<T>(call: () => Promise<T>): Promise<T> {
    if (this.#stopped !== undefined) throw this.#stopped;
    try {
      return await call();
    } catch (error) {
      if (isPawlError(error, "PAWL_STORE_FAILED")) this.#failStop(error);
      throw error;
    }
  }

  // ---- ticks

  #wantsTick(run?: HostedRun): void {
    if (run !== undefined) this.#dirty.push(run);
    if (this.#ticking || this.#stopped !== undefined) return;
    this.#ticking = true;
    this.clock.soon(() => this.#tick());
  }

  #tick(): void {
    this.#ticking = false;
    if (this.#stopped !== undefined || this.isFull) return;
    const touched = new Set<HostedRun>();
    let budget = this.#applyStimuli(touched, TICK_BUDGET);
    const grant: Grant = (run, work) => (touched.add(run), this.#contain(run, work));
    if (!this.#quiet.isWanted) budget = this.turns.deal(budget, (run) => this.#isHosted(run), grant);
    for (const run of touched) this.#touched(run);
    if (budget === 0) this.#wantsTick();
    void this.#commits.write();
  }

  #touched(run: HostedRun): void {
    if (!this.#isHosted(run)) return;
    if (run.isDirty) this.#contain(run, () => this.#commits.add({ run, commit: this.#take(run) }));
    else this.#idle.add(run);
    this.#noteParent(run);
  }

  #noteParent(run: HostedRun): void {
    if (run.waitsForChild && this.#isHosted(run)) this.#parents.add(run);
    else this.#parents.delete(run);
  }

  #isHosted(run: HostedRun): boolean {
    return this.runs.get(run.id) === run;
  }

  /** A run that belongs to another is created only while that one waits for it: else nobody would ever cancel it. */
  #dropUnwanted(run: HostedRun): void {
    if (run.commitNo > 0 || !this.#isHosted(run) || isWanted(run.id, this.runs)) return;
    this.#drop(run, new PawlError("PAWL_RUN_CANCELLED"), "PAWL_RUN_ENDED");
  }

  #take(run: HostedRun): Commit {
    const commit = this.#time.dated(run.takeCommit(this.epoch));
    const facts = this.#facts.get(run);
    return commit.from > 0 ? commit : { ...commit, rank: this.turns.places.rankOf(run), ...(facts && { facts }) };
  }

  #applyStimuli(touched: Set<HostedRun>, budget: number): number {
    for (let left = this.#dirty.length; left > 0 && budget > 0; left--) {
      const run = this.#dirty.shift()!;
      if (run.inFlight || !this.#isHosted(run)) continue;
      this.#idle.delete(run);
      budget = this.#applyInbox(run, budget);
      if (run.hasWork) this.#wantsTick(run);
      touched.add(run);
      this.turns.wants(run);
    }
    return budget;
  }

  #applyInbox(run: HostedRun, budget: number): number {
    let left = budget - 1;
    this.#contain(run, () => (left = run.applyInbox(budget)));
    return left;
  }

  /** What goes wrong within a run is that run's alone. */
  #contain(run: HostedRun, work: () => unknown): void {
    try {
      work();
    } catch (error) {
      this.broken(run, error);
    }
  }

  #committed({ run, commit }: PendingCommit): void {
    if (!this.#isHosted(run)) return;
    this.#idle.unkeep(run);
    this.#contain(run, () => run.committed());
    for (const listener of this.#committedListeners) listener(run, commit);
    if (!this.#isHosted(run)) return;
    this.turns.settles(run);
    this.#noteParent(run);
    if (commit.run.finished) {
      this.#forget(run);
      run.drop("PAWL_RUN_ENDED");
    } else if (!this.#idle.add(run)) {
      if (run.hasWork || run.isDirty) this.#wantsTick(run);
      this.turns.wants(run);
    }
    if (this.turns.isWaitedFor) this.#wantsTick();
  }

  /** The run exists, or another worker took it over, or this one's epoch is closed. */
  #fenced({ run, commit }: PendingCommit): void {
    if (!this.#isHosted(run)) return;
    this.#drop(run, new PawlError(commit.from === 0 ? "PAWL_RUN_CONFLICT" : "PAWL_RUN_MOVED"), commit.from === 0 ? "PAWL_RUN_QUARANTINED" : "PAWL_RUN_MOVED");
    if (commit.from > 0) this.onFenced?.();
  }

  /** Gives up at most so many runs that have not begun to work here; answers their ids. */
  giveUp(limit: number, isWanted: (run: HostedRun) => boolean): string[] {
    return this.#leave(this.turns.places.takeFromLine(limit, (run) => this.#canLeave(run) && isWanted(run)));
  }

  /** Gives up all runs that have nothing under way, when no attempt starts any more; answers their ids. */
  giveUpIdle(): string[] {
    return this.#leave([...this.runs.values()]);
  }

  #canLeave(run: HostedRun): boolean {
    return this.#isHosted(run) && run.running === 0 && !run.endsSoon && !run.inFlight && !run.isDirty && !run.hasWork;
  }

  #leave(runs: readonly HostedRun[]): string[] {
    const leaving = runs.filter((run) => this.#canLeave(run));
    for (const run of leaving) this.#drop(run, new PawlError("PAWL_RUN_MOVED"), "PAWL_RUN_MOVED");
    return leaving.map(({ id }) => id);
  }

  /** Another process closed this worker's epoch: all that it had is others'. */
  lost(): void {
    this.#commits.clear();
    for (const run of [...this.runs.values()]) this.#drop(run, new PawlError("PAWL_RUN_MOVED"), "PAWL_RUN_MOVED");
    this.protection.lost();
  }

  /** The run stays in memory until its next commit: its row says a later instant than it has. */
  keep(run: HostedRun): void {
    this.#idle.keep(run);
  }

  #passivate(run: HostedRun): void {
    const { wakeAt } = run;
    this.#forget(run);
    run.drop("PAWL_CLOSED");
    this.onPassivated?.(wakeAt);
  }

  // set by those who want to hear
  onStopped: (() => void) | undefined;
  onFenced: (() => void) | undefined;
  onWantsInbox: ((runId: string) => void) | undefined;
  onStreamed: RunSeams["streamed"] | undefined;
  onEmitted: ((runId: string, event: AnyEvent) => void) | undefined;
  onStrayed: ((runId: string, key: string, event: () => string) => void) | undefined;
  onPassivated: ((wakeAt: number | null) => void) | undefined;

  #drop(run: HostedRun, error: PawlError, code: DropCode = "PAWL_RUN_QUARANTINED"): void {
    this.#forget(run);
    run.drop(code);
    for (const listener of this.#droppedListeners) listener(run.id, error);
    this.#quiet.note();
  }

  #forget(run: HostedRun): void {
    if (this.#isHosted(run)) this.runs.delete(run.id);
    this.#idle.delete(run);
    this.turns.rests(run);
    this.protection.leave(run);
    this.#parents.delete(run);
    if (this.turns.isWaitedFor) this.#wantsTick();
  }

  /** Nothing is acknowledged, read or started from here on. */
  #failStop(error: PawlError): void {
    if (this.#stopped !== undefined) return;
    this.#halt(error, "PAWL_STORE_FAILED");
    void this.#store.close().catch(() => {});
    this.#onFatal(error);
  }

  #halt(error: PawlError, code: "PAWL_CLOSED" | "PAWL_STORE_FAILED"): void {
    this.#stopped = error;
    this.#commits.stop();
    this.#idle.clear();
    this.protection.stop();
    for (const run of [...this.runs.values()]) {
      this.runs.delete(run.id);
      run.drop(code);
      for (const listener of this.#droppedListeners) listener(run.id, error);
    }
    this.onStopped?.();
    this.#quiet.end();
  }

  /** No new attempt; resolves when nothing runs and all is written. */
  drain(): Promise<void> {
    this.protection.gate.standDown();
    return this.#quiet.reached();
  }

  get #isBusy(): boolean {
    if (this.permits.held > 0 || this.#ticking || this.#commits.isBusy) return true;
    return [...this.runs.values()].some((run) => run.endsSoon);
  }

  /** Forgets everything at once, as a crash would. What is in flight is not waited for. */
  halt(): void {
    if (this.#stopped === undefined) this.#halt(new PawlError("PAWL_CLOSED"), "PAWL_CLOSED");
  }
}
