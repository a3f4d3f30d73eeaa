/**
 * What handles and steps stand on: runs in this process when it executes, or wherever they are. A run that is here is
 * spoken to directly; any other by its inbox.
 */
import type { Clock } from "../clock.ts";
import type { Log } from "../define/agent.ts";
import { type Duration, durationMs } from "../define/duration.ts";
import { PawlError } from "../errors.ts";
import type { Commit, Store } from "../store/store.ts";
import { Again } from "./again.ts";
import { type Answered, Asks } from "./asks.ts";
import { childRuns } from "./child-runs.ts";
import { Consistency } from "./consistency.ts";
import { agentsUsed, definitionOf } from "./definition.ts";
import { Definitions } from "./definitions.ts";
import { inTime, stopExecuting } from "./closing.ts";
import { cancelBefore } from "./delayed-start.ts";
import { Emitted } from "./emitted.ts";
import type { CancelOptions, EndWatch, RequestOptions, RunHome } from "./handle.ts";
import { checkUses } from "./known-limits.ts";
import { type RunChange, readHistoryEntry } from "./history.ts";
import type { WorkerMetrics } from "./metering.ts";
import type { MachineDefinition } from "./machine-definition.ts";
import { MachineDoor, type SendOptions, type SentEvent, readSnapshot } from "./machine-door.ts";
import { Looks } from "./looks.ts";
import { MachineRun } from "./machine-run.ts";
import { parentOf } from "./orphans.ts";
import type { OverriddenNode, OverrideOptions, OverrideOutcome } from "./override.ts";
import { overrideNode } from "./overrides.ts";
import { Peers } from "./peers.ts";
import { Recovery } from "./recovery.ts";
import type { CancelManner, Request } from "./requests.ts";
import { Retention } from "./retention.ts";
import { RunWatch } from "./run-watch.ts";
import type { SendResult } from "./sends.ts";
import type { Startable } from "./startable.ts";
import { Streams } from "./streams.ts";
import { type Executing, Starts } from "./starting.ts";
import { stepServices } from "./steps.ts";
import { askToCancel } from "./terminate.ts";
import { noteCommit, workerMetrics } from "./run-mark.ts";
import { type RunStatus, isOver, requireRun } from "./view.ts";
import type { Seams } from "./seams.ts";
import type { Worker } from "./worker.ts";
import type { HostedRun } from "./hosted-run.ts";
import type { AnyEvent, AnySnapshot } from "./xstate/actor.ts";

const REQUEST_TIMEOUT: Duration = "30s";
/** How often a run that should be here and is not is asked for again. */
const AGAIN_MS = 100;

export class Home implements RunHome {
  readonly definitions: Definitions;
  readonly starts: Starts;
  readonly again: Again;
  readonly emitted: Emitted<AnyEvent, { readonly runId: string }>;
  readonly changes: Emitted<RunChange>;
  readonly streams = new Streams();
  readonly #store: Store;
  readonly #seams: Seams;
  readonly #executing: Executing | undefined;
  readonly #watch: RunWatch;
  readonly #asks: Asks;
  readonly #door: MachineDoor;
  readonly #retention: Retention | undefined;
  consistency: Consistency | undefined;
  /** What is to end when the runs have, before the store is closed. */
  lastly: (() => Promise<void>) | undefined;
  #endWatch: (() => void) | undefined;
  #closing: Promise<void> | undefined;
  #isClosed = false;

  constructor(seams: Seams, worker: Worker | undefined) {
    const { store, clock } = seams;
    this.#seams = seams;
    this.#store = store;
    this.definitions = new Definitions(store);
    this.emitted = new Emitted(this.log);
    this.changes = new Emitted(this.log);
    this.#watch = new RunWatch(
      store,
      clock,
      (id) => worker?.runs.has(id) === true,
      (error) => this.log.error({ error }, "a listener threw"),
    );
    this.#executing = worker === undefined ? undefined : this.#execute(worker);
    this.#retention = worker === undefined ? undefined : new Retention(store, clock, seams.retention ?? {});
    this.#asks = new Asks({
      store,
      clock,
      watch: this.#watch,
      checkOpen: () => void this.store,
      deliver: (runId) => this.#spawn(this.#executing?.recovery.deliverInbox(runId)),
      failed: (error) => this.log.warn({ error }, "answers that were read are deleted later"),
    });
    const checkOpen = (): void => this.checkOpen();
    this.again = new Again({
      store,
      clock,
      random: seams.random,
      checkOpen,
      findDefinition: (hash) => this.definitions.byHash.get(hash),
      offered: (id) => this.#offered(id),
    });
    this.starts = new Starts({ store, clock, log: this.log, definitions: this.definitions, executing: this.#executing, checkOpen });
    this.#door = new MachineDoor({ store, clock, definitions: this.definitions, executing: this.#executing, asks: this.#asks });
  }

  #execute(worker: Worker): Executing {
    const { store, clock, pid = 0, leaseMs } = this.#seams;
    const peers = new Peers(
      store,
      { clock, times: worker.peerTimes, pid, leaseMs },
      {
        looked: () => recovery.share(),
        freed: () => (worker.protection.freed(), recovery.freed()),
        lost: () => this.#lost(),
        failed: (error) => this.#failed(error),
      },
    );
    const { policies, areGiven } = worker.protection.limits;
    this.definitions.waitsOf = (definition) => worker.protection.waitsOf(definition);
    if (areGiven) this.definitions.checkUses = (definition) => checkUses(agentsUsed(definition), policies);
    const recovery = new Recovery(worker, store, this.definitions.byHash, peers);
    const consistency = (this.consistency = new Consistency(store, worker));
    recovery.onReconciled = () => this.#spawn(Promise.all([this.#retention?.run(worker.epoch), consistency.look()]).then(() => {}));
    recovery.onParked = (runId) => this.#watch.ended(runId);
    worker.services = stepServices(
      this.#seams,
      childRuns(this, (id, definition, input) => this.starts.start(id, definition, input, { lane: worker.runs.get(parentOf(id) ?? "")?.lane })),
      (runId) => this.definitions.byHash.get(worker.runs.get(runId)?.definitionHash ?? "")?.name ?? "",
    );
    worker.onEmitted = (runId, event) => this.emitted.tell(event, { runId });
    worker.onStreamed = (runId, said) => this.streams.tell(runId, said);
    worker.onCommitted((run, commit) => this.#committed(run, commit));
    worker.onStopped = () => {
      peers.stop();
      this.#endWatch?.();
      if (this.#closing === undefined) this.#watch.wakeAll();
    };
    worker.onFenced = () => this.#spawn(peers.refresh().then(() => recovery.freed()));
    worker.onDropped((runId, error) => {
      if (error.code === "PAWL_RUN_QUARANTINED") this.#seams.attempts.meter?.quarantined();
      this.starts.failed(runId, error);
      this.#watch.ended(runId);
      this.#watch.changed(runId);
    });
    return { worker, recovery, peers };
  }

  #committed(run: HostedRun, commit: Commit): void {
    noteCommit(this.#seams.attempts, run, commit);
    if (commit.from === 0) this.starts.created(run.id);
    if (!this.changes.isEmpty) {
      const entry = readHistoryEntry({ commitNo: commit.from + 1, at: commit.at, body: commit.history });
      this.changes.tell({ runId: run.id, ...entry, status: commit.run.status as RunStatus, isEnd: commit.run.finished }, undefined);
    }
    this.#asks.answered(commit);
    this.#watch.changed(run.id, commit);
    for (const { runId } of commit.posts ?? []) this.#spawn(this.#executing?.recovery.deliverInbox(runId));
    if (commit.run.finished) this.#watch.ended(run.id);
  }

  /** Another process closed this worker's epoch: it lets go of everything and begins again. */
  async #lost(): Promise<void> {
    const { worker, recovery, peers } = this.#executing!;
    if (this.#closing !== undefined) return;
    this.log.warn({ epoch: worker.epoch }, "others took this worker for dead and have its runs; it begins again");
    worker.lost();
    worker.epoch = await worker.attempt(() => peers.open());
    recovery.begunAgain();
  }

  /** `schedules` are what others are told of those that this process was given. */
  async begin(workflows: readonly Startable[], schedules: readonly string[]): Promise<void> {
    for (const workflow of workflows) await this.starts.register(definitionOf(workflow));
    if (this.#executing !== undefined) {
      const { worker, recovery, peers } = this.#executing;
      const { policies: limits } = worker.protection.limits;
      const { max: activeRunsMax } = worker.turns.places;
      await peers.tell({ ...this.definitions.told, limits, schedules, notifies: this.#seams.notify !== undefined, activeRunsMax });
      worker.epoch = await peers.open();
      await worker.protection.begin(this.definitions.byHash.values());
      recovery.begin();
    }
    const looks = [this.#looks(() => this.#watch.look()), this.#looks(async () => this.#executing?.recovery.look())];
    if (this.#executing !== undefined) looks.push(this.#looks(() => this.#executing!.worker.protection.refresh()));
    this.#endWatch = this.#store.watch(() => looks.forEach((each) => each.want()));
  }

  #looks(look: () => Promise<void>): Looks {
    const isOver = (): boolean => this.#isClosed || this.#executing?.worker.stopped !== undefined;
    return new Looks(this.clock, { look, failed: (error) => this.#failed(error), isOver });
  }

  close(graceMs: number): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  async #close(graceMs: number): Promise<void> {
    const { clock } = this.#seams;
    if (this.#executing !== undefined && this.#executing.worker.stopped === undefined)
      await stopExecuting(this.#executing, clock, graceMs, (work) => this.#spawn(work));
    await inTime(this.#letGo(), clock, (error) => this.log.warn({ error }, "closing"));
    this.#executing?.worker.halt();
    this.#executing?.peers.stop();
    this.#endWatch?.();
    await this.#seams.attempts.threads?.end();
    this.#seams.facts?.stop();
    this.#seams.attempts.health?.stop();
    this.#isClosed = true;
    this.#watch.wakeAll();
    await this.#store.close();
  }

  /** What is written last can be left undone: whoever opens the store next does it. */
  async #letGo(): Promise<void> {
    await this.lastly?.();
    await this.#retention?.stop();
    await this.#asks.tidy();
    const { worker, recovery, peers } = this.#executing ?? {};
    if (worker?.stopped === undefined) await recovery?.absolveAll();
    worker?.halt();
    await peers?.close();
  }

  async reconcile(): Promise<void> {
    await this.#executing?.recovery.reconcile();
  }

  // ---- for handles

  get store(): Store {
    if (this.#isClosed) throw new PawlError("PAWL_CLOSED");
    return this.#store;
  }

  /** What is now. */
  get workerMetrics(): WorkerMetrics {
    return workerMetrics(this.definitions.told.definitions.length, this.#executing?.worker);
  }

  get log(): Log {
    return this.#seams.attempts.log;
  }

  get worker(): Worker | undefined {
    return this.#executing?.worker;
  }

  get clock(): Clock {
    return this.#seams.clock;
  }

  isStarting(id: string): boolean {
    return this.starts.has(id);
  }

  get isClosing(): boolean {
    return this.#closing !== undefined;
  }

  /** Throws when nothing can be asked for any more. */
  checkOpen(): void {
    if (this.#closing !== undefined) throw new PawlError("PAWL_CLOSED");
    if (this.#executing?.worker.stopped !== undefined) throw this.#executing.worker.stopped;
  }

  async send(id: string, event: SentEvent, options: SendOptions): Promise<SendResult> {
    this.checkOpen();
    await this.starts.settled(id);
    return this.#door.send(id, event, options);
  }

  async snapshot(id: string, definition: MachineDefinition): Promise<AnySnapshot> {
    await this.starts.settled(id);
    await this.#migrated(id);
    const worker = this.#executing?.worker;
    const run = worker?.runs.get(id);
    if (run instanceof MachineRun) return run.committedSnapshot;
    const startedAt = this.#seams.clock.now();
    return readSnapshot(this.store, id, definition, { ...this.#seams, epoch: worker?.epoch ?? 0, startedAt, services: undefined });
  }

  /** A run that another definition takes over is taken over now that somebody asks. Throws when it cannot be. */
  async #migrated(id: string): Promise<void> {
    if (this.#executing === undefined || this.#executing.worker.runs.has(id)) return;
    const { recovery } = this.#executing;
    const record = await this.store.readRun(id);
    if (record === undefined || isOver(record.status)) return;
    const definition = this.definitions.byHash.get(record.definition);
    if (definition === undefined || definition.hash === record.definition) return;
    await recovery.ensure(id);
    const parked = recovery.parked.get(id);
    if (parked !== undefined) throw parked;
  }

  onChange(id: string, listener: () => void): () => void {
    return this.#watch.onChange(id, listener);
  }

  on(type: string, listener: (event: AnyEvent, from: { readonly runId: string }) => void): () => void {
    return this.emitted.add((event, from) => (type === "*" || event.type === type ? listener(event, from) : undefined));
  }

  watchEnd(id: string): EndWatch {
    this.checkOpen();
    const { promise, resolve } = Promise.withResolvers<void>();
    const forget = this.#watch.onEnd(id, resolve);
    return { promise, isUnderWay: this.#executing?.worker.runs.has(id) === true, forget };
  }

  async checkClaimable(definition: string, name: string, id: string): Promise<void> {
    await this.#migrated(id);
    if (this.#executing !== undefined && !this.#executing.peers.knows(definition)) await this.definitions.require(definition, name, id);
  }

  async cancel(id: string, { now = false, compensate = true, timeout = REQUEST_TIMEOUT }: CancelOptions): Promise<void> {
    const manner: CancelManner = { ...(now && { now }), ...(!compensate && { keeps: true }) };
    const timeoutMs = durationMs(timeout, "timeout", "cancel()");
    // who was told once unwinds it, or whoever has it next
    let isTold = false;
    for (;;) {
      this.checkOpen();
      await this.starts.settled(id);
      const record = await requireRun(this.#store, id);
      if (isOver(record.status)) return;
      if (await cancelBefore(this.#store, record, now, this.clock)) return this.#told(id);
      const run = await this.#here(id);
      const watch = this.watchEnd(id);
      try {
        if (run !== undefined) run.cancel(manner);
        else isTold ||= await askToCancel(this.#store, this.#asks, id, manner, { timeoutMs, at: this.clock.now(), ended: () => this.#told(id) });
        if (run !== undefined || isTold) await watch.promise;
      } finally {
        watch.forget();
      }
    }
  }

  /** The run in memory, taken over if nobody owns it; undefined when it is another worker's. */
  async #here(id: string): Promise<HostedRun | undefined> {
    if (this.#executing === undefined) return undefined;
    const { worker, recovery } = this.#executing;
    for (;;) {
      if (await recovery.ensure(id)) return worker.runs.get(id);
      const record = await requireRun(this.#store, id);
      if (isOver(record.status) || record.epoch !== worker.epoch) return undefined;
      await this.checkClaimable(record.definition, record.workflow, id);
      await new Promise<void>((resolve) => this.#seams.clock.after(AGAIN_MS, resolve));
      this.checkOpen();
    }
  }

  /** Lifts a pause, or continues a run that was cut off. */
  async resume(id: string, options: RequestOptions): Promise<void> {
    const { status } = await requireRun(this.store, id);
    return isOver(status) ? this.again.resume(id) : this.request(id, { kind: "resume" }, options);
  }

  async override(id: string, node: string, outcome: OverrideOutcome, options: OverrideOptions): Promise<OverriddenNode> {
    this.checkOpen();
    await this.starts.settled(id);
    const timeoutMs = durationMs(options.timeout ?? REQUEST_TIMEOUT, "timeout", "override()");
    const ask = (request: Request): Promise<Answered> => this.#asks.ask(id, request, timeoutMs);
    return overrideNode({ store: this.store, again: this.again, ask }, id, node, outcome, options);
  }

  /** This process itself wrote what is nobody's. */
  #told(id: string): void {
    this.#watch.ended(id);
    this.#watch.changed(id);
  }

  /** A run that is nobody's may be taken on here. */
  #offered(id: string): void {
    this.#told(id);
    this.#spawn(this.#executing?.recovery.ensure(id).then(() => {}));
  }

  async request(id: string, request: Request, { timeout = REQUEST_TIMEOUT }: RequestOptions): Promise<void> {
    this.checkOpen();
    await this.starts.settled(id);
    await this.#asks.ask(id, request, durationMs(timeout, "timeout", `${request.kind}()`));
  }

  #spawn(work: Promise<void> | undefined): void {
    work?.catch((error: unknown) => this.#failed(error));
  }

  /** A failure of the store has stopped the worker; after any other the next look finds what was left. */
  #failed(error: unknown): void {
    if (!this.isClosing && this.#executing?.worker.stopped === undefined) this.log.warn({ error }, "it will be tried again");
  }
}
