/**
 * The handle of a run: its result, what became of it, and a way to stop it. Holds nothing but its id.
 */
import type { Duration } from "../define/duration.ts";
import { PawlError } from "../errors.ts";
import type { HistoryEntry } from "./history.ts";
import type { Clock } from "../clock.ts";
import type { Store } from "../store/store.ts";
import type { MachineDefinition } from "./machine-definition.ts";
import type { SendOptions, SentEvent } from "./machine-door.ts";
import type { Again } from "./again.ts";
import type { Checkpoint } from "./checkpoints.ts";
import type { ForkRunOptions } from "./fork.ts";
import type { ForkOptions, ForkPlan } from "./fork-plan.ts";
import type { OverriddenNode, OverrideOptions, OverrideOutcome } from "./override.ts";
import type { Reopened } from "./reopen.ts";
import type { Request } from "./requests.ts";
import type { SendResult } from "./sends.ts";
import type { RunStream, StreamOptions, Streams } from "./streams.ts";
import type { Why } from "./why.ts";
import type { Worker } from "./worker.ts";
import type { AnyEvent, AnySnapshot } from "./xstate/actor.ts";
import { readNodeResult } from "./node-result.ts";
import { type ActorView, viewActors } from "./machine-view.ts";
import type { StageView } from "./stage-view.ts";
import { type NodeView, type RunDefinition, type RunView, isOver, readHistory, requireRun, viewDefinition, viewNodes, viewRun } from "./view.ts";

/** How a run is cancelled. */
export interface CancelOptions {
  /** At once: nothing that would undo what was done is run, nor in runs of its own; also when no worker runs on the store. Default false. */
  readonly now?: boolean;
  /** `false`: nothing that was done is undone, though its compensations are declared. Default true. */
  readonly compensate?: boolean;
  /** How long another process may take to answer. Default '30s'. */
  readonly timeout?: Duration;
}

/** How something is asked of a run, wherever it is. */
export interface RequestOptions {
  /** How long to wait for the answer. Default '30s'. */
  readonly timeout?: Duration;
}

/** What of a run is tried again. */
export interface RetryRunOptions {
  /** Of the failed nodes only these; the others stay failed, and the run will. */
  readonly nodes?: readonly string[];
  /**
   * Inputs that failed nodes are given from now on, by the ids of the nodes, instead of what the definition makes of results.
   * The idempotency key of such a node ends in the next number, as `RUN/NODE#2`, and what its agent kept of its steps is gone.
   */
  readonly input?: Readonly<Record<string, unknown>>;
}

/** A wait for the end of a run; to be forgotten when nobody waits any more. */
export interface EndWatch {
  readonly promise: Promise<void>;
  /** The run is in memory here: it has not ended. */
  readonly isUnderWay: boolean;
  forget(): void;
}

/** What a handle needs from the pawl that gave it. */
export interface RunHome {
  /** Where this process executes. */
  readonly worker: Worker | undefined;
  readonly store: Store;
  readonly clock: Clock;
  readonly isClosing: boolean;
  /** Is a run of this id about to be written here? */
  isStarting(id: string): boolean;
  send(id: string, event: SentEvent, options: SendOptions): Promise<SendResult>;
  snapshot(id: string, definition: MachineDefinition): Promise<AnySnapshot>;
  /** Calls back with each change of the run, wherever it is; answers what ends it. */
  onChange(id: string, listener: () => void): () => void;
  on(type: string, listener: (event: AnyEvent, from: { readonly runId: string }) => void): () => void;
  /** Waits until something final may have happened to the run: it ended, left this process, or a poll is due. */
  watchEnd(id: string): EndWatch;
  /** Throws when the run waits for a definition that this process does not have. */
  checkClaimable(definition: string, workflow: string, id: string): Promise<void>;
  cancel(id: string, options: CancelOptions): Promise<void>;
  request(id: string, request: Request, options: RequestOptions): Promise<void>;
  resume(id: string, options: RequestOptions): Promise<void>;
  override(id: string, node: string, outcome: OverrideOutcome, options: OverrideOptions): Promise<OverriddenNode>;
  readonly again: Again;
  readonly streams: Streams;
}

export class Run<Output> {
  readonly id: string;
  readonly #pawl: RunHome;

  /** Not for use outside: see `pawl.start` and `pawl.run`. */
  constructor(pawl: RunHome, id: string) {
    this.#pawl = pawl;
    this.id = id;
  }

  /**
   * The run's output, once it has ended.
   *
   * @throws PAWL_RUN_FAILED, PAWL_RUN_TIMED_OUT, PAWL_RUN_CANCELLED, PAWL_RUN_QUARANTINED when it ended otherwise,
   * PAWL_DEFINITION_CHANGED or PAWL_DEFINITION_MISSING when it cannot go on here, PAWL_CLOSED, PAWL_STORE_FAILED
   */
  async result(): Promise<Output> {
    return outputOf(await this.ended()) as Output;
  }

  /** What became of the run, once it has ended, however it ended. */
  async ended(): Promise<RunView> {
    for (;;) {
      const watch = this.#pawl.watchEnd(this.id);
      try {
        if (!watch.isUnderWay) {
          const record = await this.#pawl.store.readRun(this.id);
          if (record !== undefined && isOver(record.status)) return await viewRun(this.#pawl.store, record);
          if (record === undefined && !this.#pawl.isStarting(this.id)) await requireRun(this.#pawl.store, this.id);
          if (record !== undefined) await this.#pawl.checkClaimable(record.definition, record.workflow, this.id);
        }
        await watch.promise;
      } finally {
        watch.forget();
      }
    }
  }

  /**
   * The run as it is stored now. `waitingFor.awaited` has the events that a workflow's run waits for, each with the JSON
   * Schema of its fields, so that a form can be made of it.
   *
   * @example
   * ```ts
   * const { waitingFor } = await run.status();
   * for (const { type, schema, dueAt } of waitingFor?.awaited ?? []) showForm(type, schema, dueAt, (fields) => run.send({ ...fields, type }));
   * ```
   * @throws PAWL_RUN_NOT_FOUND
   */
  async status(): Promise<RunView> {
    return viewRun(this.#pawl.store, await requireRun(this.#pawl.store, this.id));
  }

  /**
   * Why the run stands where it does: what it waits for, or what it failed of, those causes first that others follow from, each
   * with its remedy; beneath a run that is waited for, why of that one. From any process, also without the workflow's code.
   *
   * @example
   * ```ts
   * const { causes, recoverable, next } = await run.why();
   * for (const { kind, message } of causes) console.log(kind, message);
   * console.log(recoverable, next);
   * ```
   * @throws PAWL_RUN_NOT_FOUND, PAWL_ROW_CORRUPT
   */
  async why(): Promise<Why> {
    const { whyRun } = await import("./why.ts");
    return whyRun(this.#pawl.store, this.#pawl.clock, this.id, this.#pawl.worker);
  }

  /** Its nodes, in the order of the definition. @throws PAWL_NOT_A_WORKFLOW for a run of a machine */
  nodes(): Promise<NodeView[]> {
    return viewNodes(this.#pawl.store, this.id);
  }

  /** Its stages, in the order of the definition: how far each is, since when. @throws PAWL_NOT_A_WORKFLOW for a run of a machine */
  async stages(): Promise<StageView[]> {
    const { viewStages } = await import("./stage-view.ts");
    return viewStages(this.#pawl.store, this.id);
  }

  /**
   * What a node gave, also in a run that failed or has not ended; undefined when it has not completed. Items and rounds are
   * named `id[0]`, `id[1]`, …
   *
   * @example
   * ```ts
   * const notes = await run.nodeResult('web');
   * ```
   * @throws PAWL_UNKNOWN_REFERENCE when there is no such node, PAWL_NOT_A_WORKFLOW for a run of a machine
   */
  nodeResult(node: string): Promise<unknown> {
    return readNodeResult(this.#pawl.store, this.id, node);
  }

  /** The actors of a machine's run as they were committed last, parents first. @throws PAWL_NOT_A_MACHINE for a run of a workflow */
  async actors(): Promise<ActorView[]> {
    return viewActors(this.#pawl.store, await requireRun(this.#pawl.store, this.id));
  }

  /** What it was defined as, as data: also where its code is not. */
  async definition(): Promise<RunDefinition> {
    return viewDefinition(this.#pawl.store, await requireRun(this.#pawl.store, this.id));
  }

  /** What happened, commit by commit, from the first or after a commit number. */
  history(afterCommitNo = 0): AsyncGenerator<HistoryEntry> {
    return readHistory(this.#pawl.store, this.id, afterCommitNo);
  }

  /**
   * Cancels the run, in whatever process it is, and the runs of its own: running attempts are aborted, nothing more starts. An
   * agent that ignores its signal holds up nothing; its answer is passed over. Only where compensations are declared the end of
   * running attempts is waited for, each no longer than its `timeout` (or `heartbeat`) from then on, before what was done is
   * undone. Resolves when it is on the disk.
   *
   * @throws PAWL_SEND_PENDING when nobody could do it yet: it is recorded, and will be done
   */
  cancel(options: CancelOptions = {}): Promise<void> {
    return this.#pawl.cancel(this.id, options);
  }

  /**
   * Holds the run: no attempt starts until `resume`, running ones go on, events are kept, and timers wait. Resolves when
   * it is on the disk.
   *
   * @throws PAWL_RUN_ENDED, PAWL_SEND_PENDING when nobody could do it yet: it is recorded, and will be done
   */
  pause(options: RequestOptions = {}): Promise<void> {
    return this.#pawl.request(this.id, { kind: "pause" }, options);
  }

  /**
   * Lets a paused run go on; or continues a workflow's run that was cancelled or reached its timeout: what was cut off runs
   * again, what was reached stays.
   *
   * @throws as `pause`, and PAWL_RUN_NOT_RETRYABLE
   */
  resume(options: RequestOptions = {}): Promise<void> {
    return this.#pawl.resume(this.id, options);
  }

  /**
   * Runs again what failed or was cut off in a workflow's run that has ended, and what was blocked by it, in place: with the
   * same idempotency keys and a fresh count of attempts. Results that were reached stay. Any worker takes it on. Of two at once
   * one does it; the other is told in `data.won` what was done.
   *
   * @example
   * ```ts
   * await run.retry({ input: { web: { q: 'ratchets -wrench' } } });
   * ```
   * @throws PAWL_RUN_NOT_RETRYABLE, PAWL_INVALID_VALUE when a node of `nodes` or `input` did not fail
   */
  retry(options: RetryRunOptions = {}): Promise<Reopened> {
    return this.#pawl.again.retry(this.id, options);
  }

  /**
   * Sets how a node ends, whatever it does now: it waits, runs (its attempt is given up, a run of its own is cancelled), backs off,
   * is an event that is awaited, an item of a map, has failed, or is blocked. A group, such as a map, ends with all that it is made
   * of: parts that have not ended are `notTaken`, or fail with it. When the run has ended and the node has not ended well, the run
   * goes on from there, as by `retry`. Who did it and why is in the history. Resolves when it is on the disk.
   *
   * The result is checked by the schema of the node's agent, where the run is; of a run that has ended here, so this process must
   * have been given its definition. What a choice gives has no schema.
   *
   * @example
   * ```ts
   * await run.override('web', { result: { notes: 'none' } }, { by: 'ana', reason: 'the service is gone' });
   * ```
   * @throws PAWL_NODE_SETTLED when the node has ended otherwise, PAWL_OUTPUT_INVALID, PAWL_INVALID_VALUE (no such node),
   * PAWL_DEFINITION_MISSING (it cannot be checked), PAWL_NOT_A_WORKFLOW, PAWL_RUN_ENDED when the run ended meanwhile, PAWL_RUN_NOT_RETRYABLE, PAWL_SEND_PENDING when nobody
   * could do it yet: it is recorded, and will be done
   */
  override(node: string, outcome: OverrideOutcome, options: OverrideOptions = {}): Promise<OverriddenNode> {
    return this.#pawl.override(this.id, node, outcome, options);
  }

  /** The commits of the run, from the first, and which of them it can be forked from. */
  checkpoints(): AsyncGenerator<Checkpoint> {
    return this.#pawl.again.checkpoints(this.id);
  }

  /** Says what `fork` would do: what is kept, and what runs again. Changes nothing. Throws as `fork`. */
  planFork(options: ForkOptions): Promise<ForkPlan> {
    return this.#pawl.again.planFork(this.id, options);
  }

  /**
   * Makes a new run that begins with what this one had: before a node, or at a commit. This one stays as it is. Any worker
   * takes the new one on.
   *
   * @example
   * ```ts
   * const again = await run.fork({ from: 'write', set: { 'plan.result.style': 'short' } });
   * console.log(again.id, await again.result());
   * ```
   * @throws PAWL_INVALID_VALUE (no such node, commit or path; or what the run had done was undone by then, `data.last` being the
   * last commit before that), PAWL_CHECKPOINT_GONE, PAWL_NOT_A_WORKFLOW (a machine's run has no nodes), PAWL_INPUT_INVALID, PAWL_RUN_CONFLICT (the new id is taken), PAWL_RUN_QUARANTINED
   */
  async fork(options: ForkRunOptions): Promise<this> {
    return this.sibling(await this.#pawl.again.fork(this.id, options));
  }

  /**
   * Sends the run an event: of a workflow one that it waits for by `wf.event`, of a machine any that it declares. Resolves
   * when it is on the disk, with what came of it. One that comes before the run gets there is kept.
   *
   * @example
   * ```ts
   * await run.send({ type: 'approval', approved: true });
   * ```
   * @throws PAWL_EVENT_REFUSED, PAWL_EVENT_UNHANDLED with `strict`, PAWL_RUN_ENDED, PAWL_SEND_PENDING when nobody could take
   * it yet: it is recorded, and will be applied once
   */
  send(event: SentEvent & Readonly<Record<string, unknown>>, options: SendOptions = {}): Promise<SendResult> {
    return this.#pawl.send(this.id, event, options);
  }

  /**
   * What its agents stream by `ctx.stream` from now on, when it runs in this process; while another process has the run nothing
   * is heard: there, look at the progress in `run.nodes()`. Ends when the run does. Nothing is stored: what nobody listened to is
   * gone, and a reader that is slow is told by `missed` how many chunks it has lost. When `attempt` grows, what came before is
   * of an attempt that failed.
   *
   * @example
   * ```ts
   * for await (const { node, chunk } of run.stream<string>()) process.stdout.write(chunk);
   * ```
   * @throws PAWL_INVALID_VALUE; while it is read PAWL_RUN_NOT_FOUND, PAWL_CLOSED, PAWL_STORE_FAILED
   */
  stream<Chunk = unknown>(options: StreamOptions = {}): RunStream<Chunk> {
    return this.#pawl.streams.listen(this.#pawl, this.id, options);
  }

  /** A handle like this of another run. */
  protected sibling(id: string): this {
    return new Run<Output>(this.#pawl, id) as this;
  }
}

/** The output of a run that has ended. Throws when it has not completed. */
export function outputOf(run: RunView): unknown {
  if (run.status === "completed") return run.output;
  throw endError(run);
}

function endError(run: RunView): PawlError {
  const { failure } = run;
  const where = failure?.node === undefined ? "" : ` at node "${failure.node}"`;
  if (run.status === "timedOut") return new PawlError("PAWL_RUN_TIMED_OUT", { message: `run "${run.id}" reached its timeout`, data: run });
  if (run.status === "cancelled") return new PawlError("PAWL_RUN_CANCELLED", { message: `run "${run.id}" was cancelled`, data: run });
  if (run.status === "quarantined") return new PawlError("PAWL_RUN_QUARANTINED", { message: `run "${run.id}" was set aside: ${run.reason}`, data: run });
  const isUndone = run.compensated || run.compensationFailed.length > 0;
  return new PawlError("PAWL_RUN_FAILED", {
    message: `run "${run.id}" failed${where}: ${failure?.message ?? "unknown"}`,
    ...(isUndone && { next: "see `pawl why RUN`: what it had done was undone; start it again under another id" }),
    data: run,
  });
}
