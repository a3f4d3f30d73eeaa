/**
 * Watches runs of random workflows commit by commit and call by call. What is checked:
 * 1. Nothing is called before what it depends on, and its group's opening, is durable. 2. Nothing is called again whose end, or
 * the failure of that attempt, is durable. 3. No step is performed again that is durable, and none is believed before. 4. No more items are under way than
 * the map allows. 5. No attempt starts while the run is paused. 6. Agents are told which of those before them were skipped.
 */
import type { ActorRecord, Commit, StoredActor } from "../../src/store/store.ts";
import { decode } from "../../src/run/codec.ts";
import type { Spec } from "./shapes.ts";
import { dependenciesOf, isCall } from "./shapes-model.ts";
import type { Call } from "./shapes-workflow.ts";

interface Known {
  readonly status: string;
  readonly attempt: number;
  readonly opened: number | undefined;
  /** How many stand-ins had taken over. */
  readonly alternative: number;
  readonly isOverridden: boolean;
  /** The commit that wrote it. */
  readonly commitNo: number;
  readonly output: string | null;
}

const ENDED: ReadonlySet<string> = new Set(["completed", "skipped", "failed", "cancelled"]);
const WELL: ReadonlySet<string> = new Set(["completed", "skipped"]);

export class ShapeWatch {
  readonly violations: string[] = [];
  /** The most items that were under way at once, by run and map. */
  readonly most = new Map<string, number>();
  readonly #specOf: (runId: string) => Spec;
  readonly #deepAt: number;
  readonly #paused = new Set<string>();
  readonly #rows = new Map<string, Known>();
  readonly #steps = new Set<string>();
  /** Items under way, by run and map. */
  readonly #underWay = new Map<string, Set<string>>();

  /** It is told of runs that belong to others by the run that somebody started. */
  /** `hearsLate`: runs that belong to others may be taken over together with them, and hear of a cancel a commit later. */
  constructor(specOf: (runId: string) => Spec, hearsLate = false) {
    this.#specOf = specOf;
    this.#deepAt = hearsLate ? 2 : 3;
  }

  /** The row of a node of a run, as it is durable. */
  row(runId: string, id: string): Known | undefined {
    return this.#rows.get(`${runId}/${id}`);
  }

  /** The run is as these rows say. */
  reload(runId: string, rows: readonly StoredActor[]): void {
    for (const key of this.#rows.keys()) if (key.startsWith(`${runId}/`) && key.split("/").length === 2) this.#rows.delete(key);
    for (const key of this.#steps) if (key.startsWith(`${runId}/`) && key.split("/").length === runId.split("/").length + 3) this.#steps.delete(key);
    for (const row of rows) this.#note(runId, row, row.commitNo);
    for (const key of this.#underWay.keys()) if (key.startsWith(`${runId}/`)) this.#underWay.delete(key);
  }

  // ---- what is written

  committed({ runId, from, actors, history }: Commit): void {
    for (const actor of actors) this.#note(runId, actor, from + 1);
    if (runId.includes("/")) return;
    for (const [type, node] of JSON.parse(history ?? "[]") as [string, string | undefined][]) this.#count(runId, type, node);
  }

  #note(runId: string, { key, status, body, output }: ActorRecord, commitNo: number): void {
    if (key.startsWith("~")) {
      if (status === "step") this.#steps.add(`${runId}/${key.slice(1)}`);
      return;
    }
    const {
      attempt = 0,
      opened,
      alternative = 0,
      overridden,
    } = decode(body) as { attempt?: number; opened?: number; alternative?: number; overridden?: object };
    this.#rows.set(`${runId}/${key}`, { status, attempt, opened, alternative, isOverridden: overridden !== undefined, commitNo, output });
  }

  #count(runId: string, type: string, node: string | undefined): void {
    if (type === "run.paused") this.#paused.add(runId);
    else if (type.startsWith("run.") && type !== "run.recovered") this.#paused.delete(runId);
    else if (type === "node.started" && this.#paused.has(runId) && isCall(this.#specOf(runId), node!))
      this.violations.push(`${runId}/${node} started while it was paused`);
    if (type === "run.recovered") {
      for (const [key, items] of this.#underWay)
        if (key.startsWith(`${runId}/`)) for (const item of items) if (this.row(runId, item)?.status !== "backingOff") items.delete(item);
      return;
    }
    const group = /^(n\d+)\[\d+\]$/.exec(node ?? "")?.[1];
    if (group === undefined) return;
    const key = `${runId}/${group}`;
    const items = this.#underWay.get(key) ?? new Set<string>();
    this.#underWay.set(key, items);
    if (type !== "node.started" && type !== "node.backingOff") return void items.delete(node!);
    items.add(node!);
    this.most.set(key, Math.max(this.most.get(key) ?? 0, items.size));
    const spec = this.#specOf(runId)[Number(group.slice(1))]!;
    const limit = spec.kind === "map" ? spec.concurrency : 1;
    if (limit !== undefined && items.size > limit) this.violations.push(`${key} has ${[...items].join(", ")} under way, more than ${limit}`);
  }

  // ---- what is called

  called(call: Call): void {
    const { runId, id, index, attempt, keptBy } = call;
    const spec = this.#specOf(runId);
    const own = this.row(runId, id);
    const told = (what: string): void => void this.violations.push(`${keptBy} ${what}`);
    // a run beneath a run of its own hears a commit later that it is no longer wanted
    const isDeep = keptBy.split("/").length > this.#deepAt;
    if (isDeep && [own, this.row(runId, `n${index}`)].some((row) => row?.status === "cancelled" || row?.isOverridden === true)) return;
    if (own !== undefined && ENDED.has(own.status)) told(`ran though it was ${own.status}`);
    if (ENDED.has(this.#rows.get(keptBy)?.status ?? "")) told("ran though it had ended as a run of its own");
    if (own?.status === "backingOff" && !isDeep && attempt <= own.attempt) told(`ran attempt ${attempt} although its failure was durable`);
    for (const dependency of dependenciesOf(spec[index]!, spec)) if (!this.#isWell(runId, dependency)) told(`ran before n${dependency} had settled`);
    if (!this.#isTaken(runId, index)) told("ran though its choice had not been made so");
    if (call.upstream !== undefined) this.#checkUpstream(call, call.upstream);
    const { kind } = spec[index]!;
    if (kind !== "map" && kind !== "repeat") return;
    const group = this.row(runId, `n${index}`);
    if (group?.status !== "running") told(`ran though its group was ${group?.status}`);
    else if (kind === "map" && call.position >= group.opened!) told(`ran though its map had ${group.opened} items`);
    if (kind === "repeat" && call.position > 0 && this.row(runId, `n${index}[${call.position - 1}]`)?.status !== "completed")
      told("ran before the round before it had ended");
  }

  /** Those of the nodes before it, and of their items and rounds, that were skipped. */
  #checkUpstream({ runId, index, id }: Call, told: readonly string[]): void {
    const spec = this.#specOf(runId);
    const skipped = dependenciesOf(spec[index]!, spec).flatMap((before) => {
      const of = `${runId}/n${before}`;
      const rows = [...this.#rows].filter(([key, { status }]) => status === "skipped" && (key === of || key.startsWith(`${of}[`)));
      return rows.map(([key]) => key.slice(runId.length + 1));
    });
    if (told.toSorted().join() !== skipped.toSorted().join()) this.violations.push(`${id} was told that ${told.join()} were skipped, not ${skipped.join()}`);
  }

  stepped({ keptBy }: Call, key: string): void {
    if (this.#steps.has(`${keptBy}/s/${key}`)) this.violations.push(`step ${key} of ${keptBy} was performed again`);
  }

  kept({ keptBy }: Call, key: string): void {
    if (!this.#steps.has(`${keptBy}/s/${key}`)) this.violations.push(`step ${key} of ${keptBy} was believed before it was durable`);
  }

  #isWell(runId: string, index: number): boolean {
    const row = this.row(runId, `n${index}`);
    if (row === undefined || !WELL.has(row.status)) return this.#isLeftOut(runId, index);
    if (this.#specOf(runId)[index]!.kind !== "map" || row.status === "skipped") return true;
    return Array.from({ length: row.opened! }, (_, i) => this.row(runId, `n${index}[${i}]`)).every((item) => WELL.has(item?.status ?? ""));
  }

  /** A choice around it was made otherwise, or not at all as its result was set. */
  #isLeftOut(runId: string, index: number): boolean {
    const spec = this.#specOf(runId);
    for (let { within } = spec[index]!; within !== undefined; { within } = spec[within.choice]!) {
      const { status, opened } = this.row(runId, `n${within.choice}`) ?? {};
      if (opened === undefined ? status === "completed" : opened !== within.branch) return true;
    }
    return false;
  }

  #isTaken(runId: string, index: number): boolean {
    const { within } = this.#specOf(runId)[index]!;
    if (within === undefined) return true;
    return this.row(runId, `n${within.choice}`)?.opened === within.branch && this.#isTaken(runId, within.choice);
  }
}
