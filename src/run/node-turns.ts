/**
 * Turns of the nodes that call agents: what happened to one, what its chart makes of it, and what follows.
 */
import type { Failure, NodeEvent } from "../../machines/node.ts";
import type { ErrorCode } from "../errors.ts";
import { type Attempt, type Outcome, childRunId } from "./attempt.ts";
import type { KeptStep } from "./attempt-line.ts";
import type { Calls } from "./calls.ts";
import { FACT, TIMER, nodeChart } from "./charts.ts";
import type { DagRows } from "./dag-rows.ts";
import type { GatedRun } from "./flow.ts";
import type { Ended, Pass } from "./pass.ts";
import { makeFailure } from "./failure.ts";
import { type Graph, type RunNode, isDerived } from "./graph.ts";
import type { RunSeams } from "./hosted-run.ts";
import type { LiveNodes } from "./live-nodes.ts";
import { type Abandoned, type NodeActor, actionOf, agentOf, isCalling, newNode, policyOf, withDraw } from "./node-actor.ts";
import type { NodeTimers, Timer } from "./node-timers.ts";
import type { Settled } from "./node-status.ts";
import type { Progress } from "./progress.ts";
import { recoveryEnded, verdictOf, withoutAction } from "./recovery-action.ts";
import { stepRow } from "./run-line.ts";

/** What these turns need of their run. */
interface TurnHost {
  readonly id: string;
  readonly run: GatedRun;
  readonly seams: RunSeams;
  readonly graph: Graph;
  readonly progress: Progress;
  readonly nodes: LiveNodes;
  readonly timers: NodeTimers;
  readonly rows: DagRows;
  readonly calls: Calls;
  readonly abandoned: Abandoned;
  /** What is to be done once the commit is durable. */
  act(act: () => void): void;
  /** What ends through this work does not end the run. */
  quietly(work: () => void): void;
  /** Its first attempt, or a further one, begins. */
  began(index: number): void;
  /** The node has ended. */
  ended(node: NodeActor, status: Settled, output: string | undefined, failure: Failure | undefined): void;
}

/** Nodes looked at until one is found that need not wait for a limit. */
const LOOKED_AT_ONCE = 100;
const RESTARTED: ReadonlySet<string> = new Set(["running", "warned"]);

/** What an attempt is told that is given up; else its time is over. */
const ABANDONED: Readonly<Record<string, ErrorCode>> = {
  "node.cancelled": "PAWL_RUN_CANCELLED",
  "node.overridden": "PAWL_NODE_OVERRIDDEN",
  "recovery.ended": "PAWL_AGENT_OVERDUE",
  "attempt.restarted": "PAWL_AGENT_OVERDUE",
};

function reasonOf(event: NodeEvent): ErrorCode {
  const isStage = "failure" in event && event.failure?.code === "PAWL_STAGE_TIMED_OUT";
  return isStage ? "PAWL_STAGE_TIMED_OUT" : (ABANDONED[event.type] ?? "PAWL_AGENT_TIMEOUT");
}

export class NodeTurns {
  readonly #host: TurnHost;

  constructor(host: TurnHost) {
    this.#host = host;
  }

  /** The next node that waits for it gets a permit; those before it that have to wait for a limit are parked. */
  grant(): void {
    const { graph, nodes, progress, seams, run } = this.#host;
    const gate = seams.protection?.gate;
    for (let looked = 0; looked < LOOKED_AT_ONCE; looked++) {
      const index = progress.next();
      if (index === undefined) return;
      const live = nodes.at(index);
      const of = live?.node ?? graph.node(index);
      const flow = gate?.flowOf(live === undefined ? of.agent : agentOf(live), run);
      const pass = flow === undefined ? undefined : gate!.tryPass(flow);
      if (flow === undefined || pass !== undefined) return this.#begin(of, pass);
      progress.park(index);
      gate!.park(flow, run, index);
    }
  }

  /** The node has waited for a limit; answers whether it still did. */
  grantParked(index: number, pass: Pass): boolean {
    const isWaiting = this.#host.progress.unpark(index);
    if (isWaiting) this.#begin(this.#host.graph.node(index), pass);
    return isWaiting;
  }

  /** Those that wait for a limit wait no longer: they are queued, or will never run. */
  unpark(): void {
    const { progress, seams, run } = this.#host;
    if (progress.parked === 0) return;
    seams.protection?.leave(run);
    progress.unparkAll();
  }

  #begin(of: RunNode, pass: Pass | undefined): void {
    const { nodes, progress, seams } = this.#host;
    progress.runs(of.index);
    let node = nodes.at(of.index);
    if (node === undefined) nodes.add((node = newNode(of, nodeChart.initial(of.policy).snapshot)));
    node.since = seams.clock.now();
    node.wasCutOff = false;
    node.pass = pass;
    nodes.holds(node);
    this.#host.began(of.index);
    this.tell(node, FACT.granted);
  }

  /** The run is unwound. The attempt of another process goes on as a run of its own: it is told, and its end is waited for. */
  awaitEnd(node: NodeActor): void {
    const { id, abandoned, calls, progress, seams, timers } = this.#host;
    progress.withdraw(node.index);
    progress.runs(node.index);
    abandoned.addChildren([childRunId(id, node.node.id, node.snapshot.context.attempt)]);
    timers.clear(node);
    const { timeoutMs } = policyOf(node);
    const delayMs = Math.min(timeoutMs, Math.max(0, node.since + timeoutMs - seams.clock.now()));
    const timer = (node.timer = { delayMs, event: TIMER.notStopped });
    this.#host.act(() => {
      timers.arm(node, timer);
      calls.awaitEnd(node);
    });
  }

  tell(node: NodeActor, event: NodeEvent, output?: string): void {
    const { id, nodes, timers, rows, calls, abandoned, progress } = this.#host;
    const { agent, before, wasCalling } = { agent: agentOf(node), before: node.snapshot, wasCalling: isCalling(node) };
    const { snapshot, effects } = nodeChart.turn(node.snapshot, event);
    node.snapshot = snapshot;
    // the time of an attempt that is asked to stop goes on
    const isTimed = before.value === "warned" || (before.value === "running" && before.context.policy.warnAfterMs === undefined);
    const goesOn = isTimed && snapshot.value === "stopping" ? node.timer : undefined;
    for (const effect of effects) {
      if (goesOn !== undefined && effect.kind !== "action") {
        if (effect.kind === "schedule") goesOn.event = effect.event;
      } else if (effect.kind === "schedule") {
        const timer = (node.timer = { delayMs: effect.delayMs, event: effect.event });
        this.#host.act(() => timers.arm(node, timer));
      } else if (effect.kind === "cancel") timers.clear(node);
      else if (effect.type === "callAgent") this.#host.act(() => calls.begin(node));
      else if (effect.type === "abortAgent") abandoned.add(id, node, agent, reasonOf(event));
      else if (effect.type === "stopAgent") abandoned.stop(node);
      else if (effect.type === "startAction") this.startAction(node);
      else if (effect.type === "stopAction") this.#stopAction(node, event);
    }
    if (snapshot.value === before.value) return;
    if (snapshot.value === "warned") rows.history.node("node.warned", node.node.id, snapshot.context.attempt);
    // whoever is asked to stop still runs
    if (snapshot.value === "warned" || snapshot.value === "stopping") return;
    if (wasCalling) {
      nodes.release(node);
      node.pass?.end(endedBy(event, snapshot.context.failure));
    }
    if (snapshot.status === "done") this.#ended(node, snapshot.value as Settled, output);
    else if (snapshot.value === "running") rows.granted(node);
    else if (snapshot.value === "backingOff") this.#backsOff(node, snapshot.context.alternative > before.context.alternative);
    else if (snapshot.value === "recovering") this.#recovers(node);
    else progress.requeue(node.index);
  }

  #backsOff(node: NodeActor, isTurned: boolean): void {
    const { progress, rows, timers } = this.#host;
    progress.backOff(node.index);
    rows.called(node, null, isTurned);
    timers.waits(node);
  }

  #recovers(node: NodeActor): void {
    this.#host.progress.recover(node.index);
    this.#host.rows.called(node, null);
  }

  /** The recovery action that the node's state asks for is queued, unless it is under way. */
  startAction(node: NodeActor): void {
    const { graph, rows } = this.#host;
    const { value, context } = node.snapshot;
    const index = graph.recovery({ of: node.index, number: context.recoveries, action: actionOf(node), alternative: context.alternative });
    node.action = index;
    // a crash must not have its number used again
    if (value === "warned") rows.underWay(node);
    this.queueAction(index);
  }

  /** A recovery action is queued, unless it is under way. */
  queueAction(index: number): void {
    if (this.#host.nodes.at(index) === undefined) this.#host.progress.derive(index);
  }

  /** When the run is unwound, the action is asked to stop like what else runs. Its node is told next how it goes on itself. */
  #stopAction(node: NodeActor, event: NodeEvent): void {
    const index = node.action;
    node.action = undefined;
    if (index !== undefined && event !== FACT.unwinds) this.#host.quietly(() => this.endAction(index));
  }

  /** A recovery action is no longer wanted. */
  endAction(index: number): void {
    const { nodes, progress } = this.#host;
    const action = nodes.at(index);
    if (action === undefined || !isCalling(action)) progress.withdraw(index);
    if (action === undefined) progress.settle(index, "cancelled");
    else this.tell(action, FACT.nodeCancelled);
  }

  /** The attempts of these nodes that run are given up; each begins a new round. */
  restart(isOf: (index: number) => boolean, failure: Failure): void {
    for (const node of this.#host.nodes.all())
      if (!isDerived(node.node) && isOf(node.index) && RESTARTED.has(node.snapshot.value)) this.tell(node, { type: "attempt.restarted", failure });
  }

  /** The action that the node waited for, or that ran beside its attempt, has ended. */
  recovered(node: NodeActor, action: string, output: string | undefined, failure: Failure | undefined): void {
    const said = verdictOf(action, output, failure);
    const { code, message } = said.failure ?? {};
    node.action = undefined;
    const { attempt } = node.snapshot.context;
    this.#host.rows.history.actionEnded(node.node.id, attempt, { action, verdict: said.verdict, ...(code !== undefined && { code, message: message! }) });
    this.tell(node, recoveryEnded(action, said.verdict));
  }

  #ended(node: NodeActor, status: Settled, output: string | undefined): void {
    const { timers, nodes, rows } = this.#host;
    timers.clear(node);
    nodes.delete(node);
    rows.called(node, output ?? null);
    this.#host.ended(node, status, output, node.snapshot.context.failure);
  }

  fired(node: NodeActor, { event }: Timer): void {
    this.tell(node, withDraw(event, this.#host.seams.random));
  }

  /** The attempt has ended, unless it was given up before. */
  outcome(node: NodeActor, attempt: Attempt, outcome: Outcome): void {
    if (node.attempt !== attempt) return;
    node.attempt = undefined;
    if (outcome.failure === undefined) {
      node.isDegraded = outcome.degraded;
      return this.tell(node, FACT.succeeded, outcome.output);
    }
    const failure = isDerived(node.node) ? withoutAction(outcome.failure) : outcome.failure;
    if (failure.kind === "resource" && failure.retryAfterMs !== undefined) this.#sentAway(node, failure.retryAfterMs);
    this.tell(node, { type: "attempt.failed", failure, jitter: this.#host.seams.random.next() });
  }

  /** What it called is asked too much of, and said when to come back. */
  #sentAway(node: NodeActor, retryAfterMs: number): void {
    const { seams, run } = this.#host;
    node.pass?.refund();
    seams.protection?.gate.toldToWait(agentOf(node), run, retryAfterMs);
  }

  /** A step of the attempt has ended. */
  keepStep(node: NodeActor, attempt: Attempt, step: KeptStep): void {
    if (node.attempt !== attempt) return;
    this.#host.rows.add(stepRow(this.#host.id, node.node.id, attempt.attempt, step));
    this.#host.act(() => step.kept());
  }

  /** The attempt has not shown itself for too long. */
  silent(node: NodeActor, attempt: Attempt): void {
    if (node.attempt !== attempt) return;
    this.#host.abandoned.tellLater(attempt, "PAWL_HEARTBEAT_TIMEOUT");
    const { heartbeatMs, nonRetryable } = policyOf(node);
    const message = `no progress was reported for ${heartbeatMs} ms`;
    this.outcome(node, attempt, { failure: makeFailure("timeout", "PAWL_HEARTBEAT_TIMEOUT", message, { nonRetryable }) });
  }
}

/** What the end of an attempt says of what it called: its timeout speaks for itself, whoever gives it up says nothing. */
function endedBy(event: NodeEvent, failure: Failure | undefined): Ended {
  if (event.type === "attempt.succeeded") return "success";
  if (event.type === "attempt.failed") return event.failure;
  return Object.hasOwn(ABANDONED, event.type) || failure === undefined ? "neither" : failure;
}
