/**
 * The groups of a DAG run: maps, loops and choices. Each opens when what it depends on is there, and closes when its members
 * have ended. What it needs and is only in the store is read first; then it goes on where it was.
 */
import type { Failure } from "../../machines/node.ts";
import type { GroupEvent } from "../../machines/group.ts";
import { isChoice } from "../define/node-definition.ts";
import type { PlanNode } from "../define/plan.ts";
import { PawlError } from "../errors.ts";
import { type GroupSnapshot, GROUP_FACT, groupChart } from "./charts.ts";
import { encode } from "./codec.ts";
import { failureOf } from "./failure.ts";
import type { Graph } from "./graph.ts";
import type { Settled } from "./node-status.ts";
import type { Progress } from "./progress.ts";
import { type Results, type Texts, branchFor, isTrue } from "./results.ts";
import type { OverrideNote } from "./row.ts";

/** The longest list that a map takes. */
export const MAP_ITEMS_MAX = 100_000;

/** A group in memory, from when it begins to open until it has ended. */
export interface GroupActor {
  readonly index: number;
  snapshot: GroupSnapshot;
  readonly since: number;
  /** What it was opened with: how many items, or the number of the branch, -1 for none; undefined until then. */
  opened: number | undefined;
  /** Somebody said how it ends. */
  overridden?: OverrideNote | undefined;
}

/** What groups need of their run. */
export interface GroupHost {
  readonly graph: Graph;
  readonly progress: Progress;
  readonly results: Results;
  now(): number;
  /** Reads these results back; `loaded` is told of them. */
  read(missing: readonly number[], group: number): void;
  /** The group is open: its row says so. */
  opened(group: GroupActor): void;
  /** The group has ended. */
  ended(group: GroupActor, status: Settled, output: string | undefined, failure: Failure | undefined): void;
  /** The failure of the loop's round that was skipped. */
  failureOf(group: number): Failure;
}

export class Groups {
  readonly #host: GroupHost;
  readonly #actors = new Map<number, GroupActor>();

  constructor(host: GroupHost) {
    this.#host = host;
  }

  /** As it was when it was stored. */
  restore(index: number, opened: number, since: number): void {
    const policy = this.#node(index).policy;
    this.#actors.set(index, { index, opened, since, snapshot: groupChart.restore("open", { policy, failure: undefined }) });
  }

  /** It is about to open, or to close. */
  advance(index: number): void {
    const known = this.#actors.get(index);
    if (known !== undefined) return this.#tell(known, GROUP_FACT.membersSettled);
    const { snapshot } = groupChart.initial(this.#node(index).policy);
    const actor: GroupActor = { index, snapshot, since: this.#host.now(), opened: undefined };
    this.#actors.set(index, actor);
    this.#open(actor);
  }

  /** It fails before it is open, or while its result is made. Answers whether it did: one that is open ends as its parts do. */
  refuse(index: number, failure: Failure): boolean {
    const known = this.#actors.get(index);
    if (known?.snapshot.value === "open") return false;
    const actor = known ?? { index, snapshot: groupChart.initial(this.#node(index).policy).snapshot, since: this.#host.now(), opened: undefined };
    if (known === undefined) this.#host.progress.enterTransit(index);
    this.#tell(actor, { type: "group.refused", failure });
    return true;
  }

  /** What it lacked was read. */
  loaded(index: number, texts: Texts): void {
    const actor = this.#actors.get(index);
    if (actor?.snapshot.value === "opening") this.#open(actor, texts);
    else if (actor?.snapshot.value === "closing") this.#close(actor, texts);
  }

  /** Those that have not ended are cancelled. */
  cancel(): void {
    for (const actor of [...this.#actors.values()]) if (this.#host.progress.status(actor.index) === "running") this.#tell(actor, GROUP_FACT.cancelled);
  }

  /** Somebody says how it ends, whether it is open or not yet; its members were told before. */
  override(index: number, event: GroupEvent, overridden?: OverrideNote, result?: string): void {
    const { snapshot } = groupChart.initial(this.#node(index).policy);
    const anew: GroupActor = { index, snapshot, since: this.#host.now(), opened: this.#host.progress.openedWith(index) };
    const actor = this.#actors.get(index) ?? anew;
    actor.overridden = overridden;
    this.#tell(actor, event, result);
  }

  #node(index: number): PlanNode {
    return this.#host.graph.plan.nodes[index]!;
  }

  #tell(actor: GroupActor, event: GroupEvent, output?: string): void {
    const { snapshot, effects } = groupChart.turn(actor.snapshot, event);
    actor.snapshot = snapshot;
    if (snapshot.status === "done") {
      this.#actors.delete(actor.index);
      this.#host.ended(actor, snapshot.value as Settled, output, snapshot.context.failure);
    }
    for (const effect of effects) if (effect.kind === "action" && effect.type === "closeGroup") this.#close(actor);
  }

  /** Works with what is in memory, or has it read. */
  #with(actor: GroupActor, reads: readonly number[], texts: Texts | undefined, work: () => void): void {
    const missing = texts === undefined ? this.#host.results.missing(reads) : [];
    if (missing.length > 0) return this.#host.read(missing, actor.index);
    try {
      work();
    } catch (error) {
      this.#tell(actor, { type: "group.refused", failure: failureOf(error, []) });
    }
  }

  #open(actor: GroupActor, texts?: Texts): void {
    const { reads } = this.#node(actor.index);
    this.#with(actor, reads, texts, () => {
      const opened = (actor.opened = this.#membersOf(actor.index, texts));
      this.#tell(actor, GROUP_FACT.opened);
      this.#host.opened(actor);
      const { progress } = this.#host;
      if (isChoice(this.#node(actor.index).kind)) progress.take(actor.index, opened);
      else progress.grow(actor.index, opened);
    });
  }

  /** How many items, or the number of the branch that is taken; -1 for none. */
  #membersOf(index: number, texts: Texts | undefined): number {
    const { kind, input, id, branches = [] } = this.#node(index);
    if (kind === "repeat") return 1;
    const value = this.#host.results.resolve(input, texts);
    if (kind !== "map") return branchFor(kind, branches, value) ?? -1;
    if (!Array.isArray(value))
      throw new PawlError("PAWL_NOT_A_LIST", { message: `map "${id}" was given ${value === null ? "null" : `a value of type ${typeof value}`}, not a list` });
    if (value.length > MAP_ITEMS_MAX)
      throw new PawlError("PAWL_VALUE_TOO_LARGE", { message: `map "${id}" was given ${value.length} items; ${MAP_ITEMS_MAX} are allowed` });
    this.#host.results.keepList(index, value);
    return value.length;
  }

  #close(actor: GroupActor, texts?: Texts): void {
    const node = this.#node(actor.index);
    if (node.kind === "map") return this.#tell(actor, GROUP_FACT.closed);
    if (node.kind === "repeat") return this.#closeRound(actor, node, texts);
    const taken = node.branches?.[actor.opened ?? -1];
    if (taken === undefined) return this.#tell(actor, GROUP_FACT.closed, encode(undefined));
    this.#with(actor, node.collects, texts, () => {
      this.#tell(actor, GROUP_FACT.closed, encode(this.#host.results.resolve(taken.result, texts)));
    });
  }

  /** The loop has come to its end, or goes on with a further round. */
  #closeRound(actor: GroupActor, { index, until, reads, max = 1 }: PlanNode, texts: Texts | undefined): void {
    const { graph, progress, results } = this.#host;
    const last = graph.lastOf(index)!;
    if (progress.status(last) === "skipped") return this.#tell(actor, { type: "round.skipped", failure: this.#host.failureOf(index) });
    if (graph.countOf(index) >= max) return this.#tell(actor, GROUP_FACT.closed);
    this.#with(actor, [...reads, index], texts, () => {
      const isEnough = until !== undefined && isTrue(results.resolve(until, texts, results.lastRound(index, graph.countOf(index), texts)));
      if (isEnough) return this.#tell(actor, GROUP_FACT.closed);
      this.#tell(actor, GROUP_FACT.roundWanted);
      progress.grow(index, 1);
    });
  }
}
