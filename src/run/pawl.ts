/**
 * pawl, opened: starts runs, finds them, tells what happens, and closes. What people hold in their hands.
 */
import { canonicalJson } from "../define/canonical.ts";
import type { Log } from "../define/agent.ts";
import { checkName } from "../define/name.ts";
import { planChanges } from "../define/plan.ts";
import { describeIssues, validate } from "../define/schema.ts";
import type { Workflow } from "../define/workflow.ts";
import { PawlError, isPawlError } from "../errors.ts";
import { newRunId } from "../random.ts";
import type { Store } from "../store/store.ts";
import { encode } from "./codec.ts";
import { DagRun } from "./dag-run.ts";
import { type EndWatch, Run, type RunHome } from "./handle.ts";
import { type HistoryEntry, readHistoryEntry } from "./history.ts";
import { Recovery } from "./recovery.ts";
import { INPUT_KEY, openActorRow } from "./row.ts";
import { type RunStatus, type RunSummary, isOver, requireRun, summaryOf } from "./view.ts";
import { type Seams, Worker } from "./worker.ts";

/** What a run is started with. */
export interface StartOptions<Given> {
  /** Names the run; the same id again is the same run. A new one is made when left out. */
  readonly id?: string;
  readonly input: Given;
}

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
  readonly #workflows = new Map<string, Workflow>();
  readonly #starting = new Map<string, PromiseWithResolvers<void>>();
  readonly #waiting = new Map<string, Set<() => void>>();
  readonly #subscribers = new Set<(change: RunChange) => void>();
  #closing: Promise<void> | undefined;
  #isClosed = false;

  /** Not for use outside: see `open`. */
  constructor(seams: Seams, worker: Worker | undefined) {
    this.#seams = seams;
    this.#store = seams.store;
    this.#worker = worker;
    if (worker === undefined) return;
    this.#recovery = new Recovery(worker, seams.store, this.#workflows);
    worker.onCommitted((run, commit) => {
      if (commit.from === 0) this.#starting.get(run.id)?.resolve();
      if (this.#subscribers.size > 0) this.#tell({ runId: run.id, ...readHistoryEntry({ commitNo: commit.from + 1, at: commit.at, body: commit.history }) });
      if (commit.run.finished) this.#wakeWaiting(run.id);
    });
    worker.onStopped = () => this.#wakeAllWaiting();
    worker.onDropped((runId, error) => {
      this.#starting.get(runId)?.reject(error);
      this.#wakeWaiting(runId);
    });
  }

  /** Not for use outside: makes these workflows known and takes up their unfinished runs. */
  async begin(workflows: readonly Workflow[]): Promise<void> {
    for (const workflow of workflows) await this.#register(workflow);
    this.#recovery?.begin();
  }

  /**
   * Starts a run, or finds the one with this id, whatever its status. Resolves when the run is on the disk.
   *
   * @throws PAWL_INPUT_INVALID, PAWL_RUN_CONFLICT (another input or workflow under this id), PAWL_DEFINITION_CHANGED,
   * PAWL_STORE_FULL, PAWL_STORE_FAILED, PAWL_READ_ONLY, PAWL_CLOSED
   */
  async start<Given, Output>(workflow: Workflow<Given, Output>, options: StartOptions<Given>): Promise<Run<Output>> {
    const worker = this.#executing();
    const id = options.id ?? newRunId(workflow.name, this.#seams.clock.now(), this.#seams.random);
    checkName(id, "run id");
    const input = await this.#inputText(workflow, options.input);
    if (!this.#workflows.has(workflow.plan.hash)) {
      await this.#register(workflow);
      void this.#recovery?.claim().catch(() => {});
    }
    if (this.#executing().isFull) throw new PawlError("PAWL_STORE_FULL");
    if (!(await this.#createNew(worker, id, workflow, input))) {
      await this.#checkSame(id, workflow, input);
      await this.#recovery?.ensure(id);
    }
    return new Run<Output>(this, id);
  }

  /** False when there is a run of this id; then it is on the disk. */
  async #createNew(worker: Worker, id: string, workflow: Workflow, input: string): Promise<boolean> {
    const underWay = this.#starting.get(id);
    try {
      await (underWay?.promise ?? this.#create(worker, id, workflow, input));
      return underWay === undefined;
    } catch (error) {
      if (isPawlError(error, "PAWL_RUN_CONFLICT")) return false;
      throw error;
    }
  }

  async #inputText(workflow: Workflow, input: unknown): Promise<string> {
    const { inputSchema } = workflow.plan;
    if (inputSchema === undefined) return encode(input);
    const checked = await validate(inputSchema, input);
    if (checked.issues === undefined) return encode(checked.value);
    throw new PawlError("PAWL_INPUT_INVALID", { message: `the input of "${workflow.name}" does not fit its schema: ${describeIssues(checked.issues)}` });
  }

  /** Resolves when the run is on the disk; rejects with PAWL_RUN_CONFLICT when one of this id was there. */
  async #create(worker: Worker, id: string, workflow: Workflow, input: string): Promise<void> {
    if (worker.runs.has(id)) throw new PawlError("PAWL_RUN_CONFLICT");
    const started = Promise.withResolvers<void>();
    this.#starting.set(id, started);
    try {
      const run = new DagRun(id, workflow.plan, input, worker);
      run.inbox.push({ kind: "begin" });
      worker.host(run);
      await started.promise;
    } finally {
      this.#starting.delete(id);
    }
  }

  /** The run that is there must be the one that was asked for. */
  async #checkSame(id: string, workflow: Workflow, input: string): Promise<void> {
    const record = await requireRun(this.#store, id);
    if (record.workflow !== workflow.name) throw new PawlError("PAWL_RUN_CONFLICT", { message: `run "${id}" belongs to workflow "${record.workflow}"` });
    if (record.status === "quarantined") return;
    const [row] = await this.#store.readActors(id, [INPUT_KEY]);
    if (row?.output == null || canonicalJson(JSON.parse(row.output)) !== canonicalJson(JSON.parse(input))) {
      throw new PawlError("PAWL_RUN_CONFLICT", { message: `run "${id}" was started with another input` });
    }
    openActorRow(id, row);
    if (record.definition !== workflow.plan.hash && !isOver(record.status)) throw await this.changedError(id, record.definition, workflow);
  }

  /** Not for use outside: says what changed under an unfinished run. */
  async changedError(id: string, definition: string, workflow: Workflow): Promise<PawlError> {
    const body = await this.#store.readDefinition(definition);
    const changes = body === undefined ? [] : planChanges(body, workflow.plan.structureText);
    return new PawlError("PAWL_DEFINITION_CHANGED", {
      message: `workflow "${workflow.name}" changed under the unfinished run "${id}": ${changes.join("; ")}`,
      data: { changes },
    });
  }

  async #register(workflow: Workflow): Promise<void> {
    if (this.#worker === undefined) return;
    await this.#worker.attempt(() => this.#store.writeDefinition(workflow.plan.hash, workflow.name, workflow.plan.structureText));
    this.#workflows.set(workflow.plan.hash, workflow);
  }

  /** The run with this id. @throws PAWL_RUN_NOT_FOUND */
  async run(id: string): Promise<Run<unknown>> {
    const record = await this.store.readRun(id);
    if (record === undefined && !this.#starting.has(id)) throw new PawlError("PAWL_RUN_NOT_FOUND", { message: `there is no run "${id}"` });
    return new Run<unknown>(this, id);
  }

  /** Runs, newest first. */
  async list(options: ListOptions = {}): Promise<RunSummary[]> {
    const records = await this.store.listRuns({ ...options, limit: Math.min(options.limit ?? LIST_DEFAULT, LIST_MAX) });
    return records.map(summaryOf);
  }

  /** Calls back with each commit of any run of this process, once it is durable. Answers what ends it. */
  subscribe(listener: (change: RunChange) => void): () => void {
    this.#subscribers.add(listener);
    return () => this.#subscribers.delete(listener);
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

  #executing(): Worker {
    if (this.#closing !== undefined) throw new PawlError("PAWL_CLOSED");
    if (this.#worker === undefined) throw new PawlError("PAWL_READ_ONLY");
    if (this.#worker.stopped !== undefined) throw this.#worker.stopped;
    return this.#worker;
  }

  /** Waits until something final may have happened to the run: it ended, left this process, or a poll is due. */
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

  /** The registered workflow of this name, if its definition is another than the run's. */
  async checkClaimable(definition: string, workflowName: string, id: string): Promise<void> {
    if (this.#worker === undefined || this.#workflows.has(definition)) return;
    const named = [...this.#workflows.values()].find(({ name }) => name === workflowName);
    if (named !== undefined) throw await this.changedError(id, definition, named);
    throw new PawlError("PAWL_DEFINITION_MISSING", { message: `run "${id}" waits for workflow "${workflowName}", which was not given to this worker` });
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
      if (!worker.runs.has(id)) await this.#recovery?.load(record);
      const run = worker.runs.get(id);
      if (run === undefined) await Promise.race([watch.promise, new Promise<void>((resolve) => this.#seams.clock.after(POLL_MS, resolve))]);
      else {
        run.receive({ kind: "cancel" });
        await watch.promise;
      }
      watch.forget();
    }
  }
}

/** How often a process that does not execute looks for changes. */
const POLL_MS = 100;
