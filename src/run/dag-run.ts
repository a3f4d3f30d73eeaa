/**
 * One run of a DAG in memory: its workflow, supervisor and node actors, driven turn by turn.
 * 1. `apply` and `grant` are pure in their effect: they change memory and collect what is to be written and done.
 * 2. `takeCommit` gives what changed as one commit; what is to be done waits for `committed`.
 * 3. While a commit is in flight nothing is applied. Readiness is derived, never written.
 */
import type { NodeEvent } from "../../machines/node.ts";
import type { SupervisorEvent } from "../../machines/supervisor.ts";
import type { WorkflowEvent } from "../../machines/workflow.ts";
import type { Plan } from "../define/plan.ts";
import { type ActorRecord, type Commit, WAITS_FOR_EVENT } from "../store/store.ts";
import type { Attempt, Outcome } from "./attempt.ts";
import { FACT, SUPERVISOR_INPUT, type SupervisorSnapshot, TIMER, type WorkflowSnapshot, nodeChart, supervisorChart, workflowChart } from "./charts.ts";
import { encode } from "./codec.ts";
import { failureOf } from "./failure.ts";
import { Failures } from "./failures.ts";
import { HistoryWriter, NODE_EVENTS, RUN_EVENTS } from "./history.ts";
import { LiveNodes } from "./live-nodes.ts";
import { WorkMeter } from "./meter.ts";
import { NodeTimers } from "./node-timers.ts";
import type { DropCode, HostedRun, RunSeams } from "./hosted-run.ts";
import { Abandoned, type NodeActor, type Stimulus, type StoredRun, attemptOf, newNode, nodeRow, restoredBackoffs, withDraw } from "./node-actor.ts";
import { Outgoing } from "./outgoing.ts";
import { Progress, type Settled } from "./progress.ts";
import type { InboxItem } from "./requests.ts";
import { Results, type Texts } from "./results.ts";
import { INPUT_KEY, OUTPUT_KEY, type RunBody, SUPERVISOR_KEY, actorRow, runRow, valueRow } from "./row.ts";

export class DagRun implements HostedRun {
  readonly id: string;
  readonly plan: Plan;
  readonly definitionHash: string;
  readonly progress: Progress;
  commitNo: number;
  inFlight = false;
  readonly endsSoon = false;
  readonly #seams: RunSeams;
  readonly #inbox: Stimulus[] = [];
  readonly #results: Results;
  readonly #meter: WorkMeter;
  readonly #nodes: LiveNodes;
  readonly #timers: NodeTimers;
  readonly #failures = new Failures();
  readonly #history = new HistoryWriter();
  readonly #outgoing = new Outgoing();
  #isTerminated = false;
  #workflow: WorkflowSnapshot;
  #supervisor: SupervisorSnapshot | undefined;
  #rows: ActorRecord[] = [];
  readonly #abandoned = new Abandoned();
  #acts: (() => void)[] = [];

  constructor(id: string, plan: Plan, input: string, seams: RunSeams, stored?: StoredRun) {
    this.id = id;
    this.plan = plan;
    this.definitionHash = plan.hash;
    this.#seams = seams;
    this.#nodes = new LiveNodes(() => seams.released(), stored !== undefined);
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

  get isPaused(): boolean {
    return this.#workflow.value === "paused";
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
    return this.running > 0 && this.held === 0 && this.queued === 0 && !this.hasWork && !this.isDirty && !this.inFlight;
  }

  wantsChild(childId: string): boolean {
    return this.#nodes.wantsChild(childId, this.id, this.plan);
  }

  get finished(): boolean {
    return this.#workflow.status === "done";
  }

  get status(): string {
    return this.#workflow.value === "collecting" ? "running" : this.#workflow.value;
  }

  get wakeAt(): number | null {
    if (this.finished || this.queued > 0 || this.running > 0) return null;
    if (this.isPaused) return WAITS_FOR_EVENT;
    return this.#timers.earliest;
  }

  get hasWork(): boolean {
    return this.#inbox.length > 0;
  }

  receive(stimulus: Stimulus): void {
    this.#inbox.push(stimulus);
    this.#seams.wake(this);
  }

  cancel(now = false): void {
    this.receive({ kind: "cancel", now });
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
      case "begin":
        return this.#tellWorkflow(FACT.started);
      case "cancel":
        this.#isTerminated ||= stimulus.now && !this.finished;
        return this.finished ? undefined : this.#tellWorkflow(FACT.cancel);
      case "item":
        return this.#take(stimulus.item);
      case "exhausted":
        return this.progress.exhausted ? this.#tellSupervisor(FACT.exhausted) : undefined;
      case "timeout":
        return this.finished ? undefined : this.#tellWorkflow(TIMER.runTimedOut);
      case "outputs":
        return this.#workflow.value === "collecting" ? this.#collectOutput(stimulus.texts) : undefined;
      case "timer":
        return stimulus.node.timer === stimulus.timer ? this.#tellNode(stimulus.node, withDraw(stimulus.timer.event, this.#seams.random)) : undefined;
      case "attempt":
        return this.#applyOutcome(stimulus.node, stimulus.attempt, stimulus.outcome);
    }
  }

  /** What is asked of a run that has ended, or is about to, is left: who asked will find that it has. */
  #take(item: InboxItem): void {
    const { value } = this.#workflow;
    if (item.kind === "event" || item.kind === "dropped") return this.#outgoing.done(item, item.kind === "event" ? undefined : item.reply);
    if (this.finished ? item.kind !== "cancel" || value !== "cancelled" : item.kind === "pause" && value === "collecting") return;
    if (item.kind === "cancel") this.#apply({ kind: "cancel", now: item.now === true });
    else this.#tellWorkflow(FACT[item.kind]);
    this.#outgoing.done(item);
  }

  #applyOutcome(node: NodeActor, attempt: Attempt, outcome: Outcome): void {
    if (node.attempt !== attempt) return;
    node.attempt = undefined;
    if (outcome.failure !== undefined) return this.#tellNode(node, { type: "attempt.failed", failure: outcome.failure, jitter: this.#seams.random.next() });
    this.#tellNode(node, FACT.succeeded, outcome.output);
  }

  grant(): void {
    const index = this.progress.grant();
    if (index === undefined) return;
    const node = this.#nodes.at(index) ?? newNode(index, nodeChart.initial(this.plan.nodes[index]!.policy).snapshot);
    this.#nodes.add(node);
    node.since = this.#seams.clock.now();
    this.#nodes.holds(node);
    this.#tellNode(node, FACT.granted);
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
    if (before === "running") this.#nodes.release(node);
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
    this.#nodes.delete(node);
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
    this.#abandoned.addChildren(this.#nodes.leftChildren(this.id, this.plan, this.progress));
    for (const node of this.#nodes.all()) this.#tellNode(node, FACT.nodeCancelled);
    this.progress.stop();
  }

  #tellWorkflow(event: WorkflowEvent): void {
    const before = this.#workflow.value;
    const { snapshot, effects } = workflowChart.turn(this.#workflow, event);
    this.#workflow = snapshot;
    const entered = before === "paused" && snapshot.value === "running" ? "run.resumed" : RUN_EVENTS[snapshot.value];
    if (entered !== undefined && snapshot.value !== before) this.#history.run(entered, snapshot.context.failure);
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
      this.#acts.push(() => this.#load(missing, (texts) => this.receive({ kind: "outputs", texts })));
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
    const planNode = this.plan.nodes[node.index]!;
    const { agent, input, reads, policy } = planNode;
    const attempt = attemptOf(this.id, planNode, node, this.#failures.among(planNode.dependencies), this.#seams);
    // a run of its own takes permits itself
    if (agent.work.kind === "machine") this.#nodes.release(node);
    node.attempt = attempt;
    const perform = (loaded?: Texts): void =>
      void attempt
        .perform(agent, () => this.#results.resolve(input, loaded), policy.nonRetryable)
        .then((outcome) => outcome && this.receive({ kind: "attempt", node, attempt, outcome }));
    const missing = this.#results.missing(reads, this.progress);
    if (missing.length === 0) perform();
    else this.#load(missing, perform);
  }

  /** Reads results back from the store and goes on with them, unless the run breaks over it. */
  #load(missing: readonly number[], goOn: (texts: Texts) => void): void {
    const read = this.#results.load(missing, (keys) => this.#seams.readOutputs(this, keys));
    void read.then(goOn, (error: unknown) => this.#seams.broken(this, error));
  }

  // ---- commits

  #writeNode(node: NodeActor, output: string | null): void {
    const { id } = this.plan.nodes[node.index]!;
    const { value, context } = node.snapshot;
    this.#rows.push(nodeRow(this.id, id, node, value === "backingOff" ? this.#seams.steadyNow() : this.#seams.clock.now(), output));
    this.#history.node(NODE_EVENTS[value]!, id, context.attempt, value === "completed" ? undefined : context.failure);
  }

  get isDirty(): boolean {
    return this.#rows.length > 0 || !this.#history.isEmpty || !this.#outgoing.isEmpty;
  }

  takeCommit(epoch: number): Commit {
    this.inFlight = true;
    this.#meter.working = !this.finished && !this.isPaused && this.queued + this.running > 0;
    const { commitNo, plan } = this;
    const { degraded, failure } = this.#workflow.context;
    const body: RunBody = { state: this.#workflow.value, workedMs: this.#meter.workedMs, degraded, failure, ...(this.#isTerminated && { terminated: true }) };
    const actors = this.#rows;
    this.#rows = [];
    return {
      runId: this.id,
      from: commitNo,
      epoch,
      at: this.#seams.clock.now(),
      run: runRow(this.id, commitNo + 1, plan, this, body),
      actors,
      history: this.#history.take(),
      ...this.#outgoing.take(commitNo + 1),
      ...this.#abandoned.takePosts(),
    };
  }

  committed(): void {
    this.inFlight = false;
    this.commitNo++;
    this.#outgoing.committed();
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
    for (const node of this.#nodes.drop()) {
      this.#timers.clear(node);
      node.attempt?.abandon(code);
      node.attempt = undefined;
    }
    this.#inbox.length = 0;
    this.#acts = [];
  }

  #restore({ body, nodes, wakeAt }: StoredRun): void {
    const { state, degraded, failure } = body;
    // attempts ran when it was stored, and are gone: that is to be written, as nothing else may be for long
    if (state === "paused" && wakeAt === null) this.#history.run("run.recovered");
    this.#workflow = workflowChart.restore(state, { policy: this.plan, degraded, failure });
    const isSettled = state !== "running" && state !== "paused";
    if (state !== "pending") this.#supervisor = supervisorChart.restore(isSettled ? "settled" : "running", undefined as never);
    for (const { index, status, body: node } of nodes.toSorted((a, b) => a.commitNo - b.commitNo)) {
      if (node.failure !== undefined) this.#failures.note(this.plan.nodes[index]!, status, node.failure);
      if (status !== "backingOff") this.#results.readerSettled(index);
    }
    for (const { node, row } of restoredBackoffs(this.id, this.plan, nodes, this.#seams.steadyNow())) {
      if (row !== undefined) this.#rows.push(row);
      this.#nodes.add(node);
      this.#timers.restore(node);
    }
  }

  resume(): void {
    if (this.#workflow.value === "pending") return this.#tellWorkflow(FACT.started);
    // what reads results back waits for a commit, also when there is nothing else to write
    if (this.#workflow.value === "collecting") this.#history.run("run.recovered");
    else if (this.#history.isEmpty) this.#history.recovered();
    if (this.#workflow.value === "collecting") return this.#collectOutput();
    this.progress.queueReady();
    if (this.progress.exhausted) this.#tellSupervisor(FACT.exhausted);
  }
}
