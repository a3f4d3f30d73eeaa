/**
 * pawl, opened: starts runs, finds them, tells what happens, and closes. What people hold in their hands.
 */
import type { Clock } from "../clock.ts";
import { canonicalJson } from "../define/canonical.ts";
import type { Log } from "../define/agent.ts";
import { checkName } from "../define/name.ts";
import { PawlError, isPawlError } from "../errors.ts";
import { newRunId } from "../random.ts";
import { Listeners } from "./listeners.ts";
import type { Store } from "../store/store.ts";
import { type ComparedRun, compareRuns } from "./compare.ts";
import { childRuns } from "./child-runs.ts";
import { Definitions } from "./definitions.ts";
import { type Definition, beginRun, definitionOf, inputText } from "./definition.ts";
import { type EndWatch, Run, type RunHome } from "./handle.ts";
import { type HistoryEntry, readHistoryEntry } from "./history.ts";
import type { MachineDefinition } from "./machine-definition.ts";
import { MachineDoor, type SendOptions, type SentEvent, readSnapshot } from "./machine-door.ts";
import { MachineHandle } from "./machine-handle.ts";
import { MachineRun } from "./machine-run.ts";
import { Recovery } from "./recovery.ts";
import { INPUT_KEY, openActorRow } from "./row.ts";
import { type RunStatus, type RunSummary, isOver, requireRun, summaryOf } from "./view.ts";
import type { SendResult } from "./sends.ts";
import type { InputOfStartable, RunOf, StartArguments, Startable } from "./startable.ts";
import { stepServices } from "./steps.ts";
import { type Seams, Worker } from "./worker.ts";
import type { AnyEvent, AnySnapshot } from "./xstate/actor.ts";

export interface CloseOptions {
  /** How long running attempts may end before they are aborted, in ms. Default 10,000. */
  readonly graceMs?: number;
}

export interface ListOptions {
  readonly status?: RunStatus;
  readonly workflow?: string;
  /** Only runs after this one in the list; for the next page. */
  readonly after?: string;
  /** At most so many, default 100, at most 1,000. */
  readonly limit?: number;
}

/** What happened in a run, told when it is durable. */
export interface RunChange extends HistoryEntry {
  readonly runId: string;
}

const CLOSE_GRACE_MS = 10_000;
const LIST_DEFAULT = 100;
const LIST_MAX = 1_000;

export class Pawl implements AsyncDisposable, RunHome {
  readonly #store: Store;
  readonly #worker: Worker | undefined;
  readonly #recovery: Recovery | undefined;
  readonly #seams: Seams;
  readonly #door: MachineDoor | undefined;
  readonly #definitions: Definitions;
  readonly #commitListeners = new Listeners<void>((error) => this.log.error({ error }, "a listener threw"));
  readonly #emitListeners = new Set<(event: AnyEvent, from: { readonly runId: string }) => void>();
  readonly #starting = new Map<string, PromiseWithResolvers<void>>();
  readonly #waiting = new Map<string, Set<() => void>>();
  readonly #subscribers = new Set<(change: RunChange) => void>();
  #closing: Promise<void> | undefined;
  #isClosed = false;

  /** Not for use outside: see `open`. */
  constructor(seams: Seams, worker: Worker | undefined) {
    this.#seams = seams;
    this.#store = seams.store;
    this.#definitions = new Definitions(seams.store);
    this.#worker = worker;
    if (worker === undefined) return;
    this.#recovery = new Recovery(worker, seams.store, this.#definitions.byHash);
    this.#recovery.onParked = (runId) => this.#wakeWaiting(runId);
    this.#door = new MachineDoor(worker, this.#recovery, seams.store, this.#definitions);
    worker.services = stepServices(
      seams,
      childRuns(this, (id, definition, input) => this.#startAs(id, definition, input)),
    );
    worker.onEmitted = (runId, event) => this.#emitted(runId, event);
    worker.onCommitted((run, commit) => {
      if (commit.from === 0) this.#starting.get(run.id)?.resolve();
      if (this.#subscribers.size > 0) this.#tell({ runId: run.id, ...readHistoryEntry({ commitNo: commit.from + 1, at: commit.at, body: commit.history }) });
      this.#commitListeners.tell(run.id, undefined);
      for (const { runId } of commit.posts ?? [])
        void this.#recovery?.deliverInbox(runId).catch((error: unknown) => this.log.warn({ error }, "a run will be told later"));
      if (commit.run.finished) this.#wakeWaiting(run.id);
    });
    worker.onStopped = () => this.#wakeAllWaiting();
    worker.onDropped((runId, error) => {
      this.#starting.get(runId)?.reject(error);
      this.#wakeWaiting(runId);
    });
  }

  async begin(workflows: readonly Startable[]): Promise<void> {
    for (const workflow of workflows) await this.#register(definitionOf(workflow));
    this.#recovery?.begin();
  }

  /**
   * Starts a run, or finds the one with this id, whatever its status. Resolves when the run is on the disk.
   *
   * @throws PAWL_INPUT_INVALID, PAWL_RUN_CONFLICT (another input or workflow under this id), PAWL_DEFINITION_CHANGED,
   * PAWL_STORE_FULL, PAWL_STORE_FAILED, PAWL_READ_ONLY, PAWL_CLOSED
   */
  async start<S extends Startable>(workflow: S, ...[options]: StartArguments<InputOfStartable<S>>): Promise<RunOf<S>> {
    this.#executing();
    const definition = definitionOf(workflow);
    const id = options?.id ?? newRunId(definition.name, this.#seams.clock.now(), this.#seams.random);
    checkName(id, "run id");
    await this.#startAs(id, definition, options?.input);
    return this.#handle(id, definition) as RunOf<S>;
  }

  async #register(definition: Definition): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    await worker.attempt(() => this.#definitions.register(definition));
    this.#recovery?.parked.clear();
  }

  #handle(id: string, definition: Definition): Run<unknown> {
    return definition.kind === "machine" ? new MachineHandle(this, id, definition) : new Run<unknown>(this, id);
  }

  async #startAs(id: string, definition: Definition, given: unknown): Promise<void> {
    const input = await inputText(definition, given);
    if (!this.#definitions.knows(definition)) {
      await this.#register(definition);
      void this.#recovery?.claim().catch(() => {});
    }
    const worker = this.#executing();
    if (worker.isFull) throw new PawlError("PAWL_STORE_FULL");
    const isThere = !this.#starting.has(id) && (await this.#store.readRun(id)) !== undefined;
    if (!isThere && (await this.#createNew(worker, id, definition, input))) return;
    await this.#checkSame(id, definition, input);
    await this.#recovery?.ensure(id);
  }

  async #createNew(worker: Worker, id: string, definition: Definition, input: string): Promise<boolean> {
    const underWay = this.#starting.get(id);
    try {
      await (underWay?.promise ?? this.#create(worker, id, definition, input));
      return underWay === undefined;
    } catch (error) {
      if (isPawlError(error, "PAWL_RUN_CONFLICT")) return false;
      throw error;
    }
  }

  /** Resolves when the run is on the disk; rejects with PAWL_RUN_CONFLICT when one of this id was there. */
  async #create(worker: Worker, id: string, definition: Definition, input: string): Promise<void> {
    if (worker.runs.has(id)) throw new PawlError("PAWL_RUN_CONFLICT");
    const started = Promise.withResolvers<void>();
    this.#starting.set(id, started);
    try {
      worker.host(beginRun(definition, id, input, worker));
      await started.promise;
    } finally {
      this.#starting.delete(id);
    }
  }

  /** The run that is there must be the one that was asked for. */
  async #checkSame(id: string, definition: Definition, input: string): Promise<void> {
    const record = await requireRun(this.#store, id);
    if (record.workflow !== definition.name) throw new PawlError("PAWL_RUN_CONFLICT", { message: `run "${id}" belongs to workflow "${record.workflow}"` });
    if (record.status === "quarantined") return;
    const [row] = await this.#store.readActors(id, [INPUT_KEY]);
    if (row?.output == null || canonicalJson(JSON.parse(row.output)) !== canonicalJson(JSON.parse(input))) {
      throw new PawlError("PAWL_RUN_CONFLICT", { message: `run "${id}" was started with another input` });
    }
    openActorRow(id, row);
    if (record.definition !== definition.hash && !isOver(record.status) && !this.#definitions.byHash.has(record.definition))
      throw await this.#definitions.changedError(id, record.definition, definition);
  }

  /**
   * The run with this id; with its workflow or machine, the handle is typed by it.
   *
   * @throws PAWL_RUN_NOT_FOUND, PAWL_RUN_CONFLICT when the run belongs to another workflow
   */
  async run(id: string): Promise<Run<unknown>>;
  async run<S extends Startable>(id: string, of: S): Promise<RunOf<S>>;
  async run(id: string, of?: Startable): Promise<Run<unknown>> {
    const record = await this.store.readRun(id);
    if (record === undefined && !this.#starting.has(id)) throw new PawlError("PAWL_RUN_NOT_FOUND", { message: `there is no run "${id}"` });
    if (of === undefined) return new Run<unknown>(this, id);
    const definition = definitionOf(of);
    if (record !== undefined && record.workflow !== definition.name)
      throw new PawlError("PAWL_RUN_CONFLICT", { message: `run "${id}" belongs to "${record.workflow}"` });
    return this.#handle(id, definition);
  }

  async list(options: ListOptions = {}): Promise<RunSummary[]> {
    const records = await this.store.listRuns({ ...options, limit: Math.min(options.limit ?? LIST_DEFAULT, LIST_MAX) });
    return records.map(summaryOf);
  }

  /** Calls back with each commit of any run of this process, once it is durable. Answers what ends it. */
  subscribe(listener: (change: RunChange) => void): () => void {
    this.#subscribers.add(listener);
    return () => this.#subscribers.delete(listener);
  }

  /**
   * Calls back with what machines emit in this process, once it is durable; `'*'` hears every type. Answers what ends it.
   * Who listens right after `open()` also hears what a crash has left untold.
   */
  on(type: string, listener: (event: AnyEvent, from: { readonly runId: string }) => void): () => void {
    const hear = (event: AnyEvent, from: { readonly runId: string }): void => (type === "*" || event.type === type ? listener(event, from) : undefined);
    this.#emitListeners.add(hear);
    return () => this.#emitListeners.delete(hear);
  }

  #emitted(runId: string, event: AnyEvent): void {
    for (const listener of this.#emitListeners) {
      try {
        listener(event, { runId });
      } catch (error) {
        this.log.error({ error }, "a listener threw");
      }
    }
  }

  #tell(change: RunChange): void {
    for (const listener of this.#subscribers) {
      try {
        listener(change);
      } catch (error) {
        this.log.error({ error }, "a subscriber threw");
      }
    }
  }

  /**
   * The unfinished runs that this definition would not find as it left them: what is different, and what of each run it
   * no longer knows. Changes nothing.
   */
  compare(definition: Startable): AsyncGenerator<ComparedRun> {
    return compareRuns(this.store, definitionOf(definition));
  }

  /** Asks now what is asked every 30 s: what should move and does not. */
  async reconcile(): Promise<void> {
    await this.#recovery?.reconcile();
  }

  /**
   * Starts no further attempt, lets running ones end for `graceMs`, then aborts them; they run again when it is opened
   * next, at no cost to their retries.
   */
  close(options: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(options.graceMs ?? CLOSE_GRACE_MS);
    return this.#closing;
  }

  async #close(graceMs: number): Promise<void> {
    const worker = this.#worker;
    const isQuiet = Promise.all([worker?.stopped === undefined ? worker?.drain() : undefined, this.#recovery?.stop()]);
    if (worker !== undefined && worker.stopped === undefined) {
      await new Promise<void>((resolve) => {
        const cancel = this.#seams.clock.after(graceMs, resolve);
        void isQuiet.then(() => (cancel(), resolve()));
      });
      await this.#recovery?.absolveAll().catch((error: unknown) => this.log.warn({ error }, "closing"));
      worker.halt();
    }
    this.#wakeAllWaiting();
    this.#isClosed = true;
    await this.#store.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // ---- for handles

  get store(): Store {
    if (this.#isClosed) throw new PawlError("PAWL_CLOSED");
    return this.#store;
  }

  get log(): Log {
    return this.#seams.attempts.log;
  }

  get clock(): Clock {
    return this.#seams.clock;
  }

  get isClosing(): boolean {
    return this.#closing !== undefined;
  }

  get isExecuting(): boolean {
    return this.#worker !== undefined;
  }

  async send(id: string, event: SentEvent, options: SendOptions): Promise<SendResult> {
    this.#executing();
    await this.#starting.get(id)?.promise.catch(() => {});
    return this.#door!.send(id, event, options);
  }

  async snapshot(id: string, definition: MachineDefinition): Promise<AnySnapshot> {
    await this.#starting.get(id)?.promise.catch(() => {});
    await this.#migrated(id);
    const run = this.#worker?.runs.get(id);
    if (run instanceof MachineRun) return run.committedSnapshot;
    return readSnapshot(this.store, id, definition, {
      ...this.#seams,
      epoch: this.#worker?.epoch ?? 0,
      startedAt: this.#seams.clock.now(),
      services: undefined,
    });
  }

  /** A run that another definition takes over is taken over now that somebody asks. Throws when it cannot be. */
  async #migrated(id: string): Promise<void> {
    if (this.#worker === undefined || this.#worker.runs.has(id)) return;
    const record = await this.store.readRun(id);
    if (record === undefined || isOver(record.status)) return;
    const definition = this.#definitions.byHash.get(record.definition);
    if (definition === undefined || definition.hash === record.definition) return;
    await this.#recovery?.ensure(id);
    const parked = this.#recovery?.parked.get(id);
    if (parked !== undefined) throw parked;
  }

  onCommit(id: string, listener: () => void): () => void {
    return this.#commitListeners.add(id, listener);
  }

  #executing(): Worker {
    if (this.#closing !== undefined) throw new PawlError("PAWL_CLOSED");
    if (this.#worker === undefined) throw new PawlError("PAWL_READ_ONLY");
    if (this.#worker.stopped !== undefined) throw this.#worker.stopped;
    return this.#worker;
  }

  watchEnd(id: string): EndWatch {
    if (this.#closing !== undefined) throw new PawlError("PAWL_CLOSED");
    if (this.#worker?.stopped !== undefined) throw this.#worker.stopped;
    const { promise, resolve } = Promise.withResolvers<void>();
    if (this.#worker === undefined) return { promise, isUnderWay: false, forget: this.#seams.clock.after(POLL_MS, resolve) };
    const waiting = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, waiting.add(resolve));
    const forget = (): void => {
      waiting.delete(resolve);
      if (waiting.size === 0 && this.#waiting.get(id) === waiting) this.#waiting.delete(id);
    };
    return { promise, isUnderWay: this.#worker.runs.has(id), forget };
  }

  #wakeAllWaiting(): void {
    for (const id of [...this.#waiting.keys()]) this.#wakeWaiting(id);
  }

  #wakeWaiting(id: string): void {
    const waiting = this.#waiting.get(id) ?? [];
    this.#waiting.delete(id);
    for (const resolve of waiting) resolve();
  }

  async checkClaimable(definition: string, name: string, id: string): Promise<void> {
    await this.#migrated(id);
    if (this.#worker !== undefined) await this.#definitions.require(definition, name, id);
  }

  /** Cancels a run of this process; resolves when it is over. */
  async cancel(id: string): Promise<void> {
    for (;;) {
      const worker = this.#executing();
      await this.#starting.get(id)?.promise.catch(() => {});
      const record = await requireRun(this.#store, id);
      if (isOver(record.status)) return;
      await this.checkClaimable(record.definition, record.workflow, id);
      const watch = this.watchEnd(id);
      if (!worker.runs.has(id)) await this.#recovery?.ensure(id);
      const run = worker.runs.get(id);
      if (run === undefined) await Promise.race([watch.promise, new Promise<void>((resolve) => this.#seams.clock.after(POLL_MS, resolve))]);
      else {
        run.cancel();
        await watch.promise;
      }
      watch.forget();
    }
  }
}

/** How often a process that does not execute looks for changes. */
const POLL_MS = 100;
