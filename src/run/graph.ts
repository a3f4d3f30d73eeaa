/**
 * The nodes of one run: those of its plan, and the items and rounds that its groups grew. What grew has an index beyond the
 * plan's, and a few bytes; its description is made when it is asked for.
 */
import type { Plan, PlanNode } from "../define/plan.ts";

/** A node of a run. */
export interface RunNode extends PlanNode {
  /** It is the item, or round, of this group at this position. */
  readonly of?: { readonly group: number; readonly position: number };
}

/** Nodes that follow each other, as items of a group. */
interface Span {
  readonly first: number;
  count: number;
}

const FIRST_CAPACITY = 64;

/** The key of an item's row. */
const ITEM = /^(.+)\[(0|[1-9]\d*)\]$/;

export class Graph {
  readonly plan: Plan;
  #size: number;
  #groups = new Int32Array(0);
  #positions = new Int32Array(0);
  readonly #spans = new Map<number, Span[]>();

  constructor(plan: Plan) {
    this.plan = plan;
    this.#size = plan.nodes.length;
  }

  get size(): number {
    return this.#size;
  }

  node(index: number): RunNode {
    const group = this.groupOf(index);
    if (group === undefined) return this.plan.nodes[index]!;
    const node = this.plan.nodes[group]!;
    const position = this.#positions[index - this.plan.nodes.length]!;
    return {
      index,
      id: `${node.id}[${position}]`,
      kind: "call",
      agent: node.agent,
      input: position === 0 && node.kind === "repeat" ? node.input : node.each!,
      dependencies: [],
      reads: node.reads,
      collects: [],
      after: node.after,
      policy: node.policy,
      of: { group, position },
    };
  }

  /** The group that it grew from. */
  groupOf(index: number): number | undefined {
    return index < this.plan.nodes.length ? undefined : this.#groups[index - this.plan.nodes.length]!;
  }

  /** The group that it is a member of: also a choice. */
  parentOf(index: number): number | undefined {
    return this.groupOf(index) ?? this.plan.nodes[index]!.within?.choice;
  }

  dependentsOf(index: number): readonly number[] {
    return this.plan.dependents[index] ?? [];
  }

  /** Adds so many items to a group; answers the index of the first. */
  grow(group: number, count: number): number {
    const first = this.#size;
    const spans = this.#spans.get(group) ?? [];
    const last = spans.at(-1);
    if (last !== undefined && last.first + last.count === first) last.count += count;
    else spans.push({ first, count });
    this.#spans.set(group, spans);
    this.#reserve(first + count - this.plan.nodes.length);
    const at = first - this.plan.nodes.length;
    const known = this.countOf(group) - count;
    for (let i = 0; i < count; i++) {
      this.#groups[at + i] = group;
      this.#positions[at + i] = known + i;
    }
    this.#size += count;
    return first;
  }

  #reserve(length: number): void {
    if (length <= this.#groups.length) return;
    const grown = (from: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> => {
      const to = new Int32Array(Math.max(FIRST_CAPACITY, length, from.length * 2));
      to.set(from);
      return to;
    };
    this.#groups = grown(this.#groups);
    this.#positions = grown(this.#positions);
  }

  /** Items that the group has. */
  countOf(group: number): number {
    return this.#spans.get(group)?.reduce((sum, { count }) => sum + count, 0) ?? 0;
  }

  /** Its item at this position. */
  itemAt(group: number, position: number): number | undefined {
    let before = position;
    for (const { first, count } of this.#spans.get(group) ?? []) {
      if (before < count) return first + before;
      before -= count;
    }
    return undefined;
  }

  /** Its newest item. */
  lastOf(group: number): number | undefined {
    const last = this.#spans.get(group)?.at(-1);
    return last && last.first + last.count - 1;
  }

  /** Its items, in order. */
  *itemsOf(group: number): Generator<number> {
    for (const { first, count } of this.#spans.get(group) ?? []) for (let i = 0; i < count; i++) yield first + i;
  }

  /** Groups that have items, or rounds. */
  grown(): Iterable<number> {
    return this.#spans.keys();
  }

  /** The node with this id; undefined when there is none, or not yet. */
  find(id: string): number | undefined {
    const static_ = this.plan.indexOf.get(id);
    if (static_ !== undefined) return static_;
    const [, group, position] = ITEM.exec(id) ?? [];
    const owner = group === undefined ? undefined : this.plan.indexOf.get(group);
    return owner === undefined ? undefined : this.itemAt(owner, Number(position));
  }
}
