/**
 * How a run stands, node by node, kept up to date from its history: a step per event, never a scan of all nodes.
 * 1. Fed every entry from the first, it shows what `run.nodes()` would, but for the instants of next attempts and what
 * attempts report. 2. A node is ready when all it waits for has settled well, and the choice that it is a member of has taken
 * its branch; what depends on a failed node is blocked, and so is a group by its member.
 * 3. A run that had ended and goes on again has its cut-off nodes open again, and the failed ones that its history names.
 */
import type { HistoryEntry, HistoryEvent, HistoryType, NodeStatus } from "../index.ts";
import { type BoardNode, type GraphNode, type Parts, itemOf, newNode } from "./board-node.ts";
import { Tally } from "./tally.ts";

const SETTLED_WELL: ReadonlySet<NodeStatus> = new Set(["completed", "skipped", "notTaken"]);
/** What a node is after something happened to it, where the word for it is another one. */
const STATUS_AFTER: Partial<Record<HistoryType, NodeStatus>> = { "node.started": "running", "node.alternative": "backingOff" };
const OPEN: ReadonlySet<NodeStatus> = new Set(["waiting", "queued", "running", "backingOff", "recovering"]);
/** After these a node, or the run, is as before, or it is told next what it is. */
const QUIET: ReadonlySet<HistoryType> = new Set(["node.warned", "node.recovered", "run.warned", "run.actionEnded"]);
const CUT_OFF: ReadonlySet<HistoryType> = new Set(["run.failed", "run.timedOut", "run.cancelled"]);
const GOES_ON: ReadonlySet<HistoryType> = new Set(["run.retried", "run.continued"]);

export class Board {
  /** The nodes of the definition, in its order. */
  readonly top: readonly BoardNode[];
  /** Of all nodes, items and rounds among them. */
  readonly tally = new Tally<BoardNode>();
  /** Events that are awaited. */
  readonly awaiting = new Set<BoardNode>();
  /** The instant of the first entry. */
  startedAt: number | undefined;
  isPaused = false;
  readonly #byId = new Map<string, BoardNode>();
  readonly #dependents = new Map<string, BoardNode[]>();
  readonly #members = new Map<string, BoardNode[]>();

  constructor(graph: readonly GraphNode[]) {
    this.top = graph.map((node) => this.#add(newNode(node)));
    for (const node of this.top) {
      for (const id of node.dependencies) push(this.#dependents, id, node);
      if (node.memberOf !== undefined) push(this.#members, node.memberOf.group, node);
    }
    for (const node of this.top) if (node.left === 0) this.#ready(node);
    for (const { id, open } of graph) {
      const node = this.#byId.get(id);
      if (node !== undefined && open !== undefined) this.#begin(node, { type: "node.started", ...open });
    }
    for (const { id, kept } of graph) if (kept !== undefined) this.#keep(this.#byId.get(id), kept);
    for (const { id, keptItems = [] } of graph) for (const item of keptItems) this.#keep(this.#byId.get(`${id}[${item.position}]`), item.status);
  }

  #add(node: BoardNode): BoardNode {
    this.#byId.set(node.id, node);
    for (const tally of this.#talliesOf(node)) tally.add(node, node.status);
    return node;
  }

  #keep(node: BoardNode | undefined, status: NodeStatus): void {
    if (node === undefined) return;
    this.#set(node, status);
    this.#flow(node);
  }

  /** In the order of the definition, items and rounds after what they are of. */
  get nodes(): BoardNode[] {
    return this.top.flatMap((node) => [node, ...(node.parts?.nodes ?? [])]);
  }

  node(id: string): BoardNode | undefined {
    return this.#byId.get(id);
  }

  /** How many have a result, or went without. */
  get done(): number {
    return this.tally.count("completed") + this.tally.count("skipped");
  }

  /** How many there are that may be done. */
  get wanted(): number {
    return this.tally.size - this.tally.count("notTaken");
  }

  /** What a node still waits for. */
  awaited({ dependencies, memberOf }: BoardNode): string[] {
    const open = dependencies.filter((id) => !SETTLED_WELL.has(this.#byId.get(id)?.status ?? "completed"));
    const choice = memberOf !== undefined && "branch" in memberOf ? this.#byId.get(memberOf.group) : undefined;
    return choice === undefined || choice.isOpened ? open : [choice.id, ...open];
  }

  apply(entry: HistoryEntry): void {
    this.startedAt ??= entry.at;
    for (const event of entry.events) {
      if (QUIET.has(event.type)) continue;
      if (event.type.startsWith("run.")) this.#applyRun(event);
      else if (event.node !== undefined) this.#applyNode(event, entry.at);
    }
    if (entry.events.some(({ type }) => GOES_ON.has(type))) this.#blockAgain();
  }

  /** An attempt that a crash cut off waits for its turn again; what is open when a run ends never starts. */
  #applyRun({ type, node: id }: HistoryEvent): void {
    this.isPaused = type === "run.paused" || (this.isPaused && type === "run.recovered");
    if (type === "run.recovered") for (const node of [...this.tally.those("running")]) if (node.kind === "call") this.#set(node, "queued");
    if (CUT_OFF.has(type)) for (const node of this.nodes) if (OPEN.has(node.status)) this.#set(node, "cancelled");
    if (!GOES_ON.has(type)) return;
    for (const node of id === undefined ? this.nodes.filter(({ status }) => status === "cancelled") : [this.#byId.get(id)]) this.#reopen(node);
  }

  /** A group that was opened stays so. */
  #reopen(node: BoardNode | undefined): void {
    if (node === undefined) return;
    [node.attempt, node.failure, node.endedAt, node.retryAt, node.overridden] = [0, undefined, undefined, undefined, undefined];
    if (node.isOpened) return this.#set(node, "running");
    node.startedAt = node.dueAt = undefined;
    if (node.left > 0) this.#set(node, "waiting");
    else this.#ready(node);
  }

  /** Of nodes that failed some may be open again: what is blocked now is what the others block. */
  #blockAgain(): void {
    for (const node of this.nodes) if (node.status === "blocked") this.#set(node, node.isOpened ? "running" : "waiting");
    for (const node of this.tally.those("failed")) this.#block(node);
  }

  #applyNode(event: HistoryEvent, at: number): void {
    const { type, node: id, attempt, code, message } = event;
    const node = this.#byId.get(id!) ?? this.#newRound(id!);
    if (node === undefined) return;
    // how it ends, it is told next
    if (type === "node.overridden") return void (node.overridden = event);
    const status = STATUS_AFTER[type] ?? (type.slice("node.".length) as NodeStatus);
    if (!type.startsWith("node.compens")) node.attempt = attempt ?? node.attempt;
    node.retryAt = undefined;
    if (code !== undefined) node.failure = { code, message: message ?? "" };
    if (status === "completed") node.failure = undefined;
    if (status === "running") [node.startedAt, node.endedAt, node.progress] = [at, undefined, undefined];
    else node.endedAt = at;
    this.#set(node, status);
    if (status === "running") this.#begin(node, event);
    else if (SETTLED_WELL.has(status)) this.#flow(node);
    else if (status === "failed") this.#block(node);
    if (status === "skipped") for (const member of this.#membersOf(node)) this.#notTake(member);
  }

  /** A further round of a loop. */
  #newRound(id: string): BoardNode | undefined {
    const bracket = id.lastIndexOf("[");
    const loop = this.#byId.get(id.slice(0, bracket));
    if (loop?.kind !== "repeat" || loop.parts === undefined) return undefined;
    this.#grow(loop, loop.parts, Number(id.slice(bracket + 1, -1)) + 1);
    return this.#byId.get(id);
  }

  #grow(group: BoardNode, { nodes }: Parts, size: number): void {
    while (nodes.length < size) nodes.push(this.#add(itemOf(group, nodes.length)));
  }

  /** A group was opened, or an event is awaited. */
  #begin(node: BoardNode, { items = 0, branch, dueAt, childRun }: HistoryEvent): void {
    [node.dueAt, node.childRun] = [dueAt, childRun];
    if (node.kind === "call" || node.kind === "event") return;
    node.isOpened = true;
    if (node.status !== "running") this.#set(node, "running");
    if (node.parts !== undefined) return this.#grow(node, node.parts, node.kind === "repeat" ? Math.max(items, 1) : items);
    node.branch = branch;
    for (const member of this.#membersOf(node)) this.#take(member, branch);
  }

  #take(member: BoardNode, branch: string | undefined): void {
    if (!("branch" in member.memberOf!) || member.memberOf.branch !== branch) return this.#notTake(member);
    if (member.isDoomed) return this.#blockAll([member]);
    if (--member.left === 0 && member.status === "waiting") this.#ready(member);
  }

  #membersOf({ id }: BoardNode): readonly BoardNode[] {
    return this.#members.get(id) ?? [];
  }

  /** The member, and all beneath it, will not run; who waits for it waits no more. */
  #notTake(first: BoardNode): void {
    const open = [first];
    const left: BoardNode[] = [];
    for (const node of open) {
      if (node.status !== "waiting") continue;
      node.isDoomed = false;
      this.#set(node, "notTaken");
      left.push(node);
      open.push(...this.#membersOf(node));
    }
    for (const node of left) this.#flow(node);
  }

  #flow(settled: BoardNode): void {
    for (const node of this.#dependents.get(settled.id) ?? []) if (--node.left === 0 && node.status === "waiting") this.#ready(node);
  }

  /** A call waits for its turn; a group or event begins of itself. */
  #ready(node: BoardNode): void {
    this.#set(node, node.kind === "call" ? "queued" : "running");
  }

  #block(failed: BoardNode): void {
    const parent = failed.memberOf === undefined ? undefined : this.#byId.get(failed.memberOf.group);
    this.#blockAll([...this.#membersOf(failed), ...(this.#dependents.get(failed.id) ?? []), ...(parent === undefined ? [] : [parent])]);
  }

  #blockAll(open: BoardNode[]): void {
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      const isOpen = node.isOpened && node.status === "running";
      if (!isOpen && node.status !== "waiting") continue;
      const choice = node.memberOf === undefined ? undefined : this.#byId.get(node.memberOf.group);
      if (choice?.status === "waiting") {
        node.isDoomed = true;
        continue;
      }
      this.#set(node, "blocked");
      if (!isOpen) open.push(...this.#membersOf(node));
      open.push(...(this.#dependents.get(node.id) ?? []));
      if (choice !== undefined) open.push(choice);
    }
  }

  #set(node: BoardNode, status: NodeStatus): void {
    for (const tally of this.#talliesOf(node)) tally.moved(node, node.status, status);
    node.status = status;
    if (node.kind !== "event") return;
    if (status === "running") this.awaiting.add(node);
    else this.awaiting.delete(node);
  }

  #talliesOf({ of }: BoardNode): readonly Tally<BoardNode>[] {
    return of?.parts === undefined ? [this.tally] : [this.tally, of.parts.tally];
  }
}

function push(map: Map<string, BoardNode[]>, key: string, node: BoardNode): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [node]);
  else known.push(node);
}
