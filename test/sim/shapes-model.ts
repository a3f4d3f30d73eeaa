/**
 * The reference model: what must come of a random workflow, worked out without any engine. Only which events came in time
 * is not its own: that is told.
 */
import { INPUT, type Act, type ChoiceSpec, type Final, type NodeSpec, OTHER_IDS, type Source, type Spec } from "./shapes.ts";

export interface Expected {
  readonly status: "completed" | "failed";
  readonly degraded: boolean;
  /** All nodes, items and rounds, in the order in which they are shown. */
  readonly nodes: ReadonlyMap<string, Fate>;
  /** What each call was given, or would have been. */
  readonly inputs: ReadonlyMap<string, unknown>;
  /** The value of each node, when the run completes. */
  readonly output: readonly unknown[];
}

export interface Fate {
  readonly status: "completed" | "skipped" | "failed" | "blocked" | "notTaken" | "cancelled";
  readonly attempt: number;
  readonly value?: unknown;
  /** Of its last failure. */
  readonly code?: string;
  /** Of a choice that was made: the number of the branch; -1 for none. */
  readonly opened?: number;
  /** How many stand-ins had taken over. */
  readonly alternative?: number;
  /** It was given its result from outside: a choice then is not made. */
  readonly isSet?: true;
}

/** What is told: which events came, with what; and nodes that have their fate already, by their id. */
export interface Told {
  readonly events: ReadonlyMap<string, { readonly came: boolean; readonly data?: unknown }>;
  readonly kept?: ReadonlyMap<string, Fate>;
  /** Inputs that calls were given instead of their own. */
  readonly inputs?: ReadonlyMap<string, unknown>;
  /** When the run was cut off, or unwound: the nodes that had ended, the groups that were open or had been, and those that were cancelled. */
  readonly cut?: { readonly ended: ReadonlySet<string>; readonly opened: ReadonlySet<string>; readonly cancelled: ReadonlySet<string> } | undefined;
}

/** Acts after which the agent is called again, while attempts are left. */
const RETRIED: ReadonlySet<Act> = new Set<Act>(["tooLate", "throws", "throwsUndefined", "hangs", "silent", "invalid"]);
const DONE: ReadonlySet<Act> = new Set<Act>(["ok", "okLater", "beats", "heeds"]);
const THROWN: Partial<Record<Act, string>> = { invalid: "PAWL_OUTPUT_INVALID", unstorable: "PAWL_VALUE_NOT_STORABLE" };
const SILENT: ReadonlySet<Act> = new Set<Act>(["tooLate", "hangs", "silent"]);
const BAD: ReadonlySet<string> = new Set(["failed", "blocked"]);

/** It had not ended when the run was cut off. */
const CUT: Fate = { status: "cancelled", attempt: 0 };
/** What became of the choices around a node: `notMade` when the run was cut off before. */
type Above = "lives" | "blocked" | "notTaken" | "notMade";

/** A number that depends on all of the data. */
export function digest(data: unknown): number {
  const text = JSON.stringify(data, (_, value: unknown) => (value === undefined ? "~" : value));
  let sum = 7;
  for (let i = 0; i < text.length; i++) sum = (sum * 31 + text.charCodeAt(i)) % 1_000_003;
  return sum;
}

type CalledSpec = Extract<NodeSpec, { calls: unknown }>;

/** What the agent does in an attempt. */
export function actOf({ scripts }: CalledSpec, position: number, attempt: number): Act {
  const script = scripts[position % scripts.length]!;
  return script[(attempt - 1) % script.length]!;
}

/** One attempt, of the node's own agent or of one that stands in for it. */
interface Try {
  readonly act: Act;
  readonly calls: CalledSpec["calls"];
  readonly alternative: number;
  readonly isGuarded: boolean;
}

/** All attempts that it takes, or may take. */
export function triesOf(node: CalledSpec, position: number): Try[] {
  const tries: Try[] = [];
  const agents = [node, ...node.standIns];
  for (const [alternative, { calls, maxAttempts }] of agents.entries())
    for (let own = 1; own <= maxAttempts; own++) {
      const act = actOf(node, position, tries.length + 1);
      tries.push({ act, calls, alternative, isGuarded: alternative === 0 && node.hasHeartbeat });
      if (DONE.has(act)) return tries;
      // whatever fails a run of its own fails the node's attempt, which may be tried again
      if (calls === "agent" && !RETRIED.has(act)) break;
    }
  return tries;
}

/** What an agent gives at this node, item or round; one that stands in for it gives something else. */
export function given(spec: NodeSpec, id: string, position: number, input: unknown, alternative = 0): object {
  const { gives } = spec as { gives: { length: number | undefined; flag: boolean; way: string } };
  const value = digest([id, input]) + alternative * 1_000_003;
  const flag = spec.kind === "repeat" ? position === spec.enoughAt : gives.flag;
  const list =
    gives.length === undefined
      ? "no list"
      : Array.from({ length: gives.length }, (_, i) => ({ value: value + i, list: [{ value: i }], way: "a", flag: i % 2 === 0 }));
  return { value, list, flag, way: gives.way };
}

/** What the runs give that were started elsewhere. */
export const OTHER_RESULT = { value: 77, list: [{ value: 1 }], flag: true, way: "a" };

function follow(root: unknown, path: Source["path"]): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}

export function expectedOf(spec: Spec, told: Told): Expected {
  return new Model(spec, told).expected();
}

class Model {
  readonly #spec: Spec;
  readonly #told: Told;
  readonly #nodes = new Map<string, Fate>();
  readonly #inputs = new Map<string, unknown>();

  constructor(spec: Spec, told: Told) {
    this.#spec = spec;
    this.#told = told;
  }

  expected(): Expected {
    this.#spec.forEach(({ within }, index) => within === undefined && this.#settle(index, "lives"));
    const statuses = [...this.#nodes.values()].map(({ status }) => status);
    return {
      status: statuses.includes("failed") ? "failed" : "completed",
      degraded: [...this.#nodes.values()].some(({ status, alternative = 0 }) => status === "skipped" || (status === "completed" && alternative > 0)),
      nodes: this.#nodes,
      inputs: this.#inputs,
      output: this.#spec.map((_, index) => this.#value(index)),
    };
  }

  #fate(index: number): Fate {
    return this.#nodes.get(`n${index}`)!;
  }

  #value(index: number): unknown {
    const fate = this.#fate(index);
    return fate.status === "completed" ? fate.value : undefined;
  }

  #read({ node, path }: Source): unknown {
    return follow(node < 0 ? INPUT : this.#value(node), path);
  }

  /** The run was cut off before it ended. */
  #isOpen(id: string): boolean {
    return this.#told.cut?.ended.has(id) === false;
  }

  #isOpened(id: string): boolean {
    return this.#told.cut?.opened.has(id) !== false;
  }

  /** `above` is what became of the choices around it. */
  #settle(index: number, above: Above): void {
    const node = this.#spec[index]!;
    const id = `n${index}`;
    const kept = this.#told.kept?.get(id);
    const isUp = above === "lives" && !dependenciesOf(node, this.#spec).some((dependency) => BAD.has(this.#fate(dependency).status));
    if (kept?.isSet === true) {
      this.#nodes.set(id, kept);
      return this.#members(index).forEach(({ member }) => this.#settle(member, "notTaken"));
    }
    if (node.kind === "other") this.#given(id, { runId: OTHER_IDS[node.run] });
    if (node.kind === "call") this.#given(id, { read: node.reads.map((read) => this.#read(read)) });
    if (kept !== undefined && ["call", "event", "other"].includes(node.kind)) return void this.#nodes.set(id, kept);
    if (above === "notMade") {
      this.#nodes.set(id, CUT);
      return this.#members(index).forEach(({ member }) => this.#settle(member, "notMade"));
    }
    if (!isUp) this.#nodes.set(id, { status: above === "notTaken" ? "notTaken" : "blocked", attempt: 0 });
    switch (node.kind) {
      case "when":
      case "route":
        return this.#choose(index, node, isUp ? "lives" : above === "notTaken" ? "notTaken" : "blocked");
      case "map":
        return isUp ? this.#map(id, node) : undefined;
      case "repeat":
        return isUp ? this.#repeat(id, node) : undefined;
      case "event":
        return isUp ? void this.#nodes.set(id, this.#isOpen(id) ? CUT : this.#event(id, node.onFail)) : undefined;
      case "other":
        return isUp ? void this.#nodes.set(id, this.#isOpen(id) ? CUT : otherFate(node)) : undefined;
      case "call":
        return isUp ? void this.#nodes.set(id, this.#call(node, id, 0, this.#inputs.get(id))) : undefined;
    }
  }

  #choose(index: number, node: ChoiceSpec, fate: Exclude<Above, "notMade">): void {
    const id = `n${index}`;
    if (fate === "lives" && !this.#isOpened(id)) return this.#settle(index, "notMade");
    const taken = fate === "lives" ? branchOf(node, this.#read(node.by)) : -1;
    if (fate === "lives") this.#nodes.set(id, { status: "blocked", attempt: 0, opened: taken });
    const members = this.#members(index);
    for (const { member, branch } of members) this.#settle(member, fate !== "lives" ? fate : branch === taken ? "lives" : "notTaken");
    if (fate !== "lives") return;
    if (members.some(({ member, branch }) => branch === taken && BAD.has(this.#fate(member).status))) return this.#blocked(id, taken);
    if (this.#isOpen(id)) return void this.#nodes.set(id, { ...CUT, opened: taken });
    const result = node.branches[taken]?.result;
    const value = result === undefined ? undefined : result === "constant" ? { value: 1, way: "b" } : { got: result.map((source) => this.#read(source)) };
    this.#nodes.set(id, { status: "completed", attempt: 0, value, ...this.#told.kept?.get(id), opened: taken });
  }

  #members(choice: number): { readonly member: number; readonly branch: number }[] {
    return this.#spec.flatMap(({ within }, member) => (within?.choice === choice ? { member, branch: within.branch } : []));
  }

  #event(id: string, onFail: Final): Fate {
    const told = this.#told.events.get(id);
    if (told?.came === true) return { status: "completed", attempt: 0, value: told.data };
    return { status: onFail === "skip" ? "skipped" : "failed", attempt: 0, code: "PAWL_EVENT_TIMEOUT" };
  }

  #call(node: Extract<NodeSpec, { calls: unknown }>, id: string, position: number, own: unknown): Fate {
    const input = this.#given(id, own);
    const kept = this.#told.kept?.get(id);
    if (kept !== undefined) return kept;
    if (this.#isOpen(id)) return CUT;
    const tries = triesOf(node, position);
    const { act, calls, alternative } = tries.at(-1)!;
    const isDone = DONE.has(act);
    const failed = tries.at(isDone ? -2 : -1);
    const fate = { attempt: tries.length, ...(failed !== undefined && { code: codeOf(failed) }), ...(alternative > 0 && { alternative }) };
    if (!isDone) return { ...fate, status: node.onFail === "skip" ? "skipped" : "failed" };
    return { ...fate, status: "completed", value: given(node, id, position, input, calls === "agent" ? alternative : 0) };
  }

  /** A member has failed: that blocks the group, unless the run was being unwound by then. */
  #blocked(id: string, opened?: number): void {
    if (this.#told.cut?.cancelled.has(id) === true) this.#nodes.set(id, { ...CUT, ...(opened !== undefined && { opened }) });
  }

  /** What a call is given: this, unless somebody said otherwise. */
  #given(id: string, own: unknown): unknown {
    const input = this.#told.inputs?.has(id) === true ? this.#told.inputs.get(id) : own;
    this.#inputs.set(id, input);
    return input;
  }

  #map(id: string, node: Extract<NodeSpec, { kind: "map" }>): void {
    if (!this.#isOpened(id) && this.#isOpen(id)) return void this.#nodes.set(id, CUT);
    const list = Array.isArray(node.list) ? node.list.map((source: Source) => this.#read(source)) : this.#read(node.list as Source);
    if (!Array.isArray(list)) return void this.#nodes.set(id, { status: node.onFail === "skip" ? "skipped" : "failed", attempt: 0, code: "PAWL_NOT_A_LIST" });
    this.#nodes.set(id, { status: "blocked", attempt: 0 });
    const read = node.reads.map((source) => this.#read(source));
    const items = list.map((item: unknown, index) => this.#call(node, `${id}[${index}]`, index, { item, index, read }));
    items.forEach((fate, index) => this.#nodes.set(`${id}[${index}]`, fate));
    if (items.some(({ status }) => status === "failed")) return this.#blocked(id);
    if (this.#isOpen(id)) return void this.#nodes.set(id, CUT);
    this.#nodes.set(id, { status: "completed", attempt: 0, value: items.map(({ value }) => value) });
  }

  #repeat(id: string, node: Extract<NodeSpec, { kind: "repeat" }>): void {
    if (!this.#isOpened(id) && this.#isOpen(id)) return void this.#nodes.set(id, CUT);
    const read = node.reads.map((source) => this.#read(source));
    this.#nodes.set(id, { status: "blocked", attempt: 0 });
    let input: object = { read };
    for (let position = 0; ; position++) {
      const round = this.#call(node, `${id}[${position}]`, position, input);
      this.#nodes.set(`${id}[${position}]`, round);
      if (round.status === "failed") return this.#blocked(id);
      if (round.status === "cancelled") return void this.#nodes.set(id, CUT);
      const isCut = this.#isOpen(id);
      if (round.status === "skipped") return void this.#nodes.set(id, isCut ? CUT : { ...round, attempt: 0 });
      const last = round.value as { value: number; flag: boolean };
      const isEnough = node.until !== undefined && Boolean(node.until === "last" ? last.flag : this.#read(node.until));
      if (position + 1 >= node.max || isEnough) return void this.#nodes.set(id, isCut ? CUT : { status: "completed", attempt: 0, value: round.value });
      if (node.hasNext) input = { read, last: last.value };
    }
  }
}

function otherFate(node: Extract<NodeSpec, { kind: "other" }>): Fate {
  if (node.run === "good") return { status: "completed", attempt: 1, value: OTHER_RESULT };
  return { status: node.onFail === "skip" ? "skipped" : "failed", attempt: 1, code: node.run === "bad" ? "PAWL_RUN_FAILED" : "PAWL_RUN_NOT_FOUND" };
}

/** Of an attempt that went so. */
function codeOf({ act, calls, isGuarded }: Try): string {
  if (calls !== "agent") return "PAWL_RUN_FAILED";
  if (SILENT.has(act)) return isGuarded ? "PAWL_HEARTBEAT_TIMEOUT" : "PAWL_AGENT_TIMEOUT";
  return THROWN[act] ?? "PAWL_AGENT_FAILED";
}

function branchOf({ kind, branches }: ChoiceSpec, value: unknown): number {
  const named = (name: string): number => branches.findIndex((branch) => branch.name === name);
  if (kind === "when") return named(value ? "then" : "else");
  const way = value === "" ? -1 : named(String(value));
  return way === -1 ? named("") : way;
}

/** The index of a node, item or round. */
export function indexOf(id: string): number {
  return Number(/^n(\d+)/.exec(id)![1]);
}

/** Does this node call an agent that tells of it? */
export function isCall(spec: Spec, id: string): boolean {
  return spec[indexOf(id)]!.kind === "call" || id.endsWith("]");
}

/** The nodes that a node of the spec waits for. */
export function dependenciesOf(node: NodeSpec, spec: Spec): number[] {
  const sources = "reads" in node ? [...node.reads] : [];
  if (node.kind === "map") sources.push(...(Array.isArray(node.list) ? node.list : [node.list as Source]));
  if (node.kind === "repeat" && typeof node.until === "object") sources.push(node.until);
  if (node.kind === "when" || node.kind === "route") {
    // what a way results in has to be there before, but for the choice's own members
    const before = spec.indexOf(node);
    sources.push(node.by, ...node.branches.flatMap(({ result }) => (result === "constant" ? [] : result.filter((read) => read.node < before))));
  }
  return [...new Set([...sources.map((source) => source.node), ...node.after])].filter((index) => index >= 0);
}
