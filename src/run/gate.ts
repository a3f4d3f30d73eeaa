/**
 * The gate: which of the nodes that wait for a limit is granted next.
 * 1. Nodes that use the same for the same tenant are one flow. A flow waits for the first limit that has too little for it,
 *    and takes from none before all have enough: so nobody who needs something else waits behind it.
 * 2. Flows take turns, whatever their lengths: no agent and no tenant starves another. Within a flow the run with the
 *    greater priority comes first; each minute of waiting counts as one more.
 * 3. What a grant costs grows with the logarithm of the number of flows and of runs, not with the number of nodes.
 */
import type { Agent } from "../define/agent.ts";
import type { Failure } from "../../machines/node.ts";
import { makeFailure } from "./failure.ts";
import { Heap } from "./heap.ts";
import type { HostedRun } from "./hosted-run.ts";
import type { Lane } from "./lane.ts";
import type { Limit, Taken } from "./limit.ts";
import type { Limits } from "./limits.ts";
import { Queue } from "./queue.ts";
import type { Grant } from "./turns.ts";

/** So long a wait counts as much as a priority of one more. */
const AGEING_MS = 60_000;

/** A run whose nodes may wait here. */
export interface GatedRun extends HostedRun {
  readonly lane: Lane;
  /** Begins the attempt of this node, which has waited here; answers whether it still waited. */
  grantParked(index: number, pass: Pass): boolean;
}

interface Parked {
  readonly index: number;
  readonly since: number;
}

/** Nodes of one run that wait in one flow, the first in line first. */
interface Line {
  readonly run: GatedRun;
  readonly nodes: Queue<Parked>;
}

interface Need {
  readonly limit: Limit;
  readonly amount: number;
}

/** Nodes that use the same, for the same tenant. */
export class Flow {
  readonly agent: string;
  readonly needs: readonly Need[];
  readonly queueTimeoutMs: number | undefined;
  /** Whose turn it is: the least. */
  tag = 0;
  /** It waits for its turn, or for a limit. */
  isPlaced = false;
  count = 0;
  readonly lines = new Map<HostedRun, Line>();
  /** Those of them that have nodes; also some that have left. */
  readonly inLine = new Heap<Line>();
  cancelTimer: (() => void) | undefined;

  constructor(agent: string, needs: readonly Need[], queueTimeoutMs: number | undefined) {
    this.agent = agent;
    this.needs = needs;
    this.queueTimeoutMs = queueTimeoutMs;
  }

  /** Has it enough of everything, or asks for more than there ever is? */
  get canGo(): boolean {
    return this.lacking === undefined || this.tooLarge !== undefined;
  }

  get lacking(): Limit | undefined {
    return this.needs.find(({ limit, amount }) => !limit.has(amount))?.limit;
  }

  /** What asks for more than there ever is. */
  get tooLarge(): Need | undefined {
    return this.needs.find(({ limit, amount }) => amount > limit.mostEver);
  }

  /** What it needs of this limit. */
  needOf(limit: Limit): number {
    return this.needs.find((need) => need.limit === limit)?.amount ?? 0;
  }
}

/** Leave to begin an attempt, or the reason why it fails without having begun. */
export class Pass {
  readonly refusal: Failure | undefined;
  readonly #gate: Gate;
  #taken: Taken[];

  constructor(gate: Gate, taken: Taken[], refusal?: Failure) {
    this.#gate = gate;
    this.#taken = taken;
    this.refusal = refusal;
  }

  /** The attempt used so much of this resource. */
  settle(resource: string, amount: number): void {
    this.#taken = this.#taken.map((taken) => {
      if (taken.limit.resource !== resource) return taken;
      const settled = taken.limit.settle(taken, amount);
      this.#gate.touched(taken.limit);
      return settled;
    });
  }

  /** The attempt has ended. */
  end(): void {
    for (const taken of this.#taken) {
      taken.limit.giveBack(taken);
      this.#gate.touched(taken.limit);
    }
    this.#taken = [];
  }
}

interface GateSeams {
  readonly limits: Limits;
  readonly now: () => number;
  readonly after: (ms: number, call: () => void) => () => void;
  /** Somebody can be granted something. */
  readonly wantsTick: () => void;
}

export class Gate {
  readonly #seams: GateSeams;
  readonly #flows = new Map<Agent, Map<string | undefined, Flow>>();
  readonly #ready = new Heap<Flow>();
  readonly #waiters = new Map<Limit, Heap<Flow>>();
  /** Flows whose runs are all being written. */
  #aside: Flow[] = [];
  readonly #timers = new Map<Limit, () => void>();
  readonly #flowsOf = new Map<HostedRun, Set<Flow>>();
  /** Nodes that have waited for too long. */
  #late: { readonly run: GatedRun; readonly index: number; readonly flow: Flow }[] = [];
  /** The tag of the flow that was served last. */
  #served = 0;

  constructor(seams: GateSeams) {
    this.#seams = seams;
  }

  /** Where nodes of this agent wait; undefined when they wait for nothing. */
  flowOf(agent: Agent, { tenant }: Lane): Flow | undefined {
    if (agent.guard === undefined) return undefined;
    let flows = this.#flows.get(agent);
    if (flows === undefined) this.#flows.set(agent, (flows = new Map()));
    let flow = flows.get(tenant);
    if (flow === undefined) flows.set(tenant, (flow = this.#newFlow(agent, tenant)));
    return flow;
  }

  #newFlow({ name, guard }: Agent, tenant: string | undefined): Flow {
    const { limits } = this.#seams;
    const { concurrency, uses, queueTimeoutMs } = guard!;
    const needs = uses.flatMap(({ resource, amount }) => {
      const limit = limits.of(resource, tenant);
      return limit === undefined ? [] : [{ limit, amount }];
    });
    if (concurrency !== undefined) needs.unshift({ limit: limits.ofAgent(name, concurrency), amount: 1 });
    return new Flow(name, needs, queueTimeoutMs);
  }

  get isWaitedFor(): boolean {
    return this.#ready.length + this.#aside.length + this.#late.length > 0;
  }

  /** Leave at once, if nobody waits before; else the node is to be parked. */
  tryPass(flow: Flow): Pass | undefined {
    const refusal = this.#refusal(flow);
    if (refusal !== undefined) return new Pass(this, [], refusal);
    if (flow.count > 0 || flow.needs.some(({ limit }) => (this.#waiters.get(limit)?.length ?? 0) > 0) || flow.lacking !== undefined) return undefined;
    return this.#take(flow);
  }

  #refusal({ agent, tooLarge }: Flow): Failure | undefined {
    if (tooLarge === undefined) return undefined;
    const { limit, amount } = tooLarge;
    const message = `an attempt of "${agent}" uses ${amount} of ${limit.key}, of which there are never more than ${limit.mostEver}`;
    return makeFailure("configuration", "PAWL_LIMIT_EXCEEDED", message);
  }

  #take(flow: Flow): Pass {
    this.#served = Math.max(this.#served, flow.tag);
    flow.tag = this.#served + 1;
    const taken = flow.needs.map(({ limit, amount }) => {
      this.touched(limit);
      return limit.take(amount);
    });
    return new Pass(this, taken);
  }

  /** The node waits here until `grantParked`. */
  park(flow: Flow, run: GatedRun, index: number): void {
    const parked = { index, since: this.#seams.now() };
    let line = flow.lines.get(run);
    if (line === undefined) flow.lines.set(run, (line = { run, nodes: new Queue() }));
    if (line.nodes.length === 0) flow.inLine.push(line, rankOf(run, parked));
    line.nodes.push(parked);
    const flows = this.#flowsOf.get(run) ?? new Set();
    this.#flowsOf.set(run, flows.add(flow));
    this.#count(flow, 1);
    this.#place(flow);
    this.#watchTimeout(flow);
  }

  #count(flow: Flow, by: number): void {
    flow.count += by;
    for (const { limit, amount } of flow.needs) {
      limit.waits(by * amount);
      this.#seams.limits.touch(limit);
    }
  }

  /** It waits for its turn, or for what it lacks. */
  #place(flow: Flow): void {
    if (flow.isPlaced || flow.count === 0) return;
    flow.isPlaced = true;
    flow.tag = Math.max(flow.tag, this.#served);
    const { lacking } = flow;
    if (flow.canGo || lacking === undefined) return void this.#ready.push(flow, flow.tag);
    let waiters = this.#waiters.get(lacking);
    if (waiters === undefined) this.#waiters.set(lacking, (waiters = new Heap()));
    waiters.push(flow, flow.tag);
    this.touched(lacking);
  }

  /** There may be more, or less, of it. */
  touched(limit: Limit): void {
    this.#seams.limits.touch(limit);
    const waiters = this.#waiters.get(limit);
    for (let first = waiters?.peek(); first !== undefined; first = waiters!.peek()) {
      limit.head = first.needOf(limit);
      if (first.count > 0 && !limit.has(limit.head) && first.tooLarge === undefined) return this.#watchWindow(limit);
      waiters!.pop();
      first.isPlaced = false;
      if (first.count === 0) continue;
      first.isPlaced = true;
      this.#ready.push(first, first.tag);
      this.#seams.wantsTick();
      return;
    }
    limit.head = 0;
    if (limit.isOver) this.#watchWindow(limit);
  }

  /** A window gets free as time passes. */
  #watchWindow(limit: Limit): void {
    const at = limit.nextFreeAt();
    if (at === undefined || this.#timers.has(limit)) return;
    const cancel = this.#seams.after(Math.max(1, at - this.#seams.now()), () => {
      this.#timers.delete(limit);
      this.touched(limit);
      this.#seams.wantsTick();
    });
    this.#timers.set(limit, cancel);
  }

  /** Grants one node that waits here, if one can be granted; answers whether it did. `grant` does what is to be done around it. */
  grantOne(isHosted: (run: HostedRun) => boolean, grant: Grant): boolean {
    if (this.#refuseLate(isHosted, grant)) return true;
    for (let flow = this.#ready.pop(); flow !== undefined; flow = this.#ready.pop()) {
      flow.isPlaced = false;
      const line = flow.count > 0 && flow.canGo ? this.#firstLine(flow) : undefined;
      const isGranted = line !== undefined && this.#grantFrom(flow, line, grant);
      const isBusy = flow.count > 0 && flow.canGo && line === undefined;
      flow.isPlaced = isBusy;
      if (isBusy) this.#aside.push(flow);
      else this.#place(flow);
      for (const { limit } of flow.needs) this.touched(limit);
      if (isGranted) return true;
    }
    return false;
  }

  /** The line of the run whose turn it is, and whose commit is not in flight. */
  #firstLine(flow: Flow): Line | undefined {
    const busy: Line[] = [];
    let found: Line | undefined;
    while (found === undefined && flow.inLine.length > 0) {
      const line = flow.inLine.pop()!;
      if (flow.lines.get(line.run) !== line) continue;
      if (line.run.inFlight) busy.push(line);
      else found = line;
    }
    for (const line of busy) this.#stand(flow, line);
    return found;
  }

  /** The run stands in line with its first node. */
  #stand(flow: Flow, line: Line): void {
    const first = line.nodes.peek();
    if (first !== undefined) flow.inLine.push(line, rankOf(line.run, first));
    else this.#leaveFlow(flow, line.run);
  }

  /** Grants the first node of the line that still waits. */
  #grantFrom(flow: Flow, line: Line, grant: Grant): boolean {
    let isGranted = false;
    for (let parked = line.nodes.shift(); parked !== undefined; parked = isGranted ? undefined : line.nodes.shift()) {
      this.#count(flow, -1);
      const { index } = parked;
      const refusal = this.#refusal(flow);
      const pass = refusal === undefined ? this.#take(flow) : new Pass(this, [], refusal);
      grant(line.run, () => (isGranted = line.run.grantParked(index, pass)));
      if (!isGranted) pass.end();
    }
    if (flow.lines.get(line.run) === line) this.#stand(flow, line);
    return isGranted;
  }

  /** Runs that were being written can be looked at again. */
  lookAgain(): void {
    for (const flow of this.#aside.splice(0)) {
      flow.isPlaced = false;
      this.#place(flow);
    }
  }

  /** None of its nodes waits here any more. */
  leave(run: HostedRun): void {
    for (const flow of this.#flowsOf.get(run) ?? []) this.#leaveFlow(flow, run);
    this.#flowsOf.delete(run);
  }

  #leaveFlow(flow: Flow, run: HostedRun): void {
    const line = flow.lines.get(run);
    if (line === undefined) return;
    flow.lines.delete(run);
    this.#flowsOf.get(run)?.delete(flow);
    this.#count(flow, -line.nodes.length);
  }

  // ---- nodes that wait for too long

  #watchTimeout(flow: Flow): void {
    const { queueTimeoutMs } = flow;
    if (queueTimeoutMs === undefined || flow.cancelTimer !== undefined) return;
    const oldest = Math.min(...[...flow.lines.values()].map(({ nodes }) => nodes.peek()?.since ?? Number.POSITIVE_INFINITY));
    if (oldest === Number.POSITIVE_INFINITY) return;
    flow.cancelTimer = this.#seams.after(Math.max(1, oldest + queueTimeoutMs - this.#seams.now()), () => {
      flow.cancelTimer = undefined;
      this.#findLate(flow, this.#seams.now() - queueTimeoutMs);
      this.#watchTimeout(flow);
    });
  }

  #findLate(flow: Flow, before: number): void {
    for (const { run, nodes } of flow.lines.values())
      for (let first = nodes.peek(); first !== undefined && first.since <= before; first = nodes.peek()) {
        nodes.shift();
        this.#count(flow, -1);
        this.#late.push({ run, index: first.index, flow });
      }
    if (this.#late.length > 0) this.#seams.wantsTick();
  }

  #refuseLate(isHosted: (run: HostedRun) => boolean, grant: Grant): boolean {
    const at = this.#late.findIndex(({ run }) => !isHosted(run) || !run.inFlight);
    const [late] = at === -1 ? [] : this.#late.splice(at, 1);
    if (late === undefined) return false;
    const { run, index, flow } = late;
    const message = `it waited for ${flow.queueTimeoutMs} ms for what "${flow.agent}" uses`;
    const refusal = { ...makeFailure("resource", "PAWL_QUEUE_TIMEOUT", message), retryable: false };
    if (isHosted(run)) grant(run, () => run.grantParked(index, new Pass(this, [], refusal)));
    return true;
  }

  /** Nobody uses these limits any more: what stood before them goes, too. */
  forget(limits: ReadonlySet<Limit>): void {
    for (const limit of limits) {
      this.#timers.get(limit)?.();
      this.#timers.delete(limit);
      this.#waiters.delete(limit);
    }
    for (const flows of this.#flows.values()) for (const [tenant, { needs }] of flows) if (needs.some(({ limit }) => limits.has(limit))) flows.delete(tenant);
  }

  stop(): void {
    for (const cancel of this.#timers.values()) cancel();
    for (const flows of this.#flows.values()) for (const { cancelTimer } of flows.values()) cancelTimer?.();
    this.#timers.clear();
  }
}

function rankOf({ lane }: GatedRun, { since }: Parked): number {
  return since - lane.priority * AGEING_MS;
}
