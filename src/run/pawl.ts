/**
 * pawl, opened: starts runs, finds them, tells what happens, and closes. What people hold in their hands.
 */
import { checkName } from "../define/name.ts";
import { PawlError } from "../errors.ts";
import { newRunId } from "../random.ts";
import type { Store } from "../store/store.ts";
import type { BulkOptions, BulkOutcome, BulkVerb } from "./bulk.ts";
import { checkedEvent, checkedNodeEvent } from "./checked-event.ts";
import { type ComparedRun, compareRuns } from "./compare.ts";
import { type Definition, definitionOf } from "./definition.ts";
import { startInstant } from "./delayed-start.ts";
import type { TimeoutSuggestions, TimeoutsOptions } from "./timeout-suggestions.ts";
import type { FailurePatterns, FailuresOptions } from "./failure-patterns.ts";
import { Run } from "./handle.ts";
import { type ChangesOptions, type StoredChange, readChanges } from "./changes.ts";
import { healthChecksOf } from "./preflight.ts";
import type { HistoryType, RunChange } from "./history.ts";
import { healthSources } from "./health-sources.ts";
import { Home } from "./home.ts";
import type { SendOptions, SentEvent } from "./machine-door.ts";
import { Instruments } from "./instruments.ts";
import { MachineHandle } from "./machine-handle.ts";
import type { Notices } from "./notices.ts";
import type { PruneOptions, Pruned } from "./prune.ts";
import { type Rollout, type RolloutView, versionFor, versionsOf, viewRollout } from "./rollout.ts";
import { factsOf } from "./run-facts.ts";
import type { Schedule } from "./schedule.ts";
import { type ScheduleView, runSchedule, viewSchedules } from "./schedule-view.ts";
import { Schedules, type ServedSchedule, checkSchedules } from "./schedules.ts";
import type { SendResult } from "./sends.ts";
import { type EventOfStartable, type StartOrSendOptions, type StartedOrSent, startUnlessThere } from "./start-or-send.ts";
import type { InputOfStartable, RunOf, StartArguments, Startable } from "./startable.ts";
import { refuseOthers } from "./machine-view.ts";
import { type RunStatus, type RunSummary, summaryOf } from "./view.ts";
import type { Seams } from "./seams.ts";
import type { ChangeOptions } from "./turns.ts";
import type { Worker } from "./worker.ts";
import { type EventListener, type HistoryListener, listen } from "./subscribers.ts";

export interface CloseOptions {
  /** How long running attempts may end before they are aborted, in ms. Default 10,000. */
  readonly graceMs?: number;
}

export interface ListOptions {
  readonly status?: RunStatus;
  readonly workflow?: string;
  /** Only runs about this. */
  readonly subject?: string;
  /** Only runs with this tag. */
  readonly tag?: string;
  /** Only runs started at this instant or later, and before that one, in ms since 1970. */
  readonly since?: number;
  readonly until?: number;
  /** Only runs after this one in the list; for the next page. */
  readonly after?: string;
  /** At most so many, default 100, at most 1,000. */
  readonly limit?: number;
}

const CLOSE_GRACE_MS = 10_000;
const LIST_DEFAULT = 100;
const LIST_MAX = 1_000;

export class Pawl extends Instruments implements AsyncDisposable {
  readonly #home: Home;
  readonly #seams: Seams;
  readonly #worker: Worker | undefined;
  readonly #notices: Notices | undefined;
  #schedules: Schedules | undefined;

  /** Not for use outside: see `open`. */
  constructor(seams: Seams, worker: Worker | undefined, notices?: Notices) {
    const home = new Home(seams, worker);
    super(home, seams, worker);
    this.#seams = seams;
    this.#worker = worker;
    this.#notices = notices;
    this.#home = home;
  }

  /** Not for use outside: see `open`. */
  async begin(workflows: readonly (Startable | Rollout)[], schedules: readonly Schedule[] = []): Promise<void> {
    if (schedules.length > 0 && this.#worker === undefined)
      throw new PawlError("PAWL_INVALID_VALUE", { message: "schedules are given to a process that executes nothing", next: "give them to a worker" });
    const served = await checkSchedules(schedules);
    const startables = [...workflows.flatMap(versionsOf), ...schedules.map(({ workflow }) => workflow)];
    await this.#home.begin(
      startables,
      served.map(({ text }) => text),
    );
    if (this.#worker !== undefined) this.#notices?.begin(this.#worker);
    this.#seams.attempts.health?.begin(healthSources(this.#home, this.#worker, this.#notices));
    this.#home.lastly = async () => this.#notices?.stop();
    if (served.length > 0) await this.#serve(this.#worker!, served);
  }

  async #serve(worker: Worker, served: readonly ServedSchedule[]): Promise<void> {
    const { starts, log } = this.#home;
    const { store, clock } = this.#seams;
    this.#schedules = new Schedules({ store, clock, log, attempt: (call) => worker.attempt(call), offered: () => starts.offered() }, served);
    await this.#schedules.begin();
  }

  get #store(): Store {
    return this.#home.store;
  }

  /**
   * Starts a run, or finds the one with this id, whatever its status. Resolves when the run is on the disk. With
   * `execute: false` it is only recorded: a worker on the same file that was given the workflow takes it on.
   *
   * @throws PAWL_INPUT_INVALID, PAWL_RUN_CONFLICT (another input or workflow under this id), PAWL_DEFINITION_CHANGED,
   * PAWL_UNHEALTHY, PAWL_HEALTH_CHECK_MISSING (with `preflight`), PAWL_STORE_FULL, PAWL_STORE_FAILED, PAWL_READ_ONLY, PAWL_CLOSED
   */
  async start<S extends Startable | Rollout>(workflow: S, ...[options]: StartArguments<InputOfStartable<S>>): Promise<RunOf<S>> {
    this.#home.checkOpen();
    const { name } = definitionOf(versionsOf(workflow)[0]!);
    const id = options?.id ?? newRunId(name, this.#seams.clock.now(), this.#seams.random);
    checkName(id, "run id");
    const startAt = startInstant(options ?? {}, this.#seams.clock.now());
    const definition = await versionFor(this.#store, workflow, id);
    if (options?.preflight === true && (await this.#store.readRun(id)) === undefined) await this.#preflight(definition);
    await this.#home.starts.start(id, definition, options?.input, factsOf(options ?? {}), startAt);
    return this.#handle(id, definition) as RunOf<S>;
  }

  /** Those of a machine are known only when it calls them. */
  async #preflight(definition: Definition): Promise<void> {
    const { agents, names } = healthChecksOf(definition);
    await this.#seams.attempts.health?.preflight(agents, names);
  }

  #handle(id: string, definition: Definition): Run<unknown> {
    return definition.kind === "machine" ? new MachineHandle(this.#home, id, definition) : new Run<unknown>(this.#home, id);
  }

  /**
   * The run with this id; with its workflow or machine, the handle is typed by it.
   *
   * @throws PAWL_RUN_NOT_FOUND, PAWL_RUN_CONFLICT when the run belongs to another workflow
   */
  async run(id: string): Promise<Run<unknown>>;
  async run<S extends Startable | Rollout>(id: string, of: S): Promise<RunOf<S>>;
  async run(id: string, of?: Startable | Rollout): Promise<Run<unknown>> {
    const record = await this.#store.readRun(id);
    if (record === undefined && !this.#home.starts.has(id)) throw new PawlError("PAWL_RUN_NOT_FOUND", { message: `there is no run "${id}"` });
    if (of === undefined) return new Run<unknown>(this.#home, id);
    const definition = await versionFor(this.#store, of, id);
    if (record !== undefined) refuseOthers(record, definition, "ask for it with its own workflow or machine, or with its id alone");
    return this.#handle(id, definition);
  }

  /** Runs, newest first, a page at a time. */
  async list(options: ListOptions = {}): Promise<RunSummary[]> {
    const records = await this.#store.listRuns({ ...options, limit: Math.min(options.limit ?? LIST_DEFAULT, LIST_MAX) });
    return records.map(summaryOf);
  }

  /**
   * What runs fail of, the most frequent first: failed, timed-out and quarantined runs counted by code, kind, node and agent,
   * each with its newest run. Looks at the newest runs that ended so, at most `limit` of each status.
   *
   * @example
   * ```ts
   * const { patterns } = await pawl.failures({ since: Date.now() - 86_400_000 });
   * for (const { count, code, node, newest } of patterns) console.log(count, code, node, newest.id);
   * ```
   * @throws PAWL_INVALID_VALUE
   */
  async failures(options: FailuresOptions = {}): Promise<FailurePatterns> {
    const { failurePatterns } = await import("./failure-patterns.ts");
    return failurePatterns(this.#store, this.#seams.clock, options);
  }

  /**
   * How long agents take, and the timeouts that would suit them: from the successful attempts of the newest runs of workflows.
   *
   * @example
   * ```ts
   * const { agents } = await pawl.suggestTimeouts({ workflow: 'research' });
   * for (const { agent, p99Ms, suggested } of agents) console.log(agent, p99Ms, suggested);
   * ```
   * @throws PAWL_INVALID_VALUE
   */
  async suggestTimeouts(options: TimeoutsOptions = {}): Promise<TimeoutSuggestions> {
    const { suggestTimeouts } = await import("./timeout-suggestions.ts");
    return suggestTimeouts(this.#store, this.#seams.clock, options);
  }

  /**
   * Sends an event to a run of which only the id is known. Its owner, in whatever process, checks the event.
   *
   * @throws as `send` of the machine's handle
   */
  send(id: string, event: SentEvent & { readonly [field: string]: unknown }, options: SendOptions = {}): Promise<SendResult> {
    return this.#home.send(id, event, options);
  }

  /**
   * Starts the run of this id if it is not there, then sends it the event: for who does not know whether there is one, such
   * as a webhook. Two at once are one run and both events. With an `eventId` it can be asked again after any failure.
   *
   * @example
   * ```ts
   * const { run, sent } = await pawl.startOrSend(cart, { id: 'cart-ada' }, { type: 'ADD', item: 'tea' }, { eventId: 'click-7' });
   * ```
   * @throws as `start`, but for another input, which is of no account when the run is there; as `send` of its handle
   */
  async startOrSend<S extends Startable>(
    startable: S,
    options: StartOrSendOptions<InputOfStartable<S>>,
    event: EventOfStartable<S>,
    sendOptions: SendOptions = {},
  ): Promise<StartedOrSent<RunOf<S>>> {
    const { id } = options;
    const definition = definitionOf(startable);
    this.#home.checkOpen();
    checkName(id, "run id");
    await (definition.kind === "dag" ? checkedNodeEvent(definition.workflow.plan, event) : checkedEvent(definition, event));
    const start: Startable = startable;
    await startUnlessThere(this.#store, id, definition.name, () => this.start(start, options).then(() => {}));
    return { run: this.#handle(id, definition) as RunOf<S>, sent: await this.#home.send(id, event, sendOptions) };
  }

  /**
   * Cancels, pauses, resumes or retries the runs that a filter finds, ten at a time, and tells what became of each. Nothing is done
   * before the first outcome is asked for. Who stops asking stops it; asked again, it goes on with those that are left.
   *
   * @example
   * ```ts
   * for await (const { runId, did } of pawl.bulk('retry', { where: { workflow: 'research', status: 'failed' } })) console.log(runId, did);
   * ```
   * @throws PAWL_INVALID_VALUE when `where` says nothing, PAWL_CLOSED, PAWL_STORE_FAILED, PAWL_STORE_FULL, PAWL_READ_ONLY
   */
  async *bulk(verb: BulkVerb, options: BulkOptions): AsyncGenerator<BulkOutcome> {
    this.#home.checkOpen();
    const { bulk } = await import("./bulk.ts");
    yield* bulk(this, verb, options);
  }

  /** The schedules of this store, by name: those that workers serve, and those that no worker was given any more. */
  schedules(): Promise<ScheduleView[]> {
    return viewSchedules(this.#store);
  }

  /**
   * Starts a run of a schedule now, also beside one that is unfinished. The next instant is passed over while this one is,
   * with `overlap: 'skip'`.
   *
   * @throws PAWL_SCHEDULE_NOT_FOUND, PAWL_ROW_CORRUPT, PAWL_OUTCOME_UNKNOWN, PAWL_STORE_FULL, PAWL_READ_ONLY, PAWL_CLOSED
   */
  async runSchedule(name: string): Promise<Run<unknown>> {
    this.#home.checkOpen();
    const id = await runSchedule(this.#store, name, this.#seams.clock.now(), this.#seams.random);
    this.#home.starts.offered();
    return new Run<unknown>(this.#home, id);
  }

  /** How the new version of a rollout does, and whether it is still started. */
  rollout(of: Rollout): Promise<RolloutView> {
    return viewRollout(this.#store, of);
  }

  /**
   * Deletes runs that ended long ago, with all that belongs to them, in small steps beside busy workers. Stopped at any
   * moment, the next one goes on.
   *
   * @throws PAWL_INVALID_VALUE, PAWL_READ_ONLY
   */
  async prune(options: PruneOptions): Promise<Pruned> {
    const { prune } = await import("./prune.ts");
    return prune(this.#store, this.#seams.clock, options);
  }

  /**
   * Changes what this process was opened with, while it runs: attempts and runs beyond a lower number go on, and none starts
   * until there are fewer. What is not named stays as it is.
   *
   * @throws PAWL_INVALID_VALUE
   */
  change(options: ChangeOptions): void {
    this.#home.checkOpen();
    this.#home.starts.change(options);
  }

  /** Calls back with each commit of any run of this process, once it is durable. Answers what ends it. */
  subscribe(listener: (change: RunChange) => void): () => void {
    return this.#home.changes.add(listener);
  }

  /**
   * Calls back with what happens in the runs of this process, once it is durable: what their histories say, as
   * `'run.failed'`, and what machines emit; `'*'` hears all of it. Answers what ends it. Who listens right after `open()` also
   * hears what machines emitted and a crash has left untold. What other processes do is in `changes`.
   *
   * @example
   * ```ts
   * const stop = pawl.on('node.failed', ({ node, message }, { runId }) => console.error(runId, node, message));
   * ```
   */
  on<Type extends HistoryType>(type: Type, listener: HistoryListener<Type>): () => void;
  on(type: string, listener: EventListener): () => void;
  on(type: string, listener: (event: any, from: any) => void): () => void {
    return listen(this.#home, type, listener);
  }

  /**
   * What happens in all runs of the store, in whatever process, in the order of the commits: what is kept of it first, then
   * what comes, without an end. Each comes at least once, with an `id`; who keeps its `cursor` goes on there later.
   *
   * @example
   * ```ts
   * for await (const { cursor, runId, events } of pawl.changes({ after, types: ['run.failed'] })) await keep(runId, events, cursor);
   * ```
   * @throws PAWL_INVALID_VALUE (no such type; a cursor of another store), PAWL_CLOSED
   */
  changes(options: ChangesOptions = {}): AsyncGenerator<StoredChange, void, undefined> {
    return readChanges(this.#home, options);
  }

  /**
   * The unfinished runs that this definition would not find as it left them: what is different, and what of each run it
   * no longer knows. Changes nothing.
   */
  compare(definition: Startable): AsyncGenerator<ComparedRun> {
    return compareRuns(this.#store, definitionOf(definition));
  }

  /** Asks now what is asked every 30 s: what should move and does not. */
  async reconcile(): Promise<void> {
    await this.#home.reconcile();
  }

  /**
   * Starts no further attempt, lets running ones end for `graceMs`, then aborts them; they run again in another worker, or
   * when it is opened next, at no cost to their retries. Other workers go on at once with what has nothing under way here.
   */
  close(options: CloseOptions = {}): Promise<void> {
    this.#schedules?.stop();
    return this.#home.close(options.graceMs ?? CLOSE_GRACE_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
