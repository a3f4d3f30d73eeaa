/**
 * How far a DAG run is: which nodes wait, are queued, run or have settled. Counters beside the supervisor, derived from
 * node rows: one decrement per edge, never a scan per event.
 * 1. `left[n]` is the number of n's dependencies that have not settled well, and one more for a member of a choice that is
 * not made. 2. A node is queued once, when its count reaches 0. 3. What depends on a failed node is blocked, directly or not.
 * 4. A group is open while it has members that have not settled; then it is in transit, as before it was opened.
 * 5. `recount` finds all of it anew from the statuses, and what groups were opened with.
 */
import { isChoice } from "../define/node-definition.ts";
import type { Graph } from "./graph.ts";
import { MapFeed } from "./map-feed.ts";
import { type KnownNode, NODE_STATUSES, type NodeStatus, type Settled } from "./node-status.ts";
import { Queue } from "./queue.ts";

const CODE = Object.fromEntries(NODE_STATUSES.map((status, code) => [status, code])) as Record<NodeStatus, number>;
/** Groups that stand so begin no further member. */
const ENDED_GROUP: ReadonlySet<NodeStatus> = new Set(["completed", "skipped", "failed", "notTaken"]);
const SETTLED_WELL: ReadonlySet<number> = new Set([CODE.completed, CODE.skipped, CODE.notTaken]);

export class Progress {
  readonly #graph: Graph;
  #status: Uint8Array;
  #left = new Int32Array(0);
  readonly #queue = new Queue<number>();
  /** Queued ones that wait for a limit. */
  readonly #parked = new Set<number>();
  /** Of open groups: members that have not settled. */
  readonly #members = new Map<number, number>();
  /** What groups were opened with. */
  readonly #opened = new Map<number, number>();
  /** Items of maps, as there is room for them. */
  readonly #feed: MapFeed;
  /** Groups and events to be opened or closed. */
  readonly #transits = new Queue<number>();
  readonly #inTransit = new Set<number>();
  /** Members that are blocked if their choice takes them. */
  readonly #doomed = new Set<number>();
  #running = 0;
  #backingOff = 0;
  #awaited = 0;

  /** `stored` are the nodes with a row, as they were committed; the graph has grown to them. */
  constructor(graph: Graph, stored: readonly KnownNode[] = []) {
    this.#graph = graph;
    this.#status = new Uint8Array(graph.size);
    this.#feed = new MapFeed(graph, (index) => this.status(index));
    for (const { index, status, opened } of stored) {
      // a call that has a row while it runs was cut off
      this.#status[index] = CODE[status === "running" && graph.node(index).kind === "call" ? "waiting" : status];
      if (status === "backingOff") this.#backingOff++;
      if (opened !== undefined) this.#opened.set(index, opened);
    }
    this.#recount(stored);
  }

  /** Somebody has set how something ends that had ended, or that is made of others: finds anew what may run. */
  recount(): void {
    const known: KnownNode[] = [];
    for (let index = 0; index < this.#graph.size; index++) {
      if (this.#status[index] === CODE.blocked) this.#status[index] = this.#opened.has(index) ? CODE.running : CODE.waiting;
      if (this.#status[index] !== CODE.waiting) known.push({ index, status: this.status(index), opened: this.#opened.get(index) });
    }
    this.#members.clear();
    this.#doomed.clear();
    this.#recount(known);
    this.queueReady();
  }

  #recount(known: readonly KnownNode[]): void {
    const { plan } = this.#graph;
    this.#left = Int32Array.from(plan.nodes, ({ dependencies, within }) => dependencies.length + (within === undefined ? 0 : 1));
    for (const { index, status, opened } of known) if (ENDED_GROUP.has(status)) this.#closeGroup(index, status, opened);
    for (const { index, opened } of known)
      if (opened !== undefined && isChoice(plan.nodes[index]!.kind))
        for (const member of plan.members.get(index)!)
          if (plan.nodes[member]!.within!.branch === opened) this.#left[member]!--;
          else this.#notTake(member);
    for (let index = 0; index < plan.nodes.length; index++)
      if (SETTLED_WELL.has(this.#status[index]!)) for (const dependent of plan.dependents[index]!) this.#left[dependent]!--;
    for (const { index, status, opened } of known) if (opened !== undefined && status === "running") this.#members.set(index, this.#unsettled(index, opened));
    for (const { index, status } of known) if (status === "failed") this.#block(index);
  }

  /** A choice that could not be made, or a group whose outcome was set: those of its members that have not begun do not run. */
  #closeGroup(index: number, status: NodeStatus, opened: number | undefined): void {
    if (status !== "failed") for (const member of this.#graph.plan.members.get(index) ?? []) this.#notTake(member);
    if (opened === undefined || index >= this.#graph.plan.nodes.length) return;
    for (const item of this.#graph.itemsOf(index)) if (this.#status[item] === CODE.waiting) this.#status[item] = CODE.notTaken;
    if (this.#feed.close(index)) this.#queue.remove(index);
  }

  #unsettled(group: number, opened: number): number {
    const { plan } = this.#graph;
    const members = isChoice(plan.nodes[group]!.kind)
      ? plan.members.get(group)!.filter((member) => plan.nodes[member]!.within!.branch === opened)
      : [...this.#graph.itemsOf(group)];
    return members.filter((member) => !SETTLED_WELL.has(this.#status[member]!)).length;
  }

  status(index: number): NodeStatus {
    return NODE_STATUSES[this.#status[index]!]!;
  }

  /** Nodes that wait for a grant; the items of a map count as one. */
  get queued(): number {
    return this.#queue.length;
  }

  /** Nodes that wait for a limit. */
  get parked(): number {
    return this.#parked.size;
  }

  get running(): number {
    return this.#running;
  }

  /** Nodes wait for what has failed, and can never start. */
  get hasBlocked(): boolean {
    return this.#status.includes(CODE.blocked);
  }

  /** Groups and events that are about to open or close. */
  get inTransit(): number {
    return this.#inTransit.size;
  }

  /** Nothing is queued, runs, backs off or is waited for: nothing more will happen of itself. */
  get exhausted(): boolean {
    return this.queued + this.parked === 0 && this.#running === 0 && this.#backingOff === 0 && this.#inTransit.size === 0 && this.#awaited === 0;
  }

  /** Queues every node that waits for nothing any more. */
  queueReady(): void {
    for (let index = 0; index < this.#left.length; index++) {
      if (this.#left[index] === 0 && this.#status[index] === CODE.waiting) this.#ready(index);
      else if (this.#members.get(index) === 0 && !this.#inTransit.has(index)) this.#transit(index);
    }
    // also of groups that are blocked by one of their items
    for (const index of this.#graph.grown()) this.#startItems(index);
  }

  #startItems(group: number): void {
    if (this.#feed.add(group)) this.#queue.push(group);
  }

  #ready(index: number): void {
    if (this.#graph.plan.nodes[index]!.kind === "call") return this.#enqueue(index);
    this.#status[index] = CODE.running;
    this.#transit(index);
  }

  /** The next group or event that is to be opened or closed. */
  takeTransit(): number | undefined {
    return this.#transits.shift();
  }

  #transit(index: number): void {
    this.#inTransit.add(index);
    this.#transits.push(index);
  }

  /** How many items, or the number of the branch; undefined of a group that was not opened. */
  openedWith(group: number): number | undefined {
    return this.#opened.get(group);
  }

  /** A group that waits is about to end without being opened. */
  enterTransit(index: number): void {
    this.#inTransit.add(index);
    this.#status[index] = CODE.running;
  }

  /** The branch of this number is taken. */
  take(choice: number, branch: number): void {
    const { plan } = this.#graph;
    this.#inTransit.delete(choice);
    this.#opened.set(choice, branch);
    this.#members.set(choice, this.#unsettled(choice, branch));
    const members = plan.members.get(choice)!;
    const isTaken = (member: number): boolean => plan.nodes[member]!.within!.branch === branch;
    // first those that are out: one that is blocked must not block them
    for (const member of members) if (!isTaken(member)) this.#notTake(member, true);
    for (const member of members.filter(isTaken))
      if (this.#doomed.delete(member)) this.#blockAll([member]);
      else if (--this.#left[member]! === 0 && this.#status[member] === CODE.waiting) this.#ready(member);
    if (this.#members.get(choice) === 0) this.#transit(choice);
  }

  /** The group has so many items more. */
  grow(group: number, count: number): void {
    this.#inTransit.delete(group);
    this.#graph.grow(group, count);
    this.#opened.set(group, count);
    this.#reserve();
    this.#members.set(group, (this.#members.get(group) ?? 0) + count);
    if (count === 0) this.#transit(group);
    else this.#startItems(group);
  }

  /** The event was opened, and has not come. */
  awaits(index: number): void {
    this.#status[index] = CODE.running;
    this.#inTransit.delete(index);
    this.#awaited++;
  }

  /** The next queued node, which is to be granted or parked. */
  next(): number | undefined {
    for (let index = this.#queue.shift(); index !== undefined; index = this.#queue.shift()) {
      const granted = this.#feed.has(index) ? this.#feed.next(index) : index;
      if (granted !== index && this.#feed.hasMore(index)) this.#queue.push(index);
      if (granted !== undefined) return granted;
    }
    return undefined;
  }

  /** Its attempt runs. */
  runs(index: number): void {
    this.#leave(index);
    this.#status[index] = CODE.running;
    this.#running++;
  }

  /** It waits for a limit. */
  park(index: number): void {
    this.#leave(index);
    this.#status[index] = CODE.queued;
    this.#parked.add(index);
  }

  /** Does it wait for a limit? Then it no longer does. */
  unpark(index: number): boolean {
    return this.#parked.delete(index);
  }

  /** What waits for limits is queued again. */
  unparkAll(): void {
    for (const index of this.#parked) this.#queue.push(index);
    this.#parked.clear();
  }

  backOff(index: number): void {
    this.#leave(index);
    this.#status[index] = CODE.backingOff;
    this.#backingOff++;
  }

  /** A recovery action of the node is queued: how it goes on, that one says. */
  recover(index: number): void {
    this.#leave(index);
    this.#status[index] = CODE.recovering;
  }

  /** A node whose backoff passed is queued again; an item, when there is room for it. */
  requeue(index: number): void {
    const group = this.#graph.groupOf(index);
    if (group !== undefined && this.#feed.putsOff(group, index)) return;
    this.#leave(index);
    this.#enqueue(index);
  }

  /** Somebody says how it ends: it leaves what it waits in, as one that is under way. */
  withdraw(index: number): void {
    this.#parked.delete(index);
    this.#queue.remove(index);
    const group = this.#graph.groupOf(index);
    if (group === undefined || !this.#feed.has(group)) return;
    this.#feed.withdraw(group, index);
    this.#queue.remove(group);
  }

  /** A call has ended. */
  settle(index: number, status: Settled): void {
    this.#leave(index);
    this.#status[index] = CODE[status];
  }

  /** A group or event has ended, out of transit or while it was awaited. */
  settleInTransit(index: number, status: Settled): void {
    this.#inTransit.delete(index);
    this.#members.delete(index);
    this.#status[index] = CODE[status];
  }

  /** It has not begun, or its end is to be set anew. */
  unsettle(index: number): void {
    this.#status[index] = CODE.waiting;
  }

  settleAwaited(index: number, status: Settled): void {
    this.#awaited--;
    this.#status[index] = CODE[status];
  }

  /** Queues or blocks those that waited for a node that has settled. */
  release(index: number): void {
    const group = this.#graph.groupOf(index);
    if (group !== undefined && this.#feed.settled(group)) this.#queue.push(group);
    const isFailed = this.#status[index] === CODE.failed;
    if (isFailed) this.#block(index);
    else this.#flow(index);
    // a choice that could not be made: its members do not run
    if (this.#status[index] === CODE.skipped) for (const member of this.#graph.plan.members.get(index) ?? []) this.#notTake(member, true);
  }

  #flow(index: number): void {
    for (const dependent of this.#graph.dependentsOf(index))
      if (--this.#left[dependent]! === 0 && this.#status[dependent] === CODE.waiting) this.#ready(dependent);
    const parent = this.#graph.parentOf(index);
    const members = parent === undefined ? undefined : this.#members.get(parent);
    if (members === undefined || this.#status[index] === CODE.notTaken) return;
    this.#members.set(parent!, members - 1);
    if (members === 1) this.#transit(parent!);
  }

  /** The member, and all beneath it, will not run. With `flows`, those that wait for it are told. */
  #notTake(first: number, flows = false): void {
    const open = [first];
    for (const index of open) {
      if (this.#status[index] !== CODE.waiting) continue;
      this.#doomed.delete(index);
      this.#status[index] = CODE.notTaken;
      open.push(...(this.#graph.plan.members.get(index) ?? []));
    }
    if (flows) for (const index of open) if (this.#status[index] === CODE.notTaken) this.#flow(index);
  }

  /** The run stops: what has not settled never starts. With `unwinds`, the end of what runs is waited for. */
  stop(unwinds = false): void {
    this.#queue.clear();
    this.#parked.clear();
    this.#transits.clear();
    this.#inTransit.clear();
    this.#awaited = this.#backingOff = 0;
    this.#members.clear();
    if (!unwinds) this.#running = 0;
    for (let index = 0; index < this.#graph.size; index++) {
      const goesOn = unwinds && (this.#status[index] === CODE.running || this.#graph.undoes(index) !== undefined);
      if (this.#status[index]! < CODE.completed && !goesOn) this.#status[index] = CODE.cancelled;
      else if (this.#status[index] === CODE.backingOff) this.#backingOff++;
    }
  }

  /** Queues a compensation or recovery action. */
  derive(index: number): void {
    this.#reserve();
    this.#enqueue(index);
  }

  #reserve(): void {
    if (this.#graph.size <= this.#status.length) return;
    const grown = new Uint8Array(Math.max(this.#graph.size, this.#status.length * 2));
    grown.set(this.#status);
    this.#status = grown;
  }

  #enqueue(index: number): void {
    this.#status[index] = CODE.queued;
    this.#queue.push(index);
  }

  #leave(index: number): void {
    if (this.#status[index] === CODE.running) this.#running--;
    if (this.#status[index] === CODE.backingOff) this.#backingOff--;
  }

  #block(failed: number): void {
    const parent = this.#graph.parentOf(failed);
    const members = this.#graph.plan.members.get(failed) ?? [];
    this.#blockAll([...members, ...this.#graph.dependentsOf(failed), ...(parent === undefined ? [] : [parent])]);
  }

  /** It is known which of its members are to run; one that is about to be made is running already. */
  #isMade(choice: number): boolean {
    return this.#status[choice] !== CODE.waiting && (this.#status[choice] !== CODE.running || this.#members.has(choice));
  }

  #blockAll(open: number[]): void {
    for (let index = open.pop(); index !== undefined; index = open.pop()) {
      const isOpened = this.#members.delete(index);
      if (!isOpened && this.#status[index] !== CODE.waiting) continue;
      const { members, nodes } = this.#graph.plan;
      const { within } = nodes[index]!;
      if (within !== undefined && !this.#isMade(within.choice)) {
        this.#doomed.add(index);
        continue;
      }
      this.#status[index] = CODE.blocked;
      if (!isOpened) open.push(...(members.get(index) ?? []));
      open.push(...this.#graph.dependentsOf(index));
      if (within !== undefined) open.push(within.choice);
    }
  }
}
