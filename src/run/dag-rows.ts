/**
 * What a DAG run writes with its next commit: rows, and the history of what they say.
 */
import type { Failure } from "../../machines/node.ts";
import type { ActorRecord } from "../store/store.ts";
import type { EditedInputs } from "./edited-inputs.ts";
import { WITHOUT_END_MS } from "./event-nodes.ts";
import { type RunNode, baseOf, isDerived } from "./graph.ts";
import { HistoryWriter, NODE_EVENTS, UNDO_EVENTS } from "./history.ts";
import { attemptEnded, attemptStarted } from "./attempt-marks.ts";
import type { RunSeams } from "./hosted-run.ts";
import type { AttemptMark } from "./metering.ts";
import { type NodeActor, isOwnRun, countsOf, nodeRow, openingOf } from "./node-actor.ts";
import type { NodeStatus, Settled } from "./node-status.ts";
import { type NodeBody, type OverrideNote, actorRow, nodeBodyText } from "./row.ts";

/** How a group or event has ended. */
export interface Ending {
  readonly since: number;
  readonly opened?: number | undefined;
  readonly output: string | undefined;
  readonly failure: Failure | undefined;
  /** Somebody said so. */
  readonly overridden?: OverrideNote | undefined;
}

/** Until when an event is awaited. */
export function dueOf({ kind, policy }: RunNode, since: number): { readonly dueAt?: number } {
  return kind === "event" && policy.timeoutMs < WITHOUT_END_MS ? { dueAt: since + policy.timeoutMs } : {};
}

/** Of those that end so, the history does not say why. */
const WITHOUT_REASON: ReadonlySet<string> = new Set(["completed", "notTaken"]);

export class DagRows {
  readonly history = new HistoryWriter();
  readonly runId: string;
  readonly #seams: Pick<RunSeams, "clock" | "steadyNow" | "epoch">;
  readonly #edited: EditedInputs;
  /** Is told what happened to attempts, once that is durable. */
  readonly #count: ((mark: AttemptMark) => void) | undefined;
  #rows: ActorRecord[] = [];
  #marks: AttemptMark[] = [];
  /** Of the commit that is under way. */
  #taken: AttemptMark[] = [];

  constructor(runId: string, workflow: string, edited: EditedInputs, seams: Pick<RunSeams, "clock" | "steadyNow" | "epoch" | "attempts">) {
    this.runId = runId;
    this.#edited = edited;
    this.#seams = seams;
    this.#count = seams.attempts.meter?.attempts(workflow);
  }

  get isEmpty(): boolean {
    return this.#rows.length === 0 && this.history.isEmpty;
  }

  add(row: ActorRecord): void {
    this.#rows.push(row);
  }

  /**
   * An attempt started. A call that can be undone, or is a run of its own, has a row from then on: after a crash it is known
   * that it may have done something, or goes on.
   */
  granted(actor: NodeActor): void {
    const { node, snapshot } = actor;
    if (this.#count !== undefined) this.#marks.push(attemptStarted(actor));
    const { attempt } = snapshot.context;
    if (node.compensate !== undefined || (isOwnRun(actor) && !isDerived(node))) this.underWay(actor);
    if (node.undoes === undefined) this.history.started(node.id, openingOf(this.runId, actor), attempt);
    else this.history.node("node.compensating", baseOf(node), attempt);
  }

  /** An attempt of which a crash must leave a trace. */
  underWay({ node, snapshot: { context }, since }: NodeActor): void {
    const { attempt, failure } = context;
    this.written(node, "running", { attempt, startedAt: since, ...(failure && { failure }), ...countsOf(context), ...this.#edited.of(node.index) });
  }

  /** A call has ended, backs off, or is to be recovered. With `isTurned` an alternative has taken over. */
  called(actor: NodeActor, output: string | null, isTurned = false): void {
    const { node, snapshot } = actor;
    const { value, context } = snapshot;
    if (this.#count !== undefined) this.#marks.push(...attemptEnded(actor, this.#seams.clock.now()));
    const { clock, epoch } = this.#seams;
    const endedAt = value === "backingOff" ? this.#seams.steadyNow() : clock.now();
    this.add(nodeRow(this.runId, actor, { endedAt, epoch }, output, this.#edited.of(node.index)));
    if (actor.overridden !== undefined) this.history.overridden(node.id, actor.overridden);
    if (value === "recovering") return this.history.actionBegins(node.id, context.attempt, context.failure!);
    const type = node.undoes !== undefined ? UNDO_EVENTS[value]! : isTurned ? "node.alternative" : NODE_EVENTS[value]!;
    this.history.node(type, baseOf(node), context.attempt, WITHOUT_REASON.has(value) ? undefined : context.failure);
  }

  /** A row of which history has nothing to say. */
  written({ id }: RunNode, status: NodeStatus, body: NodeBody): void {
    this.add(actorRow(this.runId, id, status, nodeBodyText(body), null));
  }

  /** A group is open, or an event is awaited. */
  opened(node: RunNode, since: number, opened?: number): void {
    const { id, kind, branches } = node;
    const due = dueOf(node, since);
    const { epoch } = this.#seams;
    this.written(node, "running", { attempt: 0, startedAt: since, ...(opened !== undefined && { opened }), ...due, ...(kind === "event" && { epoch }) });
    const branch = branches?.[opened ?? -1]?.name;
    this.history.started(id, { ...(kind === "map" && { items: opened ?? 0 }), ...(branch !== undefined && { branch }), ...due });
  }

  /** A group or event has ended. */
  ended({ id }: RunNode, status: Settled, { since, opened, output, failure, overridden }: Ending): void {
    const endedAt = this.#seams.clock.now();
    const why = { ...(failure !== undefined && { failure }), ...(overridden !== undefined && { overridden }) };
    const body = { attempt: 0, startedAt: since, endedAt, ...(opened !== undefined && { opened }), ...why };
    if (overridden !== undefined) this.history.overridden(id, overridden);
    this.add(actorRow(this.runId, id, status, nodeBodyText(body), output ?? null));
    this.history.node(NODE_EVENTS[status]!, id, 0, WITHOUT_REASON.has(status) ? undefined : failure);
  }

  /** An event came before the run got there. */
  cameEarly({ id }: RunNode, text: string): void {
    this.add(actorRow(this.runId, id, "waiting", nodeBodyText({ attempt: 0, startedAt: this.#seams.clock.now() }), text));
  }

  take(): { readonly actors: readonly ActorRecord[]; readonly history: string } {
    const actors = this.#rows;
    this.#rows = [];
    this.#taken = this.#marks;
    this.#marks = [];
    return { actors, history: this.history.take() };
  }

  /** What was taken is durable. */
  committed(): void {
    for (const mark of this.#taken) this.#count!(mark);
    this.#taken = [];
  }
}
