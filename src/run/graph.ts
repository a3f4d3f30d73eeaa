/**
 * The nodes of one run: those of its plan, the items and rounds that its groups grew, and what is derived from nodes: their
 * compensations and recovery actions. What grew has an index beyond the plan's, and a few bytes; its description is made when
 * it is asked for.
 */
import { type Plan, type PlanNode, recoveryAgent } from "../define/plan.ts";
import type { Agent } from "../define/agent.ts";
import type { Policy } from "../define/policy.ts";
import { scaledPolicy } from "../define/scaled-plan.ts";
import type { Ladder } from "../define/recovery.ts";
import { type Template, parseTemplate } from "../define/template.ts";
import { type Action, missingAction, plainPolicy } from "./recovery-action.ts";

/** A node of a run. */
export interface RunNode extends PlanNode {
  /** It is the item, or round, of this group at this position. */
  readonly of?: { readonly group: number; readonly position: number };
  /** It is the compensation of this node. */
  readonly undoes?: number;
  /** It is a recovery action of this node, stage or run. */
  readonly recovers?: Recovering;
}

/** A recovery action: of which node, or stage by the key of its row, the number of it, and what it is. */
export interface Recovering extends Action {
  readonly of: number | string;
  readonly number: number;
}

/** The id of the node, or of the one that it is the compensation of. */
export function baseOf({ id, undoes }: RunNode): string {
  return undoes === undefined ? id : id.slice(0, -UNDO.length);
}

/** Nodes that follow each other, as items of a group. */
interface Span {
  readonly first: number;
  count: number;
}

const FIRST_CAPACITY = 64;

/** What the key of a compensation's row ends in, and that of a recovery action. */
const UNDO = "[undo]";
const RECOVERY = /^(.+)\[recovery-([1-9]\d*)\]$/;
const NO_GROUP = -1;
const NO_INPUT: Template = parseTemplate(null, { find: () => undefined, ids: [], place: () => "", path: [] });
/** What a call that is derived from another node has not of its own. */
const DERIVED = { kind: "call", input: NO_INPUT, alternatives: [], dependencies: [], reads: [], collects: [], after: [] } as const;

/** The key of the row of a run's warning; that of a stage is the same with its name. */
export const RUN_SPAN = "[run]";
const SPAN = /^\[(?:run|stage\.([A-Za-z0-9._-]+))\]$/;

export function spanOf(stage: string | undefined): string {
  return stage === undefined ? RUN_SPAN : `[stage.${stage}]`;
}

/** Is it the key of the row of a stage, or of a run's warning? */
export function isSpan(key: string): boolean {
  return SPAN.test(key);
}

/** The stage of this key; undefined for that of the run. */
export function stageOf(span: string): string | undefined {
  return SPAN.exec(span)?.[1];
}

/** Is it a compensation or recovery action of another node? */
export function isDerived({ undoes, recovers }: RunNode): boolean {
  return undoes !== undefined || recovers !== undefined;
}

/** Is it the key of the row of a compensation or recovery action? */
export function isDerivedId(id: string): boolean {
  return id.endsWith(UNDO) || RECOVERY.test(id);
}

/** The key of the node, and the number of the recovery action whose row's key this is; undefined when it is none. */
export function readRecoveryId(id: string): { readonly of: string; readonly number: number } | undefined {
  const [, of, number] = RECOVERY.exec(id) ?? [];
  return of === undefined ? undefined : { of, number: Number(number) };
}

/** The key of the row of this recovery action, of a node or stage. */
export function recoveryId(of: string, number = 0): string {
  return `${of}[recovery-${number}]`;
}

/** The id of the node that this is the compensation of. */
export function undoneBy(id: string): string | undefined {
  return id.endsWith(UNDO) ? id.slice(0, -UNDO.length) : undefined;
}

/** The key of an item's row. */
const ITEM = /^(.+)\[(0|[1-9]\d*)\]$/;

export class Graph {
  readonly plan: Plan;
  #size: number;
  #groups = new Int32Array(0);
  #positions = new Int32Array(0);
  readonly #spans = new Map<number, Span[]>();
  /** Compensations by the nodes that they undo, and the other way round. */
  readonly #undos = new Map<number, number>();
  readonly #undone = new Map<number, number>();
  /** Recovery actions by their keys, and what they are. */
  readonly #recoveries = new Map<string, number>();
  readonly #recovering = new Map<number, Recovering>();

  constructor(plan: Plan) {
    this.plan = plan;
    this.#size = plan.nodes.length;
  }

  get size(): number {
    return this.#size;
  }

  *indices(): Generator<number> {
    for (let index = 0; index < this.#size; index++) yield index;
  }

  node(index: number): RunNode {
    const undoes = this.#undone.get(index);
    if (undoes !== undefined) return this.#undo(index, this.node(undoes));
    const recovers = this.#recovering.get(index);
    if (recovers !== undefined) return this.#recover(index, recovers);
    const group = this.groupOf(index);
    if (group === undefined) return this.plan.nodes[index]!;
    const node = this.plan.nodes[group]!;
    const position = this.#positions[index - this.plan.nodes.length]!;
    return {
      index,
      id: `${node.id}[${position}]`,
      kind: "call",
      agent: node.agent,
      alternatives: node.alternatives,
      ...(node.compensate !== undefined && { compensate: node.compensate }),
      ...(node.healthCheck !== undefined && { healthCheck: node.healthCheck }),
      ...(node.recovery !== undefined && { recovery: node.recovery }),
      input: position === 0 && node.kind === "repeat" ? node.input : node.each!,
      dependencies: [],
      reads: node.reads,
      collects: [],
      after: node.after,
      policy: node.policy,
      of: { group, position },
    };
  }

  #undo(index: number, { id, index: undoes, compensate }: RunNode): RunNode {
    const agent = compensate!;
    return { ...DERIVED, index, id: `${id}${UNDO}`, agent, policy: this.#policyOf(agent), undoes };
  }

  #recover(index: number, recovers: Recovering): RunNode {
    const { of, number, action, alternative } = recovers;
    const node = typeof of === "string" ? undefined : this.node(of);
    const known = node === undefined ? this.#ladderOf(of as string)?.recovery?.[action] : recoveryAgent(node, action, alternative);
    const agent = known ?? missingAction(action);
    return { ...DERIVED, index, id: recoveryId(node?.id ?? String(of), number), agent, policy: this.#policyOf(agent), recovers };
  }

  #policyOf(agent: Agent): Policy {
    return scaledPolicy(plainPolicy(agent), this.plan.timeoutMultiplier);
  }

  #ladderOf(span: string): Ladder | undefined {
    return span === RUN_SPAN ? this.plan.ladder : this.plan.stages.get(stageOf(span)!);
  }

  /** The compensation of this node, which is added when there is none. */
  undo(of: number): number {
    const known = this.#undos.get(of);
    if (known !== undefined) return known;
    const index = this.#derive();
    this.#undos.set(of, index);
    this.#undone.set(index, of);
    return index;
  }

  /** This recovery action, which is added when it is not there. */
  recovery(recovering: Recovering): number {
    const key = `${recovering.of} ${recovering.number}`;
    const known = this.#recoveries.get(key);
    if (known !== undefined) return known;
    const index = this.#derive();
    this.#recoveries.set(key, index);
    this.#recovering.set(index, recovering);
    return index;
  }

  /** The recovery action of this number of the node; undefined when it is not there. */
  recoveryOf(of: number | string, number: number): number | undefined {
    return this.#recoveries.get(`${of} ${number}`);
  }

  #derive(): number {
    const index = this.#size++;
    this.#reserve(this.#size - this.plan.nodes.length);
    this.#groups[index - this.plan.nodes.length] = NO_GROUP;
    return index;
  }

  /** The node of which this is the compensation. */
  undoes(index: number): number | undefined {
    return this.#undone.get(index);
  }

  /** The group that it grew from. */
  groupOf(index: number): number | undefined {
    if (index < this.plan.nodes.length) return undefined;
    const group = this.#groups[index - this.plan.nodes.length]!;
    return group === NO_GROUP ? undefined : group;
  }

  /** The group that it is a member of: also a choice. */
  parentOf(index: number): number | undefined {
    return this.groupOf(index) ?? this.plan.nodes[index]?.within?.choice;
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

  /** All that the group is made of, with what those are made of. */
  *partsOf(group: number): Generator<number> {
    yield* this.itemsOf(group);
    for (const member of this.plan.members.get(group) ?? []) {
      yield member;
      yield* this.partsOf(member);
    }
  }

  /** Groups that have items, or rounds. */
  grown(): Iterable<number> {
    return this.#spans.keys();
  }

  /** The node with this id; undefined when there is none, or not yet. */
  find(id: string): number | undefined {
    const static_ = this.plan.indexOf.get(id);
    if (static_ !== undefined) return static_;
    if (id.endsWith(UNDO)) {
      const of = this.find(id.slice(0, -UNDO.length));
      return of === undefined || this.node(of).compensate === undefined ? undefined : this.undo(of);
    }
    const recovery = readRecoveryId(id);
    if (recovery !== undefined) {
      const of = isSpan(recovery.of) ? recovery.of : this.find(recovery.of);
      return of === undefined ? undefined : this.recoveryOf(of, recovery.number);
    }
    const [, group, position] = ITEM.exec(id) ?? [];
    const owner = group === undefined ? undefined : this.plan.indexOf.get(group);
    return owner === undefined ? undefined : this.itemAt(owner, Number(position));
  }
}
