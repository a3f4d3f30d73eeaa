/**
 * The life of a DAG run in memory: its workflow and the supervisor beneath it, turn by turn, and what they ask for.
 */
import type { Failure, NodeEvent } from "../../machines/node.ts";
import type { SupervisorEvent } from "../../machines/supervisor.ts";
import type { WorkflowContext, WorkflowEvent } from "../../machines/workflow.ts";
import type { Plan } from "../define/plan.ts";
import type { Calls } from "./calls.ts";
import { FACT, SUPERVISOR_INPUT, type SupervisorSnapshot, type WorkflowSnapshot, supervisorChart, workflowChart } from "./charts.ts";
import { encode } from "./codec.ts";
import type { DagRows } from "./dag-rows.ts";
import type { EventNodes } from "./event-nodes.ts";
import { failureOf } from "./failure.ts";
import type { Failures } from "./failures.ts";
import type { Graph } from "./graph.ts";
import type { Groups } from "./groups.ts";
import { RUN_EVENTS } from "./history.ts";
import type { LiveNodes } from "./live-nodes.ts";
import { type Abandoned, countCutOff, isOwnRun } from "./node-actor.ts";
import type { NodeTurns } from "./node-turns.ts";
import type { NodeStatus, Settled } from "./node-status.ts";
import type { Progress } from "./progress.ts";
import type { Results, Texts } from "./results.ts";
import { OUTPUT_KEY, type RunBody, SUPERVISOR_KEY, actorRow, valueRow } from "./row.ts";
import type { Unwinding } from "./unwinding.ts";

/** What the phases need of their run. */
interface PhaseHost {
  readonly id: string;
  readonly plan: Plan;
  readonly graph: Graph;
  readonly progress: Progress;
  readonly results: Results;
  readonly failures: Failures;
  readonly unwinding: Unwinding;
  readonly rows: DagRows;
  readonly calls: Calls;
  readonly nodes: LiveNodes;
  readonly turns: NodeTurns;
  readonly groups: Groups;
  readonly events: EventNodes;
  readonly abandoned: Abandoned;
  /** What is to be done once the commit is durable. */
  act(act: () => void): void;
  /** Opens and closes groups and events until all of them wait for something. */
  advance(): void;
  /** Results that the output is made of were read. */
  outputsRead(texts: Texts): void;
}

interface SetNode {
  readonly index: number;
  readonly failure: Failure | undefined;
}

export class Phases {
  readonly #host: PhaseHost;
  #workflow: WorkflowSnapshot;
  #supervisor: SupervisorSnapshot | undefined;
  #isStopping = false;
  /** What has settled while outcomes are set. */
  #set: SetNode[] | undefined;

  constructor(host: PhaseHost) {
    this.#host = host;
    this.#workflow = workflowChart.initial(host.plan).snapshot;
  }

  get state(): string {
    return this.#workflow.value;
  }

  get context(): WorkflowContext {
    return this.#workflow.context;
  }

  get isOver(): boolean {
    return this.#workflow.status === "done";
  }

  /** Warnings and timeouts strike. */
  get isTimed(): boolean {
    return !this.#isStopping && (this.state === "running" || this.state === "paused");
  }

  /** Nodes start and end. */
  get isActive(): boolean {
    return this.#supervisor?.status === "active";
  }

  /** They start, and nothing is undone yet. */
  get isRunning(): boolean {
    return this.#supervisor?.value === "running";
  }

  /** As it was when it was stored. */
  restore({ state, degraded, failure, unwinds }: RunBody): void {
    this.#workflow = workflowChart.restore(state, { policy: this.#host.plan, degraded, failure, unwinds });
    if (state === "pending") return;
    const phase = state === "running" || state === "paused" ? "running" : state === "compensating" ? "unwinding" : "settled";
    this.#supervisor = supervisorChart.restore(phase, undefined as never);
  }

  /** What has begun goes on: also when it is to be held up, or somebody says how one of its nodes ends. */
  begin(): void {
    if (this.state === "pending") this.tellWorkflow(FACT.started);
  }

  /** Goes on where it was stored; what has not begun waits. */
  resume(): void {
    const { progress, failures } = this.#host;
    if (this.state === "pending") return;
    if (this.state === "collecting") return this.collect();
    if (this.state === "compensating") {
      this.#stopAgain();
      if (progress.exhausted) this.#compensateNext();
    } else if (failures.cause !== undefined) {
      // somebody gave the node up when the run had ended
      return this.tellWorkflow({ type: "run.unwind", failure: failures.cause });
    } else {
      progress.queueReady();
      for (const node of this.#host.nodes.all()) if (node.snapshot.value === "recovering") this.#host.turns.startAction(node);
      this.#host.advance();
    }
    if (progress.exhausted) this.tellSupervisor(FACT.exhausted);
  }

  /** Nothing is undone before what goes on has ended. */
  #stopAgain(): void {
    const { progress, nodes, turns } = this.#host;
    progress.stop(true);
    const stopping = nodes.all().filter(({ snapshot }) => snapshot.value === "stopping");
    for (const node of stopping) turns.awaitEnd(node);
    if (stopping.length > 0) this.#supervisor = supervisorChart.restore("stopping", undefined as never);
  }

  /** What ends through this work is not followed: something has settled, and its dependents do not know yet. */
  quietly(work: () => void): void {
    const wasStopping = this.#isStopping;
    this.#isStopping = true;
    work();
    this.#isStopping = wasStopping;
  }

  /** A node, group or event has settled. */
  settled(index: number, status: Settled, failure: Failure | undefined): void {
    if (this.#isStopping) return void this.#set?.push({ index, failure });
    if (!this.#isUnwoundBy(index, status) || failure === undefined) return this.tellSupervisor(FACT.nodeSettled, index);
    // those that depend on it are blocked, all others are cancelled
    this.#host.progress.release(index);
    this.#unwind(index, failure);
  }

  #isUnwoundBy(index: number, status: NodeStatus): boolean {
    return status === "failed" && this.#host.graph.node(index).policy.onFail === "compensate" && this.isRunning;
  }

  #unwind(index: number, failure: Failure): void {
    this.tellWorkflow({ type: "run.unwind", failure: { ...failure, node: this.#host.graph.node(index).id } });
  }

  /** Somebody sets how nodes end that had ended, or are made of others; what follows from that is found anew. */
  setting(work: () => void): void {
    const { progress } = this.#host;
    const set: SetNode[] = (this.#set = []);
    this.#isStopping = true;
    work();
    this.#isStopping = false;
    this.#set = undefined;
    progress.recount();
    const unwound = set.find(({ index, failure }) => failure !== undefined && this.#isUnwoundBy(index, progress.status(index)));
    if (unwound !== undefined) return this.#unwind(unwound.index, unwound.failure!);
    this.#host.advance();
    this.lookAround();
  }

  /** A recovery action has ended that its node does not wait for any more. */
  actionSettled(): void {
    if (!this.#isStopping) this.lookAround();
  }

  /** Is nothing left that could go on of itself? */
  lookAround(): void {
    if (this.#host.progress.exhausted) this.tellSupervisor(FACT.exhausted);
  }

  // ---- turns

  tellSupervisor(event: SupervisorEvent, settled?: number): void {
    if (this.#supervisor?.status !== "active") return;
    this.#enter(supervisorChart.turn(this.#supervisor, event), settled);
  }

  #enter({ snapshot, effects }: ReturnType<typeof supervisorChart.initial>, settled?: number): void {
    const { id, progress, rows, failures } = this.#host;
    if (snapshot.value !== this.#supervisor?.value) rows.add(actorRow(id, SUPERVISOR_KEY, snapshot.value, "{}", null));
    this.#supervisor = snapshot;
    for (const effect of effects) {
      if (effect.kind !== "action") continue;
      if (effect.type === "startReady") progress.queueReady();
      else if (effect.type === "startDependents") progress.release(settled!);
      else if (effect.type === "cancelNodes") this.#stop(FACT.nodeCancelled);
      else if (effect.type === "stopNodes") this.#stop(FACT.unwinds);
      else if (effect.type === "compensateNext") this.#compensateNext();
    }
    if (snapshot.value === "settled") return this.tellWorkflow(failures.outcome());
    if (snapshot.value === "unwound") return this.tellWorkflow(FACT.unwound);
    if (snapshot.status !== "active") return;
    if (snapshot.value === "running") this.#host.advance();
    this.lookAround();
  }

  /** Nothing starts any more. What runs is given up, or its end is waited for. */
  #stop(event: NodeEvent): void {
    const { id, graph, progress, nodes, turns, groups, events, abandoned } = this.#host;
    this.#isStopping = true;
    turns.unpark();
    abandoned.addChildren(nodes.leftChildren(id, graph, progress));
    for (const node of nodes.all()) {
      countCutOff(node);
      const goesOn = event === FACT.unwinds && isOwnRun(node);
      turns.tell(node, node.wasCutOff === true && !goesOn ? FACT.nodeCancelled : event);
      if (node.wasCutOff === true && goesOn) turns.awaitEnd(node);
    }
    groups.cancel();
    events.cancel();
    progress.stop(event === FACT.unwinds);
    this.#isStopping = false;
  }

  #compensateNext(): void {
    const { progress, unwinding, graph } = this.#host;
    const next = unwinding.next();
    if (next !== undefined) progress.derive(graph.undo(next));
  }

  tellWorkflow(event: WorkflowEvent): void {
    const { rows } = this.#host;
    const before = this.#workflow.value;
    const { snapshot, effects } = workflowChart.turn(this.#workflow, event);
    this.#workflow = snapshot;
    const entered = before === "paused" && snapshot.value === "running" ? "run.resumed" : RUN_EVENTS[snapshot.value];
    if (entered !== undefined && snapshot.value !== before) rows.history.run(entered, snapshot.context.failure);
    if (snapshot.value === "paused") this.#host.turns.unpark();
    for (const effect of effects) {
      if (effect.kind !== "action") continue;
      if (effect.type === "startSupervisor") this.#enter(supervisorChart.initial(SUPERVISOR_INPUT));
      else if (effect.type === "stopSupervisor") this.tellSupervisor(FACT.stop);
      else if (effect.type === "unwindSupervisor") this.#unwindSupervisor();
      else if (effect.type === "collectOutput") this.collect();
    }
  }

  #unwindSupervisor(): void {
    if (this.isActive) return this.tellSupervisor(FACT.unwind);
    // all nodes had ended: there is nothing to stop
    this.#supervisor = supervisorChart.restore("stopping", undefined as never);
    this.lookAround();
  }

  /** Puts the run's output together, now if its parts are in memory, else when they were read. */
  collect(loaded?: Texts): void {
    const { id, plan, results, rows, calls } = this.#host;
    if (this.state !== "collecting") return;
    const missing = results.missing(plan.outputReads);
    if (missing.length > 0 && loaded === undefined) return this.#host.act(() => calls.read(missing, (texts) => this.#host.outputsRead(texts)));
    try {
      rows.add(valueRow(id, OUTPUT_KEY, encode(results.resolve(plan.output, loaded))));
    } catch (error) {
      return this.tellWorkflow({ type: "output.refused", failure: failureOf(error, []) });
    }
    this.tellWorkflow(FACT.collected);
  }
}
