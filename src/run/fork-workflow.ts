/**
 * Forks of workflows' runs.
 * 1. Completed and skipped nodes are kept; all others run again, also those that failed or were cancelled.
 * 2. From a node: the newest results are kept, but that node's and those of what depends on it, directly or not. From a
 *    commit: what had ended by then is kept.
 * 3. A node whose result is set is kept with it, whatever it was. What depends on it is treated as without `set`.
 * 4. What was undone is not forked; a fork from before that keeps results of what was undone since, and says so. No
 *    compensation is taken over.
 * 5. A group one of whose members runs again is open again, with what it was opened with; it runs anew with what it depends on.
 */
import { didYouMean } from "../define/name.ts";
import type { Plan, PlanNode } from "../define/plan.ts";
import { type Schema, describeIssues, validate } from "../define/schema.ts";
import { eachReference, followPath } from "../define/template.ts";
import { PawlError } from "../errors.ts";
import type { ActorRecord, RunRecord, Store, StoredActor } from "../store/store.ts";
import { checkCommitNo, refuseUndone } from "./checkpoints.ts";
import { decode, encode } from "./codec.ts";
import { type Definition, inputText } from "./definition.ts";
import type { ForkDraft, ForkOptions, KeptNode, WorkflowForkPlan } from "./fork-plan.ts";
import { type Graph, type RunNode, isDerivedId, undoneBy } from "./graph.ts";
import { BESIDE, INPUT_KEY, SUPERVISOR_KEY, actorRow, nodeBodyText, openActorRow, valueRow } from "./row.ts";
import { type SetChange, type SetValue, pathsMeet, readSetValues, withValue } from "./set-values.ts";
import { type StoredNode, readNodes } from "./stored-nodes.ts";
import { readPlan } from "./view.ts";

/** What is known of the run as of the commit that it is forked from. */
interface Known {
  readonly input: string;
  readonly graph: Graph;
  /** Rows of nodes that had ended, by their index. */
  readonly rows: ReadonlyMap<number, StoredActor>;
  /** Groups that had been opened, also those of which only a later row tells with what. */
  readonly opened: ReadonlyMap<number, StoredNode>;
  /** Ids of nodes of which what they did was undone later, or may have been. */
  readonly undone: ReadonlySet<string>;
}

/** What is set, as text. */
interface Changed {
  readonly input: string;
  readonly results: ReadonlyMap<number, string>;
  readonly changes: readonly SetChange[];
}

export async function draftWorkflowFork(store: Store, record: RunRecord, { from, set = {} }: ForkOptions, definition?: Definition): Promise<ForkDraft> {
  const plan = await readPlan(store, record.definition);
  if (typeof from === "number") checkCommitNo(record, from);
  const commitNo = typeof from === "number" ? from : record.commitNo;
  refuseUndone(record, commitNo);
  const known = await readKnown(store, record, plan, commitNo);
  const { graph } = known;
  const anew = typeof from === "number" ? new Set<number>() : dependentsOf(graph, indexOf(known, from, record.id));
  const values = readSetValues(set, plan);
  const changed = await applied(values, known, plan, definition);
  const keptNodes = [...indices(graph)].flatMap((index) => keptNode(graph.node(index), known.rows.get(index), anew.has(index), changed.results.has(index)));
  const open = openGroups(known, anew, keptNodes);
  const kept = keptNodes.filter(({ node }) => !open.has(node));
  const keptIds = new Set(kept.map(({ node }) => node));
  const forkPlan: WorkflowForkPlan = {
    kind: "workflow",
    runId: record.id,
    from,
    commitNo,
    keeps: kept,
    runsAgain: [...indices(graph)].map((index) => graph.node(index).id).filter((id) => !keptIds.has(id)),
    outdated: outdatedOf(graph, values, kept),
    undone: kept.filter(({ node, status }) => status !== "set" && known.undone.has(node)).map(({ node }) => node),
    changes: changed.changes,
  };
  return {
    plan: forkPlan,
    body: { state: "running", workedMs: 0, degraded: false },
    begin: (newRunId, now) => ({ actors: rowsOf(newRunId, now, kept, open, known, changed), wakeAt: null }),
  };
}

function* indices({ size }: Graph): Generator<number> {
  for (let index = 0; index < size; index++) yield index;
}

function indexOf(known: Known, from: string, runId: string): number {
  const { graph } = known;
  const index = (isDerivedId(from) ? undefined : graph.find(from)) ?? roundUnderWay(known, from);
  if (index !== undefined) return index;
  const ids = graph.plan.nodes.map(({ id }) => id);
  const listed = ids.slice(0, 8).join(", ") + (ids.length > 8 ? ", …" : "");
  throw new PawlError("PAWL_INVALID_VALUE", {
    message: `run "${runId}" has no node "${from}"${didYouMean(from, ids)}   nodes: ${listed || "none"}`,
    next: "fork from one of its nodes, or from a commit number",
  });
}

/** The newest round of an open loop has no row before its first attempt has ended. */
function roundUnderWay({ graph, opened, rows }: Known, id: string): number | undefined {
  const group = graph.plan.indexOf.get(id.slice(0, id.lastIndexOf("[")));
  const last = group === undefined ? undefined : graph.lastOf(group);
  if (group === undefined || last === undefined || !rows.has(last)) return undefined;
  const isNext =
    opened.get(group)?.status === "running" && graph.plan.nodes[group]!.kind === "repeat" && id === `${graph.plan.nodes[group]!.id}[${graph.countOf(group)}]`;
  return isNext ? graph.grow(group, 1) : undefined;
}

/** The node with all that depends on it. Members of a group depend on what the group does, and not on each other. */
function dependentsOf(graph: Graph, first: number): Set<number> {
  const found = new Set<number>();
  /** With all of their members; of others only some run again. */
  const whole = new Set<number>();
  const visit = (index: number, withMembers: boolean): void => {
    const isNew = !found.has(index);
    found.add(index);
    if (withMembers && !whole.has(index)) {
      whole.add(index);
      for (const member of [...(graph.plan.members.get(index) ?? []), ...graph.itemsOf(index)]) visit(member, true);
    }
    if (!isNew) return;
    for (const dependent of graph.dependentsOf(index)) visit(dependent, true);
    const { of } = graph.node(index);
    const later = of !== undefined && graph.plan.nodes[of.group]!.kind === "repeat" ? graph.itemAt(of.group, of.position + 1) : undefined;
    if (later !== undefined) visit(later, true);
    const parent = graph.parentOf(index);
    if (parent !== undefined) visit(parent, false);
  };
  visit(first, true);
  return found;
}

/** Rows that were written later, or are not final, say nothing of the run as of then, but with what its groups were opened. */
async function readKnown(store: Store, record: RunRecord, plan: Plan, commitNo: number): Promise<Known> {
  const all = await store.readActorRange(record.id, "", BESIDE);
  const rows = all.filter(({ key }) => !isDerivedId(key));
  const input = rows.find(({ key }) => key === INPUT_KEY);
  if (input?.output == null) throw new PawlError("PAWL_ROW_CORRUPT", { message: `run "${record.id}" has no input row` });
  openActorRow(record.id, input);
  const byKey = new Map(rows.map((row) => [row.key, row]));
  const { graph, nodes } = readNodes(record, rows, plan);
  const final = nodes.filter((node) => node.commitNo <= commitNo && (node.status === "completed" || node.status === "skipped"));
  return {
    input: input.output,
    graph,
    rows: new Map(final.map(({ index }) => [index, byKey.get(graph.node(index).id)!])),
    undone: new Set(all.flatMap(({ key }) => undoneBy(key) ?? [])),
    opened: new Map(nodes.filter(({ opened }) => opened !== undefined).map((node) => [node.index, node])),
  };
}

function keptNode({ id: node }: RunNode, row: StoredActor | undefined, isAnew: boolean, isSet: boolean): KeptNode[] {
  if (isSet) return [{ node, status: "set" }];
  return row === undefined || isAnew ? [] : [{ node, status: row.status as KeptNode["status"] }];
}

/**
 * Groups that begin open, by their id: some of their members have what they had, or are open, and others run again. A result
 * that is set says nothing of how its choice was made.
 */
function openGroups({ graph, opened }: Known, anew: ReadonlySet<number>, kept: readonly KeptNode[]): Map<string, StoredNode> {
  const open = new Map<string, StoredNode>();
  const ended = new Set(kept.filter(({ status }) => status !== "set").map(({ node }) => node));
  const set = new Set(kept.filter(({ status }) => status === "set").map(({ node }) => node));
  const isThere = (member: number): boolean => ended.has(graph.node(member).id) || open.has(graph.node(member).id);
  // the inner ones first: they come later in the plan
  for (const [index, node] of [...opened].toSorted(([a], [b]) => b - a)) {
    const { id } = graph.node(index);
    const members = [...(graph.plan.members.get(index) ?? []), ...graph.itemsOf(index)];
    const isClosed = set.has(id) || (ended.has(id) && !anew.has(index));
    if (!isClosed && members.some(isThere)) open.set(id, node);
  }
  return open;
}

// ---- what is set

async function applied(values: readonly SetValue[], known: Known, plan: Plan, definition: Definition | undefined): Promise<Changed> {
  const changes: SetChange[] = [];
  const texts = new Map<number | "input", string>();
  for (const value of values) {
    const before = texts.get(value.target) ?? textOf(value, known, plan);
    changes.push({ path: value.text, before: before === undefined ? undefined : followPath(decode(before), value.path), after: value.value });
    texts.set(value.target, encode(withValue(before === undefined ? undefined : decode(before), value)));
  }
  const results = new Map<number, string>();
  for (const [target, text] of texts) if (target !== "input") results.set(target, await checkedResult(plan.nodes[target]!, text, definition));
  const input = texts.get("input");
  return { input: input === undefined ? known.input : await checkedInput(input, definition), results, changes };
}

/** What a value is set in. Throws when a part of a result is to be set that is not there. */
function textOf({ target, text, path }: SetValue, known: Known, plan: Plan): string | undefined {
  if (target === "input") return known.input;
  const result = known.rows.get(target)?.output ?? undefined;
  if (result !== undefined || path.length === 0) return result;
  const { id } = plan.nodes[target]!;
  throw new PawlError("PAWL_INVALID_VALUE", { message: `cannot set "${text}": node "${id}" has no result there`, next: `set "${id}.result" as a whole` });
}

async function checkedInput(text: string, definition: Definition | undefined): Promise<string> {
  return definition === undefined ? text : inputText(definition, decode(text));
}

async function checkedResult({ id }: PlanNode, text: string, definition: Definition | undefined): Promise<string> {
  const schema: Schema | undefined = definition?.kind === "dag" ? definition.workflow.plan.nodes.find((node) => node.id === id)?.agent.output : undefined;
  if (schema === undefined) return text;
  const checked = await validate(schema, decode(text));
  if (checked.issues === undefined) return encode(checked.value);
  throw new PawlError("PAWL_INVALID_VALUE", { message: `the result that is set for node "${id}" does not fit its schema: ${describeIssues(checked.issues)}` });
}

/** Kept nodes that read what is set, or the result of such a node. */
function outdatedOf({ plan }: Graph, values: readonly SetValue[], kept: readonly KeptNode[]): string[] {
  const candidates = new Set(kept.filter(({ status }) => status !== "set").flatMap(({ node }) => plan.indexOf.get(node) ?? []));
  const outdated = new Set([...candidates].filter((index) => readsOneOf(plan.nodes[index]!, values)));
  for (const index of outdated)
    for (const dependent of plan.dependents[index]!) if (candidates.has(dependent) && plan.nodes[dependent]!.reads.includes(index)) outdated.add(dependent);
  return plan.nodes.filter(({ index }) => outdated.has(index)).map(({ id }) => id);
}

function readsOneOf({ input, each, until, branches = [] }: PlanNode, values: readonly SetValue[]): boolean {
  let isFound = false;
  for (const template of [input, each, until, ...branches.map(({ result }) => result)])
    if (template !== undefined)
      eachReference(template, ({ node, path }) => {
        isFound ||= values.some((value) => value.target === node && pathsMeet(value.path, path));
      });
  return isFound;
}

// ---- rows

function rowsOf(
  runId: string,
  now: number,
  kept: readonly KeptNode[],
  open: ReadonlyMap<string, StoredNode>,
  { graph, rows: known }: Known,
  changed: Changed,
): ActorRecord[] {
  const rows = [valueRow(runId, INPUT_KEY, changed.input), actorRow(runId, SUPERVISOR_KEY, "running", "{}", null)];
  for (const [id, { opened }] of open) rows.push(actorRow(runId, id, "running", nodeBodyText({ attempt: 0, startedAt: now, opened: opened! }), null));
  for (const { node } of kept) {
    const index = graph.find(node)!;
    const given = changed.results.get(index);
    const row = known.get(index);
    // no attempt gave what is set
    if (given !== undefined) rows.push(actorRow(runId, node, "completed", nodeBodyText({ attempt: 0, startedAt: now, endedAt: now }), given));
    else if (row !== undefined) rows.push(actorRow(runId, node, row.status, row.body, row.output));
  }
  return rows;
}
