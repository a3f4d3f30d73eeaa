/**
 * Random workflows of all that a workflow can be made of: calls, maps, loops, choices within choices, events, runs of their
 * own and of others, with scripted outcomes. Node `i` is called `n<i>`; choices stand before their members.
 */
import fc from "fast-check";

/** What the agent does in one attempt. `heeds` ends in error when it is asked to stop, `silent` says nothing for longer than its heartbeat, `beats` reports meanwhile. */
export type Act = "ok" | "okLater" | "beats" | "heeds" | "tooLate" | "throws" | "throwsUndefined" | "fatal" | "hangs" | "silent" | "invalid" | "unstorable";

/** Something that is read: of the run's input (-1), or of an earlier node's result. */
export interface Source {
  readonly node: number;
  readonly path: readonly (string | number)[];
}

/** What a call gives, beside its value: a list, or none; what `when` goes by, and what `route` goes by. */
export interface Gives {
  readonly length: number | undefined;
  readonly flag: boolean;
  readonly way: string;
}

interface Common {
  readonly within?: { readonly choice: number; readonly branch: number };
  readonly stage?: string;
  readonly after: readonly number[];
}

/** What is called: an agent; or, as a run of its own, a workflow, one with a run of its own in it, or a machine. */
export type Callee = "agent" | "workflow" | "nested" | "machine";

/** What takes over when the attempts are used up. */
export interface StandIn {
  readonly calls: "agent" | "machine";
  readonly maxAttempts: number;
}

/** What the compensation of a node does in one attempt. */
export type UndoAct = "ok" | "okLater" | "throws" | "fatal" | "hangs";

/** What undoes a node. */
export interface UndoSpec {
  readonly calls: "agent" | "machine";
  readonly maxAttempts: number;
  readonly acts: readonly UndoAct[];
}

/** What follows a failure in the end. */
export type Final = "block" | "skip" | "compensate";

interface Called extends Common {
  readonly calls: Callee;
  readonly reads: readonly Source[];
  readonly standIns: readonly StandIn[];
  readonly onFail: Final;
  readonly undo: UndoSpec | undefined;
  readonly maxAttempts: number;
  /** What each attempt does, by the position of the item or round. */
  readonly scripts: readonly (readonly Act[])[];
  readonly steps: number;
  readonly hasHeartbeat: boolean;
  readonly gives: Gives;
}

export interface CallSpec extends Called {
  readonly kind: "call";
}
export interface MapSpec extends Called {
  readonly kind: "map";
  readonly list: Source | readonly Source[];
  readonly concurrency: number | undefined;
}
export interface RepeatSpec extends Called {
  readonly kind: "repeat";
  readonly max: number;
  /** The position of the round that is enough. */
  readonly enoughAt: number;
  /** It goes by the flag of the last round, by something else, or only by how many there were. */
  readonly until: "last" | Source | undefined;
  /** Each further round is given what the last one gave; else the same as the first. */
  readonly hasNext: boolean;
}
export type OtherRun = "good" | "bad" | "missing";

/** Waits for a run that was started elsewhere; its id is written down, or a part of the input. */
export interface OtherSpec extends Common {
  readonly kind: "other";
  readonly run: OtherRun;
  readonly isReferred: boolean;
  readonly onFail: Final;
  readonly undo: UndoSpec | undefined;
}
export interface EventSpec extends Common {
  readonly kind: "event";
  readonly hasTimeout: boolean;
  readonly onFail: Final;
  /** When it is sent, in ms from the start: several times, perhaps, each time something else; some do not fit its schema. */
  readonly sent: readonly { readonly atMs: number; readonly isValid: boolean }[];
}
export interface ChoiceSpec extends Common {
  readonly kind: "when" | "route";
  readonly by: Source;
  readonly branches: readonly { readonly name: string; readonly result: readonly Source[] | "constant" }[];
}
export type NodeSpec = CallSpec | MapSpec | RepeatSpec | OtherSpec | EventSpec | ChoiceSpec;
export type Spec = readonly NodeSpec[];

export const OTHER_IDS: Readonly<Record<OtherRun, string>> = { good: "other-good", bad: "other-bad", missing: "other-missing" };
export const INPUT = {
  ids: OTHER_IDS,
  value: 5,
  list: [{ value: 1 }, { value: 2, list: [{ value: 3 }] }],
  flag: true,
  way: "b",
};
export const EVENT_TIMEOUT_MS = 30_000;
/** Longer than all rounds and backoffs together. */
export const RUN_TIMEOUT_MS = 20 * 3_600_000;

/** Runs of others that its nodes wait for, and that are there. */
export function awaitedRuns(spec: Spec): Set<OtherRun> {
  return new Set(spec.flatMap((node) => (node.kind === "other" && node.run !== "missing" ? [node.run] : [])));
}

/** Are some of its attempts runs of their own? */
export function hasRuns(node: NodeSpec): boolean {
  return "calls" in node && [node, ...node.standIns].some(({ calls }) => calls !== "agent");
}

/** Runs of their own go on counting over a retry: what they come to does not hang on the count. */
export function steady(spec: Spec): Spec {
  return spec.map((node) => ("scripts" in node && hasRuns(node) ? { ...node, scripts: node.scripts.map(([act]) => [act!, act!, act!]) } : node));
}

// ---- the generator: a tree of drafts, then laid flat, with links to what comes before

interface Link {
  readonly to: number;
  readonly path: number;
}
interface Draft {
  readonly kind: NodeSpec["kind"];
  readonly stage: string | undefined;
  readonly links: readonly Link[];
  readonly after: readonly number[];
  readonly called: Omit<Called, "reads" | "after" | "within">;
  readonly list: { readonly link: Link; readonly fixed: boolean };
  readonly concurrency: number | undefined;
  readonly max: number;
  readonly enoughAt: number;
  readonly until: "last" | "none" | Link;
  readonly hasNext: boolean;
  readonly other: { readonly run: OtherRun; readonly isReferred: boolean };
  readonly event: Pick<EventSpec, "hasTimeout" | "sent">;
  readonly branches: readonly { readonly results: readonly Link[]; readonly isConstant: boolean; readonly nodes: readonly Draft[] }[];
  readonly hasElse: boolean;
}

const link = fc.record({ to: fc.nat(40), path: fc.nat(7) });
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom<Act>("ok", "ok", "okLater", "okLater", "heeds") },
  { weight: 4, arbitrary: fc.constantFrom<Act>("beats", "tooLate", "throws", "throwsUndefined", "fatal", "hangs", "silent", "invalid", "unstorable") },
);
const standIn = fc.record({ calls: fc.constantFrom("agent", "agent", "machine"), maxAttempts: fc.integer({ min: 1, max: 2 }) });
const undo: fc.Arbitrary<UndoSpec> = fc.record({
  calls: fc.constantFrom("agent", "agent", "agent", "machine"),
  maxAttempts: fc.integer({ min: 1, max: 2 }),
  acts: fc.array(fc.constantFrom("ok", "ok", "ok", "okLater", "okLater", "throws", "fatal", "hangs"), { minLength: 2, maxLength: 2 }),
});

/** Whether nodes can be undone, and their failures unwind the run. */
export interface Undoing {
  readonly undoes: boolean;
}

const called = ({ undoes }: Undoing) =>
  fc.record({
    calls: fc.oneof(
      { weight: 12, arbitrary: fc.constant<Callee>("agent") },
      { weight: 4, arbitrary: fc.constantFrom<Callee>("workflow", "workflow", "nested", "machine") },
    ),
    standIns: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.array(standIn, { maxLength: 2 }) }),
    onFail: undoes ? fc.constantFrom<Final>("block", "skip", "compensate", "compensate") : fc.constantFrom<Final>("block", "skip"),
    undo: undoes ? fc.option(undo, { nil: undefined, freq: 3 }) : fc.constant(undefined),
    maxAttempts: undoes ? fc.constantFrom(1, 1, 1, 2, 3) : fc.integer({ min: 1, max: 3 }),
    scripts: fc.array(fc.array(act, { minLength: 3, maxLength: 3 }), { minLength: 1, maxLength: 3 }),
    steps: fc.constantFrom(0, 0, 0, 1, 2),
    hasHeartbeat: fc.constantFrom(false, false, true),
    gives: fc.record({
      length: fc.constantFrom(undefined, 0, 1, 2, 2, 2, 3, 3, 4, 9),
      flag: fc.boolean(),
      way: fc.constantFrom("a", "b", "c", ""),
    }),
  });
const sent = fc.record({
  atMs: fc.oneof(fc.integer({ min: 0, max: 2_000 }), fc.integer({ min: 0, max: 60_000 })),
  isValid: fc.constantFrom(true, true, true, false),
});

function draft(undoing: Undoing, kind: fc.Arbitrary<NodeSpec["kind"]>, branches: fc.Arbitrary<Draft["branches"]>): fc.Arbitrary<Draft> {
  return fc.record({
    kind,
    stage: fc.constantFrom(undefined, undefined, "first", "second"),
    links: fc.array(link, { maxLength: 2 }),
    after: fc.array(fc.nat(40), { maxLength: 1 }),
    called: called(undoing),
    list: fc.record({ link, fixed: fc.constantFrom(false, false, false, true) }),
    concurrency: fc.constantFrom(undefined, 1, 2),
    max: fc.integer({ min: 1, max: 3 }),
    enoughAt: fc.nat(3),
    until: fc.oneof({ weight: 3, arbitrary: fc.constantFrom("last", "last", "none") }, { weight: 1, arbitrary: link }),
    hasNext: fc.constantFrom(true, true, false),
    other: fc.record({ run: fc.constantFrom<OtherRun>("good", "good", "good", "bad", "bad", "missing"), isReferred: fc.boolean() }),
    event: fc.record({ hasTimeout: fc.boolean(), sent: fc.array(sent, { maxLength: 3 }) }),
    branches,
    hasElse: fc.boolean(),
  });
}

const leaf = (undoing: Undoing): fc.Arbitrary<Draft> =>
  draft(undoing, fc.constantFrom("call", "call", "call", "map", "map", "repeat", "event", "other"), fc.constant([]));

function tree(depth: number, undoing: Undoing): fc.Arbitrary<Draft> {
  if (depth === 0) return leaf(undoing);
  const nodes = fc.array(tree(depth - 1, undoing), { maxLength: 3 });
  const branches = fc.array(fc.record({ results: fc.array(link, { maxLength: 2 }), isConstant: fc.boolean(), nodes }), { minLength: 1, maxLength: 2 });
  const choice = draft(undoing, fc.constantFrom("when", "route"), branches);
  return fc.oneof({ weight: 5, arbitrary: leaf(undoing) }, { weight: 2, arbitrary: choice });
}

/** A workflow of up to `nodesMax` nodes beside those within choices, `depth` of which lie in each other. */
export function shapeSpec(nodesMax: number, undoing: Undoing = { undoes: false }, depth = 2): fc.Arbitrary<Spec> {
  return fc.array(tree(depth, undoing), { minLength: 1, maxLength: nodesMax }).map((drafts) => flat(drafts));
}

const OBJECT_PATHS: readonly Source["path"][] = [["value"], ["list"], [], ["flag"], ["way"], ["list", 0], ["list", 1, "value"], ["nowhere", 3]];
const LIST_PATHS: readonly Source["path"][] = [[], [0, "value"], [1], [9], [0, "list"], [2, "value"], [], ["length"]];
const CHOICE_PATHS: readonly Source["path"][] = [[], ["got"], ["got", 0], ["got", 1, "value"], ["value"], [], ["got", 0, "list"], ["got"]];
const WANTED = { list: ["list", "list", "list", "value", "list"], when: ["flag", "flag", "value", "list"], route: ["way", "way", "way", "value"] } as const;

function flat(drafts: readonly Draft[]): Spec {
  const specs: NodeSpec[] = [];
  const ancestors: number[] = [];
  const place = (node: Draft, within: Common["within"]): void => {
    const index = specs.length;
    // the innermost stage counts
    const stage = node.stage ?? (within === undefined ? undefined : specs[within.choice]!.stage);
    const earlier = specs.map((_, i) => i).filter((i) => !ancestors.includes(i));
    const linked = (to: number): number => (earlier.length === 0 || to % 8 === 7 ? -1 : earlier.at(-1 - (to % earlier.length))!);
    const common: Common = {
      after: [...new Set(node.after.map(linked))].filter((i) => i >= 0),
      ...(within !== undefined && { within }),
      ...(stage !== undefined && { stage }),
    };
    if (node.kind !== "when" && node.kind !== "route") return void specs.push(leafOf(node, common, linked, specs));
    const by = wantedOf(linked(node.list.link.to), node.list.link.path, node.kind, specs);
    const names = node.kind === "when" ? ["then", "else"] : ["a", "b"];
    const drafted = node.branches.slice(0, node.kind === "when" && !node.hasElse ? 1 : 2);
    specs.push({ ...common, kind: node.kind, by, branches: [] });
    const branches = drafted.map((branch, number) => {
      ancestors.push(index);
      for (const inner of branch.nodes) place(inner, { choice: index, branch: number });
      ancestors.pop();
      const name = node.kind === "route" && node.hasElse && number === 1 ? "" : names[number]!;
      // of its members, also those of other ways, rather than of what was before it
      const members = [...specs.keys()].filter((i) => i > index);
      const results = branch.results.map(({ to, path }) =>
        readOf(members.length === 0 || to % 4 === 3 ? linked(to) : members[members.length - 1 - (to % members.length)]!, path, specs),
      );
      return { name, result: branch.isConstant ? ("constant" as const) : results };
    });
    specs[index] = { ...common, kind: node.kind, by, branches };
  };
  for (const node of drafts) place(node, undefined);
  return specs;
}

function leafOf(node: Draft, common: Common, linked: (to: number) => number, specs: Spec): NodeSpec {
  const reads = node.links.map(({ to, path }) => readOf(linked(to), path, specs));
  const { kind, called: own } = node;
  switch (kind) {
    case "map": {
      const { link: from, fixed } = node.list;
      const list = fixed ? reads : wantedOf(linked(from.to), from.path, "list", specs);
      return { ...common, ...own, kind, reads, list, concurrency: node.concurrency };
    }
    case "repeat": {
      const { until, max, enoughAt, hasNext } = node;
      const by = until === "none" ? undefined : until === "last" ? until : readOf(linked(until.to), until.path, specs);
      return { ...common, ...own, kind, reads, max, enoughAt, until: by, hasNext };
    }
    case "other":
      return { ...common, kind, ...node.other, onFail: own.onFail, undo: own.undo };
    case "event": {
      // one that is awaited without end must come
      const { hasTimeout, sent: drafted } = node.event;
      const isSent = hasTimeout || drafted.some(({ isValid }) => isValid);
      return { ...common, kind, onFail: own.onFail, hasTimeout, sent: isSent ? drafted : [...drafted, { atMs: 20_000, isValid: true }] };
    }
    default:
      return { ...common, ...own, kind: "call", reads };
  }
}

function readOf(node: number, path: number, specs: Spec): Source {
  const kind = specs[node]?.kind;
  const paths = kind === "map" ? LIST_PATHS : kind === "when" || kind === "route" ? CHOICE_PATHS : OBJECT_PATHS;
  return { node, path: paths[path]! };
}

function wantedOf(node: number, path: number, what: keyof typeof WANTED, specs: Spec): Source {
  const wanted = WANTED[what];
  const kind = specs[node]?.kind;
  if (kind === "map" && what === "list") return { node, path: path === 0 ? [0, "list"] : [] };
  if (kind === "when" || kind === "route") return { node, path: CHOICE_PATHS[path]! };
  return { node, path: kind === "map" ? [0, wanted[path % wanted.length]!] : [wanted[path % wanted.length]!] };
}
