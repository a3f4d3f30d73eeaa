/**
 * The gate: which of the nodes that wait for a limit is granted next.
 * 1. Nodes that use the same for the same tenant are one flow. A flow waits for the first limit that has too little for it,
 *    and takes from none before all have enough: so nobody who needs something else waits behind it.
 * 2. Flows take turns, whatever their lengths: no agent and no tenant starves another. Who comes to a limit, also from another
 *    one, stands behind those that wait for it, also if it needs less. Within a flow the run with the greater priority comes
 *    first; each minute of waiting counts as one more.
 * 3. A flow claims what it waits for, and what comes before that in the order in which all workers claim. So workers do not
 *    wait for each other in a circle; and what is claimed of a limit follows from what happens to those before it alone, so
 *    that it comes to rest.
 * 4. Who needs several limits is not passed by for ever by those who need one of them: when its turn has come in vain a few
 *    times, what it has found of what it claims is kept for it until it has all, also if other workers want it. The longest
 *    window comes first and what is held last: so nothing that is held is kept by who waits for time to pass, and of a window
 *    no longer than another window takes that is not longer.
 * 5. What a grant costs grows with the logarithm of the number of flows and of runs, not with the number of nodes.
 */
import type { Failure } from "../../machines/node.ts";
import type { Agent } from "../define/agent.ts";
import { type Breaker, countsForBreaker } from "../define/breaker.ts";
import type { ErrorCode } from "../errors.ts";
import { circuitOpenFailure } from "./breaker-view.ts";
import type { Breakers } from "./breakers.ts";
import type { BusyServices } from "./busy.ts";
import { Claims } from "./claims.ts";
import { makeFailure } from "./failure.ts";
import { Flow, type GatedRun, type Line, type Need, type Place, rankOf } from "./flow.ts";
import { Flows } from "./flows.ts";
import { Heap } from "./heap.ts";
import type { HostedRun } from "./hosted-run.ts";
import { LateNodes } from "./late-nodes.ts";
import type { Limit } from "./limit.ts";
import type { Limits } from "./limits.ts";
import { Outside } from "./outside.ts";
import { type Ended, type Outcome, Pass, type Through } from "./pass.ts";
import { Queue } from "./queue.ts";
import { TurnOrder } from "./turn-order.ts";
import type { Grant } from "./turns.ts";
import { Waiters } from "./waiters.ts";

interface GateSeams {
  readonly limits: Limits;
  readonly breakers: Breakers;
  readonly busy: BusyServices;
  /** Of agents and workflows that have none. */
  readonly breaker: Breaker | undefined;
  readonly now: () => number;
  readonly after: (ms: number, call: () => void) => () => void;
  /** Somebody can be granted something. */
  readonly wantsTick: () => void;
}

export class Gate {
  readonly #seams: GateSeams;
  readonly #flows: Flows;
  readonly #ready = new Heap<Place>();
  readonly #waiters = new Waiters();
  readonly #claims: Claims;
  readonly #outside: Outside;
  /** Flows whose runs are all being written. */
  #aside: Flow[] = [];
  readonly #timers = new Map<Limit, { readonly at: number; readonly cancel: () => void }>();
  readonly #flowsOf = new Map<HostedRun, Set<Flow>>();
  readonly #late: LateNodes;
  #waiting = 0;
  readonly #order = new TurnOrder();

  constructor(seams: GateSeams) {
    this.#seams = seams;
    this.#flows = new Flows(seams.limits);
    this.#claims = new Claims((limit) => seams.limits.touch(limit));
    this.#late = new LateNodes(seams, (flow) => this.#count(flow, -1));
    this.#outside = new Outside(seams, (flows) => {
      for (const flow of flows) {
        this.#order.comes(flow);
        this.#placeAnew(flow);
      }
      seams.wantsTick();
    });
  }

  /** Where nodes of this agent wait; undefined when they wait for nothing. */
  flowOf(agent: Agent, { lane, plan }: GatedRun): Flow | undefined {
    const shared = plan?.breaker ?? this.#seams.breaker;
    const isFree = agent.guard === undefined && agent.breaker === undefined && shared === undefined;
    return isFree && !this.#seams.busy.isBusy(agent.name) ? undefined : this.#flows.of(agent, lane?.tenant, shared);
  }

  /** Nothing begins here any more: others need not wait for who waits here. */
  standDown(): void {
    for (const flow of this.#flows.all) this.#claims.claim(flow, 0);
  }

  get isWaitedFor(): boolean {
    return this.#ready.length + this.#aside.length > 0;
  }

  get hasLate(): boolean {
    return this.#late.length > 0;
  }

  /** Leave at once, if nobody waits before; else the node is to be parked. */
  tryPass(flow: Flow): Pass | undefined {
    if (flow.count === 0) this.#order.comes(flow);
    const isTurnOfOthers = flow.needs.length > 0 && this.#ready.length > 0;
    if (flow.tooLarge === undefined && (flow.count > 0 || isTurnOfOthers || this.#waitsFor(flow) !== undefined)) return undefined;
    return this.#pass(flow);
  }

  /** A service told an attempt of this agent to come back after so long: that holds for all that use it. */
  toldToWait(agent: Agent, run: GatedRun, ms: number): void {
    this.#seams.busy.says(this.flowOf(agent, run)?.service ?? agent.name, agent.name, ms);
  }

  /** Leave, or the reason why there is none; undefined when the breaker or the service is waited for. */
  #pass(flow: Flow): Pass | undefined {
    const { agent, tooLarge, breaker, service } = flow;
    if (tooLarge !== undefined) return this.#refused("configuration", "PAWL_LIMIT_EXCEEDED", exceeded(agent, tooLarge), tooLarge.limit);
    if (this.#seams.busy.isBusy(service)) return undefined;
    const admitted = breaker === undefined ? "yes" : this.#seams.breakers.admit(breaker.name, agent.policy.timeoutMs);
    if (admitted === "asks" || (admitted === "no" && breaker!.onOpen === "wait")) return undefined;
    if (admitted === "no") return new Pass(this, { refusal: circuitOpenFailure(this.#seams.breakers.view(breaker!.name)!) });
    this.#order.serve(flow);
    this.#claims.useKept(flow);
    const at = this.#seams.now();
    const taken = flow.needs.map(({ limit, amount }) => {
      this.#seams.limits.touch(limit);
      return limit.take(amount, at);
    });
    return new Pass(this, { taken, through: breaker && { breaker, admitted, at } });
  }

  #refused(kind: Failure["kind"], code: ErrorCode, message: string, refusedBy: Limit | undefined): Pass {
    return new Pass(this, { refusal: { ...makeFailure(kind, code, message), retryable: false }, refusedBy });
  }

  /** An attempt that had leave has ended. */
  ended({ breaker, admitted, at }: Through, ended: Ended): Outcome {
    const outcome = typeof ended === "string" ? ended : countsForBreaker(breaker, ended) ? "failure" : "neither";
    this.#seams.breakers.ended(breaker.name, admitted, outcome, this.#seams.now() - at, typeof ended === "string" ? undefined : ended);
    return outcome;
  }

  /** Nodes that wait here. */
  get waiting(): number {
    return this.#waiting;
  }

  /** The node waits here until `grantParked`; it has done so since then. */
  park(flow: Flow, run: GatedRun, index: number, since = this.#seams.now()): void {
    const parked = { index, since, lacked: flow.lacking };
    let line = flow.lines.get(run);
    if (line === undefined) flow.lines.set(run, (line = { run, nodes: new Queue() }));
    if (line.nodes.length === 0) flow.inLine.push(line, rankOf(run, parked));
    line.nodes.push(parked);
    const flows = this.#flowsOf.get(run) ?? new Set();
    this.#flowsOf.set(run, flows.add(flow));
    if (flow.count === 0) this.#order.comes(flow);
    this.#count(flow, 1);
    this.#place(flow);
    this.#late.watch(flow);
  }

  #count(flow: Flow, by: number): void {
    if (flow.count === 0) for (const { limit } of flow.needs) limit.flows++;
    flow.count += by;
    this.#waiting += by;
    for (const { limit, amount } of flow.needs.slice(0, flow.claimed)) {
      limit.waits(by * amount, by);
      this.#seams.limits.touch(limit);
    }
    if (flow.count > 0) return;
    for (const { limit } of flow.needs) limit.flows--;
    const given = this.#claims.claim(flow, 0);
    flow.passedBy = 0;
    this.#leavePlace(flow);
    for (const limit of given) this.touched(limit);
  }

  /** Those that stand behind it no longer wait for it. */
  #leavePlace(flow: Flow): void {
    const left = flow.placed?.limit;
    flow.placed = undefined;
    if (left !== undefined) this.touched(left);
  }

  /** The first limit that has too little for it, or for which somebody waits whose turn comes before. */
  #waitsFor(flow: Flow): Limit | undefined {
    if (flow.tooLarge !== undefined) return undefined;
    for (const [at, need] of flow.needs.entries()) {
      const isOthers = at >= flow.kept && this.#waiters.first(need.limit)?.comesBefore(flow) === true;
      if (isOthers || !flow.finds(need, at)) return need.limit;
    }
    return undefined;
  }

  #placeAnew(flow: Flow): void {
    this.#leavePlace(flow);
    this.#place(flow);
  }

  /** It waits for its turn, or for what it lacks. */
  #place(flow: Flow): void {
    if (flow.placed !== undefined || flow.count === 0) return;
    const limit = this.#waitsFor(flow);
    const found = limit === undefined ? flow.needs.length : flow.needs.findIndex((need) => need.limit === limit);
    const given = this.#claims.claim(flow, limit === undefined ? found : found + 1, found);
    this.#standAt(limit, (flow.placed = { flow, limit }));
    for (const each of given) this.touched(each);
  }

  #standAt(limit: Limit | undefined, place: Place): void {
    if (limit === undefined) return this.#ready.push(place, place.flow.tag);
    this.#waiters.stand(limit, place);
    this.touched(limit);
  }

  /** There may be more, or less, of it. */
  touched(limit: Limit): void {
    this.#seams.limits.touch(limit);
    const first = this.#waiters.first(limit);
    if (first === undefined) {
      if (limit.isOver) this.#watchWindow(limit);
    } else if (limit.has(first.needOf(limit)) || first.tooLarge !== undefined) {
      this.#ready.push((first.placed = { flow: first, limit: undefined }), first.tag);
      this.#seams.wantsTick();
    } else this.#watchWindow(limit);
    if (limit.isContended) this.#standBack(limit);
  }

  /** An attempt that goes on has said how much of it it used: that is told to the others, and may be enough for somebody. */
  settled(limit: Limit): void {
    this.touched(limit);
    this.#seams.wantsTick();
  }

  /** Other workers want it: who lacks it now waits for it, and claims nothing that comes after it. */
  #standBack(limit: Limit): void {
    for (const flow of this.#claims.of(limit)) {
      const at = flow.placed?.limit;
      if (at !== undefined && at !== limit && flow.lacking === limit) this.#placeAnew(flow);
    }
  }

  /** A window gets free as time passes. */
  #watchWindow(limit: Limit): void {
    const at = limit.nextFreeAt();
    const known = this.#timers.get(limit);
    if (at === undefined || (known !== undefined && known.at <= at)) return;
    known?.cancel();
    const cancel = this.#seams.after(Math.max(1, at - this.#seams.now()), () => {
      this.#timers.delete(limit);
      this.touched(limit);
      this.#seams.wantsTick();
    });
    this.#timers.set(limit, { at, cancel });
  }

  /** Grants one node that waits here, if one can be granted; answers whether it did. `grant` does what is to be done around it. */
  grantOne(isHosted: (run: HostedRun) => boolean, grant: Grant): boolean {
    for (let place = this.#ready.pop(); place !== undefined; place = this.#ready.pop()) {
      const { flow } = place;
      if (flow.placed !== place) {
        // it left when it was its turn: others may have waited behind it
        for (const { limit } of flow.needs) this.touched(limit);
        continue;
      }
      flow.placed = undefined;
      const waits = this.#waitsFor(flow) !== undefined;
      const line = flow.count > 0 && !waits ? this.#firstLine(flow) : undefined;
      const pass = line === undefined ? undefined : this.#pass(flow);
      if (line !== undefined && pass === undefined) this.#stand(flow, line);
      const isGranted = pass !== undefined && this.#grantFrom(flow, line!, pass, grant);
      if (waits) flow.passedBy++;
      if (line !== undefined && pass === undefined) this.#waitOutside(flow);
      else if (flow.count > 0 && !waits && line === undefined) this.#setAside(flow);
      else this.#place(flow);
      for (const { limit } of flow.needs) this.touched(limit);
      if (isGranted) return true;
    }
    return false;
  }

  #waitOutside(flow: Flow): void {
    flow.placed = { flow, limit: undefined };
    this.#claims.claim(flow, 0);
    this.#outside.wait(flow);
  }

  #setAside(flow: Flow): void {
    this.#claims.claim(flow, flow.needs.length, flow.needs.length);
    flow.placed = { flow, limit: undefined };
    this.#aside.push(flow);
  }

  /** The line of the run whose turn it is, and whose commit is not in flight. */
  #firstLine(flow: Flow): Line | undefined {
    const busy: Line[] = [];
    let found: Line | undefined;
    while (found === undefined && flow.inLine.length > 0) {
      const line = flow.inLine.pop()!;
      if (flow.lines.get(line.run) !== line) continue;
      if (line.nodes.length === 0) this.#leaveFlow(flow, line.run);
      else if (line.run.inFlight) busy.push(line);
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
    if (!isGranted) {
      pass.refund();
      pass.end("neither");
    }
    if (flow.lines.get(line.run) === line) this.#stand(flow, line);
    return isGranted;
  }

  /** Runs that were being written can be looked at again. */
  lookAgain(): void {
    for (const flow of this.#aside.splice(0)) {
      this.#placeAnew(flow);
      if (flow.placed?.limit !== undefined) flow.passedBy++;
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
    // who is about to grant one of them grants none
    line.nodes.clear();
  }

  /** Where nodes wait, for those that only look. */
  get flows(): readonly Flow[] {
    return this.#flows.all;
  }

  /** Refuses one that has waited for too long: that needs no permit. */
  refuseLate(isHosted: (run: HostedRun) => boolean, grant: Grant): boolean {
    const late = this.#late.next(isHosted);
    if (late === undefined) return false;
    const { run, flow, parked } = late;
    const { index, since, lacked } = parked;
    const message = `it waited longer than its queueTimeout, ${flow.queueTimeoutMs} ms, for ${lacked === undefined ? "its turn" : `"${lacked.resource}"`}`;
    const pass = this.#refused("resource", "PAWL_QUEUE_TIMEOUT", message, lacked);
    pass.waited = { ms: this.#seams.now() - since, lacked };
    if (isHosted(run)) grant(run, () => run.grantParked(index, pass));
    return true;
  }

  /** Nobody uses these limits any more: what stood before them goes, too. */
  forget(limits: ReadonlySet<Limit>): void {
    for (const limit of limits) {
      this.#timers.get(limit)?.cancel();
      this.#timers.delete(limit);
      this.#waiters.forget(limit);
      this.#claims.forget(limit);
    }
    this.#flows.forget(({ needs }) => needs.some(({ limit }) => limits.has(limit)));
  }

  stop(): void {
    for (const { cancel } of this.#timers.values()) cancel();
    this.#late.stop();
    this.#timers.clear();
  }
}

function exceeded({ name }: Agent, { limit, amount }: Need): string {
  return `an attempt of agent "${name}" uses ${amount} of "${limit.resource}", more than its limit of ${limit.mostEver}`;
}
