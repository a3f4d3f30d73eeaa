/**
 * The gate: which of the nodes that wait for a limit is granted next.
 * 1. Nodes that use the same for the same tenant are one flow. A flow waits for the first limit that has too little for it,
 *    and takes from none before all have enough: so nobody who needs something else waits behind it.
 * 2. Flows take turns, whatever their lengths: no agent and no tenant starves another. Within a flow the run with the
 *    greater priority comes first; each minute of waiting counts as one more.
 * 3. What a grant costs grows with the logarithm of the number of flows and of runs, not with the number of nodes.
 */
import type { Failure } from "../../machines/node.ts";
import type { Agent } from "../define/agent.ts";
import { type AgentBreaker, type Breaker, breakerFor, countsForBreaker } from "../define/breaker.ts";
import type { ErrorCode } from "../errors.ts";
import { circuitOpenFailure } from "./breaker-view.ts";
import type { Breakers } from "./breakers.ts";
import { makeFailure } from "./failure.ts";
import { Flow, type GatedRun, type Line, type Need, type Parked, type Place, rankOf } from "./flow.ts";
import { Heap } from "./heap.ts";
import type { HostedRun } from "./hosted-run.ts";
import type { Limit } from "./limit.ts";
import type { Limits } from "./limits.ts";
import { type Ended, type Outcome, Pass, type Through } from "./pass.ts";
import { Queue } from "./queue.ts";
import type { Grant } from "./turns.ts";

interface GateSeams {
  readonly limits: Limits;
  readonly breakers: Breakers;
  /** Of agents and workflows that have none. */
  readonly breaker: Breaker | undefined;
  readonly now: () => number;
  readonly after: (ms: number, call: () => void) => () => void;
  /** Somebody can be granted something. */
  readonly wantsTick: () => void;
}

export class Gate {
  readonly #seams: GateSeams;
  readonly #flows = new Map<Agent, Map<string | undefined, Flow>>();
  readonly #ready = new Heap<Place>();
  readonly #waiters = new Map<Limit, Heap<Place>>();
  /** Flows that claim a limit, whatever they wait for. */
  readonly #claims = new Map<Limit, Set<Flow>>();
  /** Flows that wait for a breaker, by its name. */
  readonly #atBreaker = new Map<string, Flow[]>();
  /** Flows whose runs are all being written. */
  #aside: Flow[] = [];
  readonly #timers = new Map<Limit, () => void>();
  readonly #flowsOf = new Map<HostedRun, Set<Flow>>();
  /** Nodes that have waited for too long. */
  #late: { readonly run: GatedRun; readonly parked: Parked; readonly flow: Flow }[] = [];
  #waiting = 0;
  /** The tag of the flow that was served last. */
  #served = 0;

  constructor(seams: GateSeams) {
    this.#seams = seams;
    seams.breakers.onChange((name) => this.#breakerChanged(name));
  }

  #breakerChanged(name: string): void {
    const flows = this.#atBreaker.get(name) ?? [];
    this.#atBreaker.delete(name);
    for (const flow of flows) this.#placeAnew(flow);
    this.#seams.wantsTick();
  }

  /** Where nodes of this agent wait; undefined when they wait for nothing. */
  flowOf(agent: Agent, { lane, plan: { breaker } }: GatedRun): Flow | undefined {
    const shared = breaker ?? this.#seams.breaker;
    if (agent.guard === undefined && agent.breaker === undefined && shared === undefined) return undefined;
    let flows = this.#flows.get(agent);
    if (flows === undefined) this.#flows.set(agent, (flows = new Map()));
    const key = `${lane.tenant ?? ""} ${shared?.name ?? ""}`;
    let flow = flows.get(key);
    if (flow === undefined) flows.set(key, (flow = this.#newFlow(agent, lane.tenant, breakerFor(agent, shared))));
    return flow;
  }

  #newFlow(agent: Agent, tenant: string | undefined, breaker: AgentBreaker | undefined): Flow {
    const { limits } = this.#seams;
    const { concurrency, uses = [] } = agent.guard ?? {};
    const needs = uses.flatMap(({ resource, amount }) => {
      const limit = limits.of(resource, tenant);
      return limit === undefined ? [] : [{ limit, amount }];
    });
    if (concurrency !== undefined) needs.unshift({ limit: limits.ofAgent(agent.name, concurrency), amount: 1 });
    return new Flow(agent, needs, breaker);
  }

  get isWaitedFor(): boolean {
    return this.#ready.length + this.#aside.length + this.#late.length > 0;
  }

  /** Leave at once, if nobody waits before; else the node is to be parked. */
  tryPass(flow: Flow): Pass | undefined {
    if (flow.tooLarge === undefined) {
      if (flow.count > 0 || flow.lacking !== undefined) return undefined;
      for (const { limit } of flow.needs) if (this.#firstAt(limit) !== undefined) return undefined;
    }
    return this.#pass(flow);
  }

  /** Leave, or the reason why there is none; undefined when the breaker is waited for. */
  #pass(flow: Flow): Pass | undefined {
    const { agent, tooLarge, breaker } = flow;
    if (tooLarge !== undefined) return this.#refused("configuration", "PAWL_LIMIT_EXCEEDED", exceeded(agent, tooLarge), tooLarge.limit);
    const admitted = breaker === undefined ? "yes" : this.#seams.breakers.admit(breaker.name, agent.policy.timeoutMs);
    if (admitted === "asks" || (admitted === "no" && breaker!.onOpen === "wait")) return undefined;
    if (admitted === "no") return new Pass(this, { refusal: circuitOpenFailure(this.#seams.breakers.view(breaker!.name)!) });
    this.#served = Math.max(this.#served, flow.tag);
    flow.tag = this.#served + 1;
    const taken = flow.needs.map(({ limit, amount }) => {
      const took = limit.take(amount);
      this.#seams.limits.touch(limit);
      return took;
    });
    return new Pass(this, { taken, through: breaker && { breaker, admitted, at: this.#seams.now() } });
  }

  #refused(kind: Failure["kind"], code: ErrorCode, message: string, refusedBy: Limit | undefined): Pass {
    return new Pass(this, { refusal: { ...makeFailure(kind, code, message), retryable: false }, refusedBy });
  }

  /** An attempt that had leave has ended. */
  ended({ breaker, admitted, at }: Through, ended: Ended): Outcome {
    const outcome = typeof ended === "string" ? ended : countsForBreaker(breaker, ended) ? "failure" : "neither";
    this.#seams.breakers.ended(breaker.name, admitted, outcome, this.#seams.now() - at);
    return outcome;
  }

  /** Nodes that wait here. */
  get waiting(): number {
    return this.#waiting;
  }

  /** The node waits here until `grantParked`. */
  park(flow: Flow, run: GatedRun, index: number): void {
    const parked = { index, since: this.#seams.now(), lacked: flow.lacking };
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
    this.#waiting += by;
    for (const { limit, amount } of flow.needs.slice(0, flow.claimed)) {
      limit.waits(by * amount);
      this.#seams.limits.touch(limit);
    }
    if (flow.count === 0) this.#claim(flow, 0);
  }

  #claim(flow: Flow, upTo: number): void {
    for (; flow.claimed < upTo; flow.claimed++) this.#claimOne(flow, flow.needs[flow.claimed]!, true);
    while (flow.claimed > upTo) this.#claimOne(flow, flow.needs[--flow.claimed]!, false);
  }

  #claimOne(flow: Flow, { limit, amount }: Need, isClaimed: boolean): void {
    const claims = this.#claims.get(limit) ?? new Set();
    this.#claims.set(limit, claims);
    if (isClaimed) claims.add(flow);
    else claims.delete(flow);
    limit.waits(isClaimed ? flow.count * amount : -flow.count * amount);
    limit.head = this.#headOf(limit);
    this.#seams.limits.touch(limit);
  }

  /** What the first flow needs of it: of those that wait for it, else of those that have it and wait for something else. */
  #headOf(limit: Limit): number {
    const [first = this.#firstAt(limit)?.flow] = this.#firstAt(limit) === undefined ? (this.#claims.get(limit) ?? []) : [];
    return first?.needOf(limit) ?? 0;
  }

  /** Who waits for it, and has not left. */
  #firstAt(limit: Limit): Place | undefined {
    const waiters = this.#waiters.get(limit);
    for (let first = waiters?.peek(); first !== undefined; first = waiters!.peek()) {
      if (first.flow.placed === first && first.flow.count > 0) return first;
      waiters!.pop();
      if (first.flow.placed === first) first.flow.placed = undefined;
    }
    return undefined;
  }

  #placeAnew(flow: Flow): void {
    flow.placed = undefined;
    this.#place(flow);
  }

  /** It waits for its turn, or for what it lacks. */
  #place(flow: Flow, isQuiet = false): void {
    if (flow.placed !== undefined || flow.count === 0) return;
    flow.tag = Math.max(flow.tag, this.#served);
    const { lacking } = flow;
    const isReady = flow.canGo || lacking === undefined;
    this.#claim(flow, isReady ? flow.needs.length : flow.needs.findIndex(({ limit }) => limit === lacking) + 1);
    const place: Place = (flow.placed = isReady ? { flow } : { flow, limit: lacking });
    if (isReady) return this.#ready.push(place, flow.tag);
    let waiters = this.#waiters.get(lacking);
    if (waiters === undefined) this.#waiters.set(lacking, (waiters = new Heap()));
    waiters.push(place, flow.tag);
    if (isQuiet) this.#watchWindow(lacking);
    else this.touched(lacking);
  }

  /** There may be more, or less, of it. */
  touched(limit: Limit): void {
    this.#seams.limits.touch(limit);
    const first = this.#firstAt(limit);
    limit.head = this.#headOf(limit);
    if (first === undefined) {
      if (limit.isOver) this.#watchWindow(limit);
    } else if (limit.has(limit.head) || first.flow.tooLarge !== undefined) {
      this.#waiters.get(limit)!.pop();
      this.#ready.push((first.flow.placed = { flow: first.flow }), first.flow.tag);
      this.#seams.wantsTick();
    } else this.#watchWindow(limit);
    if (limit.isContended) this.#standBack(limit);
  }

  /** Other workers want it: who lacks it now waits for it, and claims nothing that comes after it. */
  #standBack(limit: Limit): void {
    for (const flow of this.#claims.get(limit) ?? []) {
      const at = flow.placed?.limit;
      if (at !== undefined && at !== limit && flow.lacking === limit) this.#placeAnew(flow);
    }
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
    const looked = new Set<Flow>();
    for (let place = this.#ready.pop(); place !== undefined; place = this.#ready.pop()) {
      const { flow } = place;
      if (flow.placed !== place) continue;
      const isAgain = looked.has(flow);
      looked.add(flow);
      flow.placed = undefined;
      const line = flow.count > 0 && flow.canGo ? this.#firstLine(flow) : undefined;
      const pass = line === undefined ? undefined : this.#pass(flow);
      if (line !== undefined && pass === undefined) this.#stand(flow, line);
      const isGranted = pass !== undefined && this.#grantFrom(flow, line!, pass, grant);
      if (line !== undefined && pass === undefined) this.#waitForBreaker(flow);
      else if (flow.count > 0 && flow.canGo && line === undefined) this.#setAside(flow);
      else this.#place(flow, isAgain && !isGranted);
      // what one flow waits for can be what makes room for another, and the other way round: each is looked at twice
      if (!isAgain || isGranted) for (const { limit } of flow.needs) this.touched(limit);
      if (isGranted) return true;
    }
    return false;
  }

  #waitForBreaker(flow: Flow): void {
    const { name } = flow.breaker!;
    flow.placed = { flow };
    this.#atBreaker.set(name, [...(this.#atBreaker.get(name) ?? []), flow]);
  }

  #setAside(flow: Flow): void {
    flow.placed = { flow };
    this.#aside.push(flow);
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
  #grantFrom(flow: Flow, line: Line, pass: Pass, grant: Grant): boolean {
    let isGranted = false;
    for (let parked = line.nodes.shift(); parked !== undefined; parked = isGranted ? undefined : line.nodes.shift()) {
      const { index, since, lacked } = parked;
      pass.waited = { ms: this.#seams.now() - since, lacked };
      this.#count(flow, -1);
      grant(line.run, () => (isGranted = line.run.grantParked(index, pass)));
    }
    if (!isGranted) pass.end("neither");
    if (flow.lines.get(line.run) === line) this.#stand(flow, line);
    return isGranted;
  }

  /** Runs that were being written can be looked at again. */
  lookAgain(): void {
    for (const flow of this.#aside.splice(0)) this.#placeAnew(flow);
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
        this.#late.push({ run, parked: first, flow });
      }
    if (this.#late.length > 0) this.#seams.wantsTick();
  }

  #refuseLate(isHosted: (run: HostedRun) => boolean, grant: Grant): boolean {
    const at = this.#late.findIndex(({ run }) => !isHosted(run) || !run.inFlight);
    const [late] = at === -1 ? [] : this.#late.splice(at, 1);
    if (late === undefined) return false;
    const { run, parked, flow } = late;
    const { index, since, lacked } = parked;
    const message = `it waited for ${flow.queueTimeoutMs} ms for what "${flow.agent.name}" uses`;
    const pass = this.#refused("resource", "PAWL_QUEUE_TIMEOUT", message, lacked);
    pass.waited = { ms: this.#seams.now() - since, lacked };
    if (isHosted(run)) grant(run, () => run.grantParked(index, pass));
    return true;
  }

  /** Nobody uses these limits any more: what stood before them goes, too. */
  forget(limits: ReadonlySet<Limit>): void {
    for (const limit of limits) {
      this.#timers.get(limit)?.();
      this.#timers.delete(limit);
      this.#waiters.delete(limit);
      this.#claims.delete(limit);
    }
    for (const flows of this.#flows.values()) for (const [tenant, { needs }] of flows) if (needs.some(({ limit }) => limits.has(limit))) flows.delete(tenant);
  }

  stop(): void {
    for (const cancel of this.#timers.values()) cancel();
    for (const flows of this.#flows.values()) for (const { cancelTimer } of flows.values()) cancelTimer?.();
    this.#timers.clear();
  }
}

function exceeded({ name }: Agent, { limit, amount }: Need): string {
  return `an attempt of "${name}" uses ${amount} of ${limit.resource}, of which there are never more than ${limit.mostEver}`;
}
