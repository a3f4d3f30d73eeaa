/**
 * One run of a DAG in memory: its workflow, supervisor and node actors, driven turn by turn.
 * 1. `apply` and `grant` are pure in their effect: they change memory and collect what is to be written and done.
 * 2. `takeCommit` gives what changed as one commit; what is to be done waits for `committed`.
 * 3. While a commit is in flight nothing is applied. Readiness is derived, never written.
 */
import type { EventEvent } from "../../machines/event.ts";
import { isGroup } from "../define/node-definition.ts";
import type { Plan } from "../define/plan.ts";
import { scaledPlan } from "../define/scaled-plan.ts";
import { type Commit, WAITS_FOR_EVENT } from "../store/store.ts";
import { Calls } from "./calls.ts";
import { FACT } from "./charts.ts";
import { decode, encode } from "./codec.ts";
import { DagRows, type Ending } from "./dag-rows.ts";
import { EditedInputs } from "./edited-inputs.ts";
import { type EventActor, EventNodes } from "./event-nodes.ts";
import { Failures } from "./failures.ts";
import type { GatedRun } from "./flow.ts";
import type { Pass } from "./pass.ts";
import { Graph, type RunNode } from "./graph.ts";
import { Groups } from "./groups.ts";
import type { DropCode, RunSeams } from "./hosted-run.ts";
import { type Lane, NO_LANE } from "./lane.ts";
import { LiveNodes } from "./live-nodes.ts";
import { WorkMeter } from "./meter.ts";
import { Abandoned, type NodeActor, type Stimulus, type StoredRun } from "./node-actor.ts";
import { NodeTimers, type Timed, type Timer } from "./node-timers.ts";
import { NodeTurns } from "./node-turns.ts";
import { Outgoing } from "./outgoing.ts";
import { override } from "./overriding.ts";
import { Phases } from "./phases.ts";
import type { Settled, Settling } from "./node-status.ts";
import { Progress } from "./progress.ts";
import type { CancelManner, InboxItem } from "./requests.ts";
import { restoreNodes } from "./restore-nodes.ts";
import { Results } from "./results.ts";
import { INPUT_KEY, type RunBody, runRow, valueRow } from "./row.ts";
import type { SendResult } from "./sends.ts";
import { Stages } from "./stages.ts";
import { Unwinding } from "./unwinding.ts";

/** A run that is so far is not held up. */
const UNPAUSABLE: ReadonlySet<string> = new Set(["collecting", "compensating"]);

export class DagRun implements GatedRun {
  readonly id: string;
  readonly plan: Plan;
  readonly definitionHash: string;
  readonly lane: Lane;
  readonly progress: Progress;
  commitNo: number;
  inFlight = false;
  readonly endsSoon = false;
  readonly underWay = new Map<string, Promise<SendResult>>();
  readonly #seams: RunSeams;
  readonly #inbox: Stimulus[] = [];
  readonly #results: Results;
  readonly #meter: WorkMeter;
  readonly #nodes: LiveNodes;
  readonly #graph: Graph;
  readonly #groups: Groups;
  readonly #events: EventNodes;
  readonly #timers: NodeTimers;
  readonly #failures = new Failures();
  readonly #edited = new EditedInputs();
  readonly #rows: DagRows;
  readonly #turns: NodeTurns;
  readonly #outgoing = new Outgoing();
  #isTerminated = false;
  #endedBefore: RunBody["endedBefore"];
  readonly #phases: Phases;
  readonly #unwinding: Unwinding;
  readonly #stages: Stages;
  readonly #abandoned = new Abandoned();
  #acts: (() => void)[] = [];
  #isAdvancing = false;

  constructor(id: string, defined: Plan, input: string, lane: Lane, seams: RunSeams, stored?: StoredRun) {
    const plan = (this.plan = scaledPlan(defined, seams.attempts.timeoutMultiplier));
    this.id = id;
    this.lane = lane;
    this.definitionHash = plan.hash;
    this.#seams = seams;
    this.#nodes = new LiveNodes(() => seams.released(), stored !== undefined);
    this.commitNo = stored?.commitNo ?? 0;
    this.#timers = new NodeTimers(
      seams.clock,
      () => seams.steadyNow(),
      (node, timer) => this.receive({ kind: "timer", node, timer }),
    );
    this.#meter = new WorkMeter(seams.clock, stored?.body.workedMs ?? 0);
    const graph = (this.#graph = stored?.graph ?? new Graph(plan));
    const progress = (this.progress = new Progress(graph, stored?.nodes));
    const edited = this.#edited;
    const results = (this.#results = new Results(graph, progress, input, edited));
    const rows = (this.#rows = new DagRows(id, plan.name, edited, seams));
    const calls = new Calls(this, seams, results, this.#failures, this.#nodes, edited, () => this.#cause);
    this.#unwinding = new Unwinding(graph, stored?.body.unwindsFrom);
    const act = (work: () => void): void => void this.#acts.push(work);
    this.#turns = new NodeTurns({
      ...{ id, run: this, seams, graph, progress, rows, calls, act, nodes: this.#nodes, timers: this.#timers, abandoned: this.#abandoned },
      quietly: (work) => this.#phases.quietly(work),
      began: (index) => this.#stages.began(index),
      ended: ({ node, snapshot: { context }, overridden, isDegraded }, status, output, failure) =>
        this.#settled(node, status, { ...context, ...(overridden && { alternative: 0 }), output, failure, isDegraded }, () =>
          progress.settle(node.index, status),
        ),
    });
    this.#groups = new Groups({
      ...{ graph, progress, results },
      now: () => seams.clock.now(),
      read: (missing, group) => act(() => calls.read(missing, (texts) => this.receive({ kind: "group", group, texts }))),
      opened: ({ index, since, opened }) => (this.#stages.began(index), rows.opened(graph.node(index), since, opened)),
      ended: ({ index, since, opened, overridden }, status, output, failure) => this.#ended(index, status, { since, opened, output, failure, overridden }),
      failureOf: (index) => this.#failures.ofSkipped(index),
    });
    this.#events = new EventNodes({
      ...{ graph, progress, act, timers: this.#timers },
      now: () => seams.steadyNow(),
      opened: ({ index, since }) => (this.#stages.began(index), rows.opened(graph.node(index), since)),
      cameEarly: (index, text) => rows.cameEarly(graph.node(index), text),
      ended: ({ index, since, overridden }, status, output, failure) => this.#ended(index, status, { since, output, failure, overridden }),
    });
    this.#phases = new Phases({
      ...{ id, plan, graph, progress, results, rows, calls, act, abandoned: this.#abandoned },
      ...{ failures: this.#failures, unwinding: this.#unwinding, nodes: this.#nodes, turns: this.#turns, groups: this.#groups, events: this.#events },
      advance: () => this.#advance(),
      outputsRead: (texts) => this.receive({ kind: "outputs", texts }),
    });
    this.#stages = new Stages({
      ...{ id, plan, graph, progress, rows, phases: this.#phases, turns: this.#turns, groups: this.#groups, events: this.#events },
      ...{ nodes: this.#nodes, failures: this.#failures, abandoned: this.#abandoned, advance: () => this.#advance(), now: () => seams.clock.now() },
      workedMs: () => this.#meter.workedMs,
    });
    if (stored !== undefined) this.#restore(stored);
    else rows.add(valueRow(id, INPUT_KEY, input));
  }

  get isPending(): boolean {
    return this.#phases.state === "pending";
  }

  get isPaused(): boolean {
    return this.#phases.state === "paused";
  }

  get queued(): number {
    return this.isPaused ? 0 : this.progress.queued;
  }

  get running(): number {
    return this.progress.running;
  }

  get held(): number {
    return this.#nodes.held;
  }

  get waitsForChild(): boolean {
    return this.running > 0 && this.held === 0 && this.queued + this.progress.parked === 0 && !this.hasWork && !this.isDirty && !this.inFlight;
  }

  wantsChild(childId: string): boolean {
    return this.#nodes.wantsChild(childId, this.id, this.#graph);
  }

  get finished(): boolean {
    return this.#phases.isOver;
  }

  get status(): string {
    return this.#phases.state === "collecting" ? "running" : this.#phases.state;
  }

  get wakeAt(): number | null {
    const { parked, inTransit } = this.progress;
    if (this.finished || this.queued + parked > 0 || this.running > 0 || inTransit > 0) return null;
    if (this.isPaused) return WAITS_FOR_EVENT;
    return this.#timers.earliest ?? (this.#events.isAwaited ? WAITS_FOR_EVENT : null);
  }

  get hasWork(): boolean {
    return this.#inbox.length > 0;
  }

  receive(stimulus: Stimulus): void {
    this.#inbox.push(stimulus);
    this.#seams.wake(this);
  }

  cancel(manner: CancelManner = {}): void {
    this.receive({ kind: "cancel", manner });
  }

  receiveInbox(items: readonly InboxItem[]): void {
    for (const item of this.#outgoing.fresh(items)) this.receive({ kind: "item", item });
  }

  reconcile(): void {
    if (!this.inFlight && !this.hasWork && this.progress.exhausted && !this.finished) this.receive({ kind: "exhausted" });
  }

  applyInbox(budget: number): number {
    const batch = this.#inbox.splice(0, budget);
    for (const stimulus of batch) this.#apply(stimulus);
    return budget - batch.length;
  }

  /** Applies what happened, to rest. */
  #apply(stimulus: Stimulus): void {
    switch (stimulus.kind) {
      case "cancel":
        return this.finished ? undefined : this.#cancel(stimulus.manner);
      case "item":
        return this.#take(stimulus.item);
      case "exhausted":
        return this.#phases.lookAround();
      case "alarm":
        return this.#stages.strike(stimulus.workedMs);
      case "group":
        return this.#phases.isActive ? (this.#groups.loaded(stimulus.group, stimulus.texts), this.#advance()) : undefined;
      case "step":
        return this.#turns.keepStep(stimulus.node, stimulus.attempt, stimulus.step);
      case "silent":
        return this.#turns.silent(stimulus.node, stimulus.attempt);
      case "outputs":
        return this.#phases.collect(stimulus.texts);
      case "timer":
        return this.#fired(stimulus.node, stimulus.timer);
      case "attempt":
        return this.#turns.outcome(stimulus.node, stimulus.attempt, stimulus.outcome);
    }
  }

  #fired(node: Timed, timer: Timer): void {
    if (node.timer !== timer) return;
    const of = node as NodeActor | EventActor;
    if (of.kind === "call") this.#turns.fired(of, timer);
    else this.#events.tell(of, timer.event as EventEvent);
  }

  /** What is asked of a run that has ended, or is about to, is left: who asked will find that it has. */
  #take(item: InboxItem): void {
    const { state } = this.#phases;
    if (item.kind === "dropped") return this.#outgoing.done(item, item.reply);
    if (item.kind === "event") return this.finished ? undefined : this.#takeEvent(item);
    if (this.finished ? item.kind !== "cancel" || state !== "cancelled" : item.kind === "pause" && UNPAUSABLE.has(state)) return;
    if (item.kind === "pause" || item.kind === "override") this.#phases.begin();
    if (item.kind === "override") return this.#override(item);
    if (item.kind === "cancel") this.#apply({ kind: "cancel", manner: item });
    else this.#phases.tellWorkflow(FACT[item.kind]);
    this.#outgoing.done(item);
  }

  #cancel({ now, keeps }: CancelManner): void {
    this.#isTerminated ||= now === true;
    this.#abandoned.manner = { ...(now && { now }), ...(keeps && { keeps }) };
    const undoes = keeps !== true && (this.#unwinding.hasAny || this.#nodes.haveUndo);
    this.#phases.tellWorkflow(now ? FACT.terminate : undoes ? FACT.cancelUndoing : FACT.cancel);
  }

  #override(item: InboxItem & { readonly kind: "override" }): void {
    const { id, progress } = this;
    const parts = { graph: this.#graph, nodes: this.#nodes, turns: this.#turns, events: this.#events, groups: this.#groups, failures: this.#failures };
    const now = (): number => this.#seams.clock.now();
    this.#outgoing.done(item, override(item.override, { id, progress, ...parts, phases: this.#phases, abandoned: this.#abandoned, now }));
    this.#advance();
  }

  #takeEvent(item: InboxItem & { readonly kind: "event" }): void {
    const { type, data } = decode(item.event) as { readonly type: string; readonly data: unknown };
    const handled = this.#events.receive(this.plan.indexOf.get(type)!, encode(data));
    this.#outgoing.sent(item, { handled, value: this.status, changed: handled, duplicate: false });
    this.#advance();
  }

  grant(): void {
    if (this.isPending) this.#phases.begin();
    else this.#turns.grant();
  }

  grantParked(index: number, pass: Pass): boolean {
    return this.#turns.grantParked(index, pass);
  }

  // ---- turns, depth first: node → supervisor → workflow (phases.ts)

  #settled(node: RunNode, status: Settled, { attempt = 0, alternative = 0, output, failure, isDegraded }: Settling, settle: () => void): void {
    const { index, undoes, recovers } = node;
    if (recovers !== undefined) return this.#stages.actionEnded(node, output, failure, settle);
    if (undoes !== undefined) this.#unwinding.undone(undoes, status === "completed");
    else {
      if (output !== undefined) this.#results.keep(index, output);
      if (status !== "failed") this.#failures.forget(index);
      this.#results.readerSettled(index);
      if (failure !== undefined) this.#failures.note(node, status, failure, { alternative, attempt });
      if (isDegraded) this.#failures.degrade();
      this.#unwinding.ended(node, status, attempt, failure, this.commitNo + 1);
    }
    if (!this.#phases.isActive) return;
    settle();
    this.#stages.around(() => this.#phases.settled(index, status, failure));
  }

  /** Opens and closes what is to be, until all of it waits for something. */
  #advance(): void {
    if (this.#isAdvancing) return;
    this.#isAdvancing = true;
    for (let index = this.progress.takeTransit(); index !== undefined; index = this.progress.takeTransit())
      if (isGroup(this.plan.nodes[index]!.kind)) this.#groups.advance(index);
      else this.#events.open(index);
    this.#isAdvancing = false;
  }

  #ended(index: number, status: Settled, ending: Ending): void {
    const node = this.plan.nodes[index]!;
    if (ending.overridden?.outcome === "completed") this.#results.isSet(index);
    this.#rows.ended(node, status, ending);
    this.#settled(node, status, ending, () =>
      node.kind === "event" ? this.progress.settleAwaited(index, status) : this.progress.settleInTransit(index, status),
    );
  }

  // ---- commits

  /** Also what is only to be done, such as reading results back, waits for a commit. */
  get isDirty(): boolean {
    return !this.#rows.isEmpty || !this.#outgoing.isEmpty || this.#acts.length > 0;
  }

  takeCommit(epoch: number): Commit {
    this.inFlight = true;
    this.#meter.working = !this.finished && !this.isPaused && this.queued + this.progress.parked + this.running + this.progress.inTransit > 0;
    const { commitNo, plan } = this;
    const { degraded, failure, unwinds } = this.#phases.context;
    const body: RunBody = {
      ...{ state: this.#phases.state, workedMs: this.#meter.workedMs, degraded, failure },
      ...(this.#isTerminated && { terminated: true }),
      ...(unwinds !== undefined && { unwinds, unwindsFrom: this.#unwinding.from(commitNo + 1), undoFailed: this.#unwinding.failed }),
      ...(this.lane !== NO_LANE && { lane: this.lane }),
      ...(this.#endedBefore !== undefined && { endedBefore: this.#endedBefore }),
    };
    return {
      runId: this.id,
      from: commitNo,
      epoch,
      at: this.#seams.clock.now(),
      run: runRow(this.id, commitNo + 1, plan, this, body),
      ...this.#rows.take(),
      ...this.#outgoing.take(commitNo + 1),
      ...this.#abandoned.takePosts(),
    };
  }

  committed(): void {
    this.inFlight = false;
    this.commitNo++;
    this.#rows.committed();
    this.#outgoing.committed();
    this.#abandoned.tell();
    const acts = this.#acts;
    this.#acts = [];
    for (const act of acts) act();
    if (this.finished) this.#meter.disarm();
    else this.#meter.arm(this.#stages.nextMs, (workedMs) => this.receive({ kind: "alarm", workedMs }));
  }

  drop(code: DropCode): void {
    this.#abandoned.tell();
    this.#meter.working = false;
    this.#events.drop();
    for (const node of this.#nodes.drop(code)) this.#timers.clear(node);
    this.#inbox.length = 0;
    this.#acts = [];
  }

  #restore({ body, nodes, stages, wakeAt }: StoredRun): void {
    // attempts ran when it was stored, and are gone: that is to be written, as nothing else may be for long
    if (body.state === "paused" && wakeAt === null) this.#rows.history.run("run.recovered");
    this.#endedBefore = body.endedBefore;
    this.#phases.restore(body);
    this.#stages.restore(stages);
    const parts = { graph: this.#graph, failures: this.#failures, results: this.#results, groups: this.#groups, events: this.#events };
    const more = { edited: this.#edited, nodes: this.#nodes, timers: this.#timers, rows: this.#rows, unwinding: this.#unwinding };
    restoreNodes(nodes, this.#seams, { ...parts, ...more, state: body.state, nextCommitNo: this.commitNo + 1 });
  }

  resume(): void {
    if (this.#phases.state !== "pending" && this.#rows.history.isEmpty) this.#rows.history.recovered();
    this.#stages.resume();
    this.#phases.resume();
  }

  /** Why the run is unwound, as compensations are told. */
  get #cause(): { readonly code: string; readonly message: string; readonly node: string } | undefined {
    const { failure } = this.#phases.context;
    return failure === undefined ? undefined : { code: failure.code, message: failure.message, node: failure.node ?? "" };
  }
}
