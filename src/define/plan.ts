/**
 * A plan: a definition, checked. Which nodes there are, what each is given, who waits for whom.
 * 1. Every reference names a node of the plan. 2. There is no cycle. 3. Equal structures have equal hashes;
 * how often something is tried, or how long it may take, is no part of the structure.
 */
import { PawlError } from "../errors.ts";
import type { Agent } from "./agent.ts";
import type { Breaker } from "./breaker.ts";
import { canonicalJson } from "./canonical.ts";
import { checkedHealthCheck } from "./health-check.ts";
import { checkName, didYouMean } from "./name.ts";
import { type NodeDefinition, type NodeKind, isGroup } from "./node-definition.ts";
import { alternativesOf, withOnFail } from "./on-fail.ts";
import { type Policy, oneOf, policyOf } from "./policy.ts";
import { refuseCycles } from "./plan-cycles.ts";
import { structureHash, structureOf } from "./plan-structure.ts";
import { type Ladder, type RecoveryActions, checkRecovery, checkWarnings } from "./recovery.ts";
import { withReferenceTexts } from "./reference.ts";
import type { Schema } from "./schema.ts";
import { type Local, type Place, type Scope, type Template, eachReference, parseTemplate } from "./template.ts";

export interface PlanDefinition {
  readonly name: string;
  readonly input?: Schema;
  readonly nodes: readonly NodeDefinition[];
  readonly output: unknown;
  readonly timeoutMs: number;
  /** Default: nobody is warned. */
  readonly ladder?: Ladder;
  readonly stages?: ReadonlyMap<string, Ladder>;
  readonly onTimeout: "partial" | "abort";
  readonly breaker?: Breaker | undefined;
  readonly place: Place;
}

/** A way that a choice can go. */
export interface Branch {
  readonly name: string;
  /** What the choice results in when it went this way. */
  readonly result: Template;
}

export interface PlanNode {
  readonly index: number;
  readonly id: string;
  readonly kind: NodeKind;
  /** What it calls; of an event the check of what is received, of a choice nothing. */
  readonly agent: Agent;
  /** Those that take over when its attempts are used up, in order. */
  readonly alternatives: readonly Agent[];
  /** What undoes what it has done. */
  readonly compensate?: Agent;
  /** What is asked before each attempt: the check of its agent, or that of this name. */
  readonly healthCheck?: true | string;
  /** Recovery actions of its own, beside those of its agents. */
  readonly recovery?: RecoveryActions;
  /** What a call is given; of a map the list; of a loop what the first round is given; of a choice what it goes by. */
  readonly input: Template;
  /** What an item of a map, or each further round of a loop, is given. */
  readonly each?: Template;
  /** The loop ends when this is true of its last round. */
  readonly until?: Template;
  /** At most so many rounds. */
  readonly max?: number;
  /** At most so many items at once. */
  readonly concurrency?: number;
  readonly branches?: readonly Branch[];
  /** It is a member of this choice, in the branch of this number. */
  readonly within?: { readonly choice: number; readonly branch: number };
  readonly stage?: string;
  /** Indices of the nodes it waits for. */
  readonly dependencies: readonly number[];
  /** Indices of the nodes whose results it reads, a part of `dependencies`. */
  readonly reads: readonly number[];
  /** Indices of members whose results its own is made of. */
  readonly collects: readonly number[];
  /** Indices of the nodes that it names in `after`. */
  readonly after: readonly number[];
  readonly policy: Policy;
}

/** All agents that a node may call. */
export function agentsOf({ agent, alternatives, compensate, recovery }: PlanNode): Agent[] {
  const callees = [agent, ...alternatives];
  const actions = [recovery, ...callees.map((callee) => callee.recovery)].flatMap((each) => Object.values(each ?? {}));
  return [...callees, ...(compensate === undefined ? [] : [compensate]), ...actions];
}

/** The recovery action of this name, of the node when this many alternatives have taken over. */
export function recoveryAgent({ agent, alternatives, recovery }: PlanNode, name: string, alternative: number): Agent | undefined {
  const actions = { ...(alternative === 0 ? agent : alternatives[alternative - 1])?.recovery, ...recovery };
  return Object.hasOwn(actions, name) ? actions[name] : undefined;
}

/** A stage with a timeout or warning. */
export interface PlanStage extends Ladder {
  /** Indices of its nodes, in order. */
  readonly members: readonly number[];
}

export interface Plan {
  readonly name: string;
  readonly inputSchema: Schema | undefined;
  readonly nodes: readonly PlanNode[];
  readonly indexOf: ReadonlyMap<string, number>;
  /** Who waits for a node, by its index. */
  readonly dependents: readonly (readonly number[])[];
  /** The members of each choice, by its index. */
  readonly members: ReadonlyMap<number, readonly number[]>;
  readonly output: Template;
  /** Indices of the nodes that the output reads. */
  readonly outputReads: readonly number[];
  readonly timeoutMs: number;
  /** What its timeouts were multiplied by; 1 as it is defined. */
  readonly timeoutMultiplier: number;
  /** Of the run: its warning, and what runs then. */
  readonly ladder: Ladder;
  /** Those that have a timeout or warning, by name. */
  readonly stages: ReadonlyMap<string, PlanStage>;
  readonly onTimeout: "partial" | "abort";
  /** Of agents that have none of their own. */
  readonly breaker?: Breaker | undefined;
  /** Its structure as canonical JSON: what is stored with its runs. */
  readonly structureText: string;
  readonly hash: string;
}

/** Checks a definition and makes its plan. Throws a PawlError that says where what is wrong. */
export function makePlan(definition: PlanDefinition): Plan {
  checkName(definition.name, "workflow name", definition.place(["name"]));
  const onTimeout = oneOf(definition.onTimeout, ["partial", "abort"], "onTimeout", definition.place(["onTimeout"]));
  const indexOf = indexById(definition.nodes);
  const policies = new Map<string, Policy>();
  const written = definition.nodes.map((node) => ({ ...node, ...(withReferenceTexts(templatesOf(node)) as ReturnType<typeof templatesOf>) }));
  const nodes = written.map((node, index) => planNode(node, index, indexOf, policies)).map((node, _, all) => withForeignReads(node, all));
  const members = membersOf(nodes);
  refuseCycles(definition, nodes, members);
  const writtenOutput = withReferenceTexts(definition.output);
  const output = parseTemplate(writtenOutput, { find: (id) => indexOf.get(id), ids: indexOf.keys(), place: definition.place, path: ["output"] });
  const structureText = canonicalJson(structureOf(definition.name, written, writtenOutput));
  return {
    name: definition.name,
    inputSchema: definition.input,
    nodes,
    indexOf,
    dependents: invert(nodes),
    members,
    output,
    outputReads: readsOf(output),
    timeoutMs: definition.timeoutMs,
    timeoutMultiplier: 1,
    ladder: definition.ladder ?? { onWarn: [] },
    stages: stagesOf(definition, nodes),
    onTimeout,
    ...(definition.breaker !== undefined && { breaker: definition.breaker }),
    structureText,
    hash: structureHash(structureText),
  };
}

/** Those parts of a definition in which references may stand. */
function templatesOf({ input, each, until, branches }: NodeDefinition): Pick<NodeDefinition, "input" | "each" | "until" | "branches"> {
  return { input, ...(each !== undefined && { each }), ...(until !== undefined && { until }), ...(branches !== undefined && { branches }) };
}

function indexById(nodes: readonly NodeDefinition[]): Map<string, number> {
  const indexOf = new Map<string, number>();
  nodes.forEach((node, index) => {
    checkName(node.id, "node id", node.place([]));
    if (indexOf.has(node.id)) throw new PawlError("PAWL_DUPLICATE_ID", { message: `there are two nodes "${node.id}"`, at: node.place([]) });
    indexOf.set(node.id, index);
  });
  return indexOf;
}

const LOCALS: Partial<Record<NodeKind, readonly Local[]>> = { map: ["item", "index"], repeat: ["last"] };

function planNode(node: NodeDefinition, index: number, indexOf: ReadonlyMap<string, number>, policies: Map<string, Policy>): PlanNode {
  const kind = node.kind ?? "call";
  const scope = { find: (id: string) => indexOf.get(id), ids: indexOf.keys(), place: node.place };
  const parsed = (part: unknown, path: Scope["path"], locals?: readonly Local[]): Template =>
    parseTemplate(part, { ...scope, path, ...(locals && { locals }) });
  const input = parsed(node.input, ["input"]);
  const each = node.each === undefined ? undefined : parsed(node.each, ["each"], LOCALS[kind]);
  const until = node.until === undefined ? undefined : parsed(node.until, ["until"], LOCALS[kind]);
  const branches = node.branches?.map(({ name, result }) => ({ name, result: parsed(result, ["branches", name]) }));
  const reads = [...new Set([input, each, until].flatMap((template) => (template === undefined ? [] : readsOf(template))))];
  const collects = [...new Set(branches?.flatMap(({ result }) => readsOf(result)))];
  const healthCheck = checkedHealthCheck(node.healthCheck, node.agent, node.place(["healthCheck"]));
  const alternatives = alternativesOf(node.onFail);
  const policy = nodePolicy(node, policies);
  checkRecovery(node.recovery, node.place);
  checkWarnings(policy, [node.agent, ...alternatives], node.recovery, node.place);
  const after = node.after?.map((id, i) => indexOfNamed(id, indexOf, node.place, ["after", i])) ?? [];
  return {
    index,
    id: node.id,
    kind,
    agent: node.agent,
    alternatives,
    ...(node.compensate !== undefined && { compensate: node.compensate }),
    ...(healthCheck !== undefined && { healthCheck }),
    ...(node.recovery !== undefined && { recovery: node.recovery }),
    input,
    ...(each !== undefined && { each }),
    ...(until !== undefined && { until }),
    ...(node.max !== undefined && { max: node.max }),
    ...(node.concurrency !== undefined && { concurrency: node.concurrency }),
    ...(branches !== undefined && { branches }),
    ...(node.within !== undefined && { within: withinOf(node.within, indexOf, node.place) }),
    ...(node.stage !== undefined && { stage: node.stage }),
    dependencies: [...new Set([...reads, ...after])],
    reads,
    collects,
    after,
    policy,
  };
}

/** What a way results in and is none of the choice's members has to be there before: it is read like what the choice goes by. */
function withForeignReads(node: PlanNode, nodes: readonly PlanNode[]): PlanNode {
  const foreign = node.collects.filter((read) => !isWithin(nodes, read, node.index) && !node.reads.includes(read));
  if (foreign.length === 0) return node;
  return { ...node, reads: [...node.reads, ...foreign], dependencies: [...new Set([...node.dependencies, ...foreign])] };
}

function isWithin(nodes: readonly PlanNode[], member: number, choice: number): boolean {
  const outer = nodes[member]!.within?.choice;
  return outer !== undefined && (outer === choice || isWithin(nodes, outer, choice));
}

function indexOfNamed(id: string, indexOf: ReadonlyMap<string, number>, place: Place, path: Scope["path"]): number {
  const found = indexOf.get(id);
  if (found !== undefined) return found;
  throw new PawlError("PAWL_UNKNOWN_REFERENCE", { message: `no node "${id}" in ${path[0]}${didYouMean(id, indexOf.keys())}`, at: place(path) });
}

function withinOf(
  { choice, branch }: NonNullable<NodeDefinition["within"]>,
  indexOf: ReadonlyMap<string, number>,
  place: Place,
): NonNullable<PlanNode["within"]> {
  return { choice: indexOfNamed(choice, indexOf, place, ["within"]), branch };
}

/** Nodes that are tried alike share one policy object, and with it the turns of their charts: those that say nothing of their own that of their agent. */
function nodePolicy(node: NodeDefinition, policies: Map<string, Policy>): Policy {
  const { retry, timeout, heartbeat, warnAfter, onWarn, onFail = "block" } = node;
  if (onFail === "block" && [retry, timeout, heartbeat, warnAfter, onWarn].every((own) => own === undefined)) return node.agent.policy;
  const policy = withOnFail(policyOf(node, node.place([]), node.agent.policy), node.onFail, node.place(["onFail"]));
  const text = JSON.stringify(policy);
  const known = policies.get(text);
  if (known === undefined) policies.set(text, policy);
  return known ?? policy;
}

function readsOf(template: Template): number[] {
  const reads = new Set<number>();
  eachReference(template, ({ node }) => typeof node === "number" && reads.add(node));
  return [...reads];
}

function invert(nodes: readonly PlanNode[]): number[][] {
  const dependents: number[][] = nodes.map(() => []);
  for (const node of nodes) for (const dependency of node.dependencies) dependents[dependency]!.push(node.index);
  return dependents;
}

function stagesOf({ stages = new Map() }: PlanDefinition, nodes: readonly PlanNode[]): Map<string, PlanStage> {
  const limited = [...stages].filter(([, { timeoutMs, warnAfterMs }]) => timeoutMs !== undefined || warnAfterMs !== undefined);
  return new Map(limited.map(([name, ladder]) => [name, { ...ladder, members: nodes.flatMap(({ stage, index }) => (stage === name ? [index] : [])) }]));
}

function membersOf(nodes: readonly PlanNode[]): Map<number, number[]> {
  const members = new Map<number, number[]>();
  for (const { kind, index } of nodes) if (isGroup(kind) && kind !== "map" && kind !== "repeat") members.set(index, []);
  for (const { within, index } of nodes) if (within !== undefined) members.get(within.choice)!.push(index);
  return members;
}
