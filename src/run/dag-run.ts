/**
 * One run of a DAG in memory: its workflow, supervisor and node actors, driven turn by turn.
 * 1. `apply` and `grant` are pure in their effect: they change memory and collect what is to be written and done.
 * 2. `takeCommit` gives what changed as one commit; what is to be done waits for `committed`.
 * 3. While a commit is in flight nothing is applied. Readiness is derived, never written.
 */
import type { NodeContext, NodeEvent } from "../../machines/node.ts";
import type { SupervisorEvent } from "../../machines/supervisor.ts";
import type { WorkflowEvent } from "../../machines/workflow.ts";
import type { Plan } from "../define/plan.ts";
import type { ActorRecord, Commit, InboxRecord } from "../store/store.ts";
import { Attempt, type Outcome } from "./attempt.ts";
import {
  FACT,
  type NodeSnapshot,
  SUPERVISOR_INPUT,
  type SupervisorSnapshot,
  TIMER,
  type WorkflowSnapshot,
  nodeChart,
  supervisorChart,
  workflowChart,
} from "./charts.ts";
import { encode } from "./codec.ts";
import { failureOf } from "./failure.ts";
import { Failures } from "./failures.ts";
import { HistoryWriter, NODE_EVENTS, RUN_EVENTS } from "./history.ts";
import { WorkMeter } from "./meter.ts";
import { NodeTimers } from "./node-timers.ts";
import { CANCEL_BODY, type DropCode, type HostedRun, type RunSeams } from "./hosted-run.ts";
import { Abandoned, type NodeActor, type Stimulus, type StoredRun, nodeRow } from "./node-actor.ts";
import { Progress, type Settled } from "./progress.ts";
import { Results, type Texts } from "./results.ts";
import { INPUT_KEY, type NodeBody, OUTPUT_KEY, SUPERVISOR_KEY, actorRow, runBodyText, runChecksum, valueRow } from "./row.ts";

export class DagRun implements HostedRun {
  readonly id: string;
  readonly plan: Plan;
  readonly progress: Progress;
  commitNo: number;
  inFlight = false;
  readonly endsSoon = false;
  readonly #seams: RunSeams;
  readonly #inbox: Stimulus[] = [];
  readonly #results: Results;
  readonly #meter: WorkMeter;
  readonly #nodes = new Map<number, NodeActor>();
  readonly #timers: NodeTimers;
  readonly #failures = new Failures();
  readonly #history = new HistoryWriter();
  #workflow: WorkflowSnapshot;
  #supervisor: SupervisorSnapshot | undefined;
  #rows: ActorRecord[] = [];
  readonly #abandoned = new Abandoned();
  #acts: (() => void)[] = [];

  constructor(id: string, plan: Plan, input: string, seams: RunSeams, stored?: StoredRun) {
    this.id = id;
    this.plan = plan;
    this.#seams = seams;
    this.#results = new Results(plan, input);
    this.commitNo = stored?.commitNo ?? 0;
    this.#timers = new NodeTimers(
      seams.clock,
      () => seams.steadyNow(),
      (node, timer) => this.receive({ kind: "timer", node, timer }),
    );
    this.#meter = new WorkMeter(seams.clock, stored?.body.workedMs ?? 0);
    this.progress = new Progress(
      plan,
      stored?.nodes.map(({ index, status }) => [index, status] as const),
    );
    this.#workflow = workflowChart.initial(plan).snapshot;
    if (stored !== undefined) this.#restore(stored);
    else {
      this.#rows.push(valueRow(id, INPUT_KEY, input));
      this.#inbox.push({ kind: "begin" });
    }
  }

  get queued(): number {
    return this.progress.queued;
  }

  get running(): number {
    return this.progress.running;
  }

  get finished(): boolean {
    return this.#workflow.status === "done";
  }

  get status(): string {
    return this.#workflow.value === "collecting" ? "running" : this.#workflow.value;
  }

  get wakeAt(): number | null {
    if (this.finished || this.queued > 0 || this.running > 0) return null;
    return this.#timers.earliest;
  }

  get hasWork(): boolean {
    return this.#inbox.length > 0;
  }

  receive(stimulus: Stimulus): void {
    this.#inbox.push(stimulus);
    this.#seams.wake(this);
  }

  cancel(): void {
    this.receive({ kind: "cancel" });
  }

  receiveInbox(rows: readonly InboxRecord[]): void {
    if (rows.some(({ body }) => body === CANCEL_BODY)) this.cancel();
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
      case "begin":
        return this.#tellWorkflow(FACT.started);
      case "cancel":
        return this.finished ? undefined : this.#tellWorkflow(FACT.cancel);
      case "exhausted":
        return this.progress.exhausted ? this.#tellSupervisor(FACT.exhausted) : undefined;
      case "timeout":
        return this.finished ? undefined : this.#tellWorkflow(TIMER.runTimedOut);
      case "outputs":
        return this.#workflow.value === "collecting" ? this.#collectOutput(stimulus.texts) : undefined;
      case "timer":
        return stimulus.node.timer === stimulus.timer ? this.#tellNode(stimulus.node, this.#drawn(stimulus.timer.event)) : undefined;
      case "attempt":
        return this.#applyOutcome(stimulus.node, stimulus.attempt, stimulus.outcome);
    }
  }

  #applyOutcome(node: NodeActor, attempt: Attempt, outcome: Outcome): void {
    if (node.attempt !== attempt) return;
    node.attempt = undefined;
    if (outcome.failure !== undefined) return this.#tellNode(node, { type: "attempt.failed", failure: outcome.failure, jitter: this.#seams.random.next() });
    this.#tellNode(node, FACT.succeeded, outcome.output);
  }

  /** A timer's event with a draw for the backoff that it may lead to. */
  #drawn(event: NodeEvent): NodeEvent {
    return event.type === TIMER.backedOff.type ? event : ({ ...event, jitter: this.#seams.random.next() } as NodeEvent);
  }

  grant(): void {
    const index = this.progress.grant();
    if (index === undefined) return;
    const node = this.#nodes.get(index) ?? this.#newNode(index, nodeChart.initial(this.plan.nodes[index]!.policy).snapshot);
    node.since = this.#seams.clock.now();
    node.hasPermit = true;
    this.#tellNode(node, FACT.granted);
  }

  #newNode(index: number, snapshot: NodeSnapshot): NodeActor {
    const node: NodeActor = { index, snapshot, attempt: undefined, hasPermit: false, since: 0, timer: undefined, cancelTimer: undefined };
    this.#nodes.set(index, node);
    return node;
  }

  /** Gives its permit back: it ended, or its agent is a run of its own that takes permits itself. */
  #release(node: NodeActor): void {
    if (node.hasPermit) this.#seams.released();
    node.hasPermit = false;
  }

  // ---- turns, depth first: node → supervisor → workflow

  #tellNode(node: NodeActor, event: NodeEvent, output?: string): void {
    const before = node.snapshot.value;
    const { snapshot, effects } = nodeChart.turn(node.snapshot, event);
    node.snapshot = snapshot;
    for (const effect of effects) {
      if (effect.kind === "schedule") {
        const timer = (node.timer = { delayMs: effect.delayMs, event: effect.event as NodeEvent });
        this.#acts.push(() => this.#timers.arm(node, timer));
      } else if (effect.kind === "cancel") this.#timers.clear(node);
      else if (effect.type === "callAgent") this.#acts.push(() => this.#callAgent(node));
      else if (effect.type === "abortAgent")
        this.#abandoned.add(this.id, this.plan.nodes[node.index]!, node, event === FACT.nodeCancelled ? "PAWL_RUN_CANCELLED" : "PAWL_AGENT_TIMEOUT");
    }
    if (snapshot.value === before) return;
    if (before === "running") this.#release(node);
    if (snapshot.status === "done") this.#nodeEnded(node, snapshot.value as Settled, output);
    else if (snapshot.value === "running") this.#history.node("node.started", this.plan.nodes[node.index]!.id, snapshot.context.attempt);
    else if (snapshot.value === "backingOff") this.#nodeBacksOff(node);
    else this.progress.requeue(node.index);
  }

  #nodeBacksOff(node: NodeActor): void {
    this.progress.backOff(node.index);
    this.#writeNode(node, null);
    this.#timers.backsOff(node);
  }

  #nodeEnded(node: NodeActor, status: Settled, output: string | undefined): void {
    this.#timers.clear(node);
    this.#nodes.delete(node.index);
    this.#writeNode(node, output ?? null);
    if (output !== undefined) this.#results.keep(node.index, output);
    this.#results.readerSettled(node.index);
    const { failure } = node.snapshot.context;
    if (failure !== undefined) this.#failures.note(this.plan.nodes[node.index]!, status, failure);
    if (this.#supervisor?.status !== "active") return;
    this.progress.settle(node.index, status);
    this.#tellSupervisor(FACT.nodeSettled, node.index);
  }

  #tellSupervisor(event: SupervisorEvent, settled?: number): void {
    if (this.#supervisor?.status !== "active") return;
    this.#enterSupervisor(supervisorChart.turn(this.#supervisor, event), settled);
  }

  #enterSupervisor({ snapshot, effects }: ReturnType<typeof supervisorChart.initial>, settled?: number): void {
    if (snapshot.value !== this.#supervisor?.value) this.#rows.push(actorRow(this.id, SUPERVISOR_KEY, snapshot.value, "{}", null));
    this.#supervisor = snapshot;
    for (const effect of effects) {
      if (effect.kind !== "action") continue;
      if (effect.type === "startReady") this.progress.queueReady();
      else if (effect.type === "startDependents") this.progress.release(settled!);
      else if (effect.type === "cancelNodes") this.#cancelNodes();
    }
    if (snapshot.value === "settled") this.#tellWorkflow(this.#failures.outcome());
    else if (snapshot.value === "running" && this.progress.exhausted) this.#tellSupervisor(FACT.exhausted);
  }

  #cancelNodes(): void {
    for (const node of [...this.#nodes.values()]) this.#tellNode(node, FACT.nodeCancelled);
    this.progress.stop();
  }

  #tellWorkflow(event: WorkflowEvent): void {
    const before = this.#workflow.value;
    const { snapshot, effects } = workflowChart.turn(this.#workflow, event);
    this.#workflow = snapshot;
    const entered = snapshot.value === before ? undefined : RUN_EVENTS[snapshot.value];
    if (entered !== undefined) this.#history.run(entered, snapshot.context.failure);
    for (const effect of effects) {
      if (effect.kind !== "action") continue;
      if (effect.type === "startSupervisor") this.#enterSupervisor(supervisorChart.initial(SUPERVISOR_INPUT));
      else if (effect.type === "stopSupervisor") this.#tellSupervisor(FACT.stop);
      else if (effect.type === "collectOutput") this.#collectOutput();
    }
  }

  /** Puts the run's output together, now if its parts are in memory, else when they were read. */
  #collectOutput(loaded?: Texts): void {
    const missing = this.#results.missing(this.plan.outputReads, this.progress);
    if (missing.length > 0 && loaded === undefined) {
      this.#acts.push(() => void this.#load(missing).then((texts) => texts && this.receive({ kind: "outputs", texts })));
      return;
    }
    try {
      this.#rows.push(valueRow(this.id, OUTPUT_KEY, encode(this.#results.resolve(this.plan.output, loaded))));
    } catch (error) {
      return this.#tellWorkflow({ type: "output.refused", failure: failureOf(error, []) });
    }
    this.#tellWorkflow(FACT.collected);
  }

  // ---- what is done once the commit is durable

  #callAgent(node: NodeActor): void {
    if (node.snapshot.value !== "running" || node.attempt !== undefined) return;
    const { id, agent, input, reads, policy, dependencies } = this.plan.nodes[node.index]!;
    const upstreamFailures = this.#failures.among(dependencies);
    const attempt = new Attempt(
      { runId: this.id, nodeId: id, attempt: node.snapshot.context.attempt, deadlineAt: node.since + policy.timeoutMs, upstreamFailures },
      this.#seams.attempts,
      this.#seams.services,
    );
    if (agent.work.kind === "machine") this.#release(node);
    node.attempt = attempt;
    const perform = (loaded?: Texts): void =>
      void attempt
        .perform(agent, () => this.#results.resolve(input, loaded), policy.nonRetryable)
        .then((outcome) => outcome && this.receive({ kind: "attempt", node, attempt, outcome }));
    const missing = this.#results.missing(reads, this.progress);
    if (missing.length === 0) perform();
    else void this.#load(missing).then((loaded) => loaded && perform(loaded));
  }

  // ---- results

  /** Reads results back from the store; undefined when the run broke over it. */
  async #load(indices: readonly number[]): Promise<Texts | undefined> {
    try {
      const keys = indices.map((index) => this.plan.nodes[index]!.id);
      const texts = await this.#seams.readOutputs(this, keys);
      return new Map(indices.map((index, i) => [index, texts[i]!]));
    } catch (error) {
      this.#seams.broken(this, error);
      return undefined;
    }
  }

  // ---- commits

  #writeNode(node: NodeActor, output: string | null): void {
    const { id } = this.plan.nodes[node.index]!;
    const { value, context } = node.snapshot;
    this.#rows.push(nodeRow(this.id, id, node, value === "backingOff" ? this.#seams.steadyNow() : this.#seams.clock.now(), output));
    this.#history.node(NODE_EVENTS[value]!, id, context.attempt, value === "completed" ? undefined : context.failure);
  }

  get isDirty(): boolean {
    return this.#rows.length > 0 || !this.#history.isEmpty;
  }

  takeCommit(epoch: number): Commit {
    this.inFlight = true;
    this.#meter.working = !this.finished && this.queued + this.running > 0;
    const { status, finished, wakeAt } = this;
    const { degraded, failure } = this.#workflow.context;
    const body = runBodyText({ state: this.#workflow.value, workedMs: this.#meter.workedMs, degraded, failure });
    const checksum = runChecksum(this.id, this.plan.hash, status, this.commitNo + 1, body);
    const actors = this.#rows;
    this.#rows = [];
    return {
      runId: this.id,
      from: this.commitNo,
      epoch,
      at: this.#seams.clock.now(),
      run: { workflow: this.plan.name, definition: this.plan.hash, status, body, checksum, wakeAt, finished },
      actors,
      history: this.#history.take(),
      ...this.#abandoned.takePosts(),
    };
  }

  committed(): void {
    this.inFlight = false;
    this.commitNo++;
    this.#abandoned.tell();
    const acts = this.#acts;
    this.#acts = [];
    for (const act of acts) act();
    if (this.finished) this.#meter.disarm();
    else this.#meter.arm(this.plan.timeoutMs, () => this.receive({ kind: "timeout" }));
  }

  drop(code: DropCode): void {
    this.#abandoned.tell();
    this.#meter.working = false;
    for (const node of this.#nodes.values()) {
      this.#timers.clear(node);
      node.attempt?.abandon(code);
      node.attempt = undefined;
      this.#release(node);
    }
    this.#inbox.length = 0;
    this.#nodes.clear();
    this.#acts = [];
  }

  #restore({ body, nodes }: StoredRun): void {
    this.#workflow = workflowChart.restore(body.state, { policy: this.plan, degraded: body.degraded, failure: body.failure });
    if (body.state !== "pending") this.#supervisor = supervisorChart.restore(body.state === "running" ? "running" : "settled", undefined as never);
    for (const { index, status, body: node } of nodes.toSorted((a, b) => a.commitNo - b.commitNo)) {
      if (node.failure !== undefined) this.#failures.note(this.plan.nodes[index]!, status, node.failure);
      if (status === "backingOff") this.#restoreBackoff(index, node);
      else this.#results.readerSettled(index);
    }
  }

  #restoreBackoff(index: number, { attempt, failure, backoffMs = 0, endedAt = 0 }: NodeBody): void {
    const context: NodeContext = { policy: this.plan.nodes[index]!.policy, attempt, failure, backoffMs };
    const node = this.#newNode(index, nodeChart.restore("backingOff", context));
    const passedMs = Math.max(0, this.#seams.steadyNow() - endedAt);
    node.timer = { delayMs: Math.max(0, backoffMs - passedMs), event: TIMER.backedOff };
    this.#timers.backsOff(node);
    this.#timers.arm(node, node.timer);
  }

  resume(): void {
    // what reads results back waits for a commit, also when there is nothing else to write
    if (this.#workflow.value === "collecting") this.#history.run("run.resumed");
    else this.#history.resumed();
    if (this.#workflow.value === "pending") return this.#tellWorkflow(FACT.started);
    if (this.#workflow.value === "collecting") return this.#collectOutput();
    this.progress.queueReady();
    if (this.progress.exhausted) this.#tellSupervisor(FACT.exhausted);
  }
}
