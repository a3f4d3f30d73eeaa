/**
 * Forks of workflows' runs.
 * 1. Completed and skipped nodes are kept; all others run again, also those that failed or were cancelled.
 * 2. From a node: the newest results are kept, but that node's and those of what depends on it, directly or not. From a
 *    commit: what had ended by then is kept.
 * 3. A node whose result is set is kept with it, whatever it was. What depends on it is treated as without `set`.
 */
import { didYouMean } from "../define/name.ts";
import type { Plan, PlanNode } from "../define/plan.ts";
import { type Schema, describeIssues, validate } from "../define/schema.ts";
import { eachReference, followPath } from "../define/template.ts";
import { PawlError } from "../errors.ts";
import type { ActorRecord, RunRecord, Store, StoredActor } from "../store/store.ts";
import { checkCommitNo } from "./checkpoints.ts";
import { decode, encode } from "./codec.ts";
import { type Definition, inputText } from "./definition.ts";
import type { ForkDraft, ForkOptions, KeptNode, WorkflowForkPlan } from "./fork-plan.ts";
import { readNodes } from "./load.ts";
import { INPUT_KEY, SUPERVISOR_KEY, actorRow, nodeBodyText, openActorRow, valueRow } from "./row.ts";
import { type SetChange, type SetValue, pathsMeet, readSetValues, withValue } from "./set-values.ts";
import { readPlan } from "./view.ts";

/** What is known of the run as of the commit that it is forked from. */
interface Known {
  readonly input: string;
  /** Rows of nodes by their index. */
  readonly rows: ReadonlyMap<number, StoredActor>;
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
  const anew = typeof from === "number" ? new Set<number>() : dependentsOf(plan, indexOf(plan, from, record.id));
  const commitNo = typeof from === "number" ? from : record.commitNo;
  const known = await readKnown(store, record, plan, commitNo);
  const values = readSetValues(set, plan);
  const changed = await applied(values, known, plan, definition);
  const kept = plan.nodes.flatMap(({ index, id }) => keptNode(id, known.rows.get(index), anew.has(index), changed.results.has(index)));
  const keptIds = new Set(kept.map(({ node }) => node));
  const forkPlan: WorkflowForkPlan = {
    kind: "workflow",
    runId: record.id,
    from,
    commitNo,
    keeps: kept,
    runsAgain: plan.nodes.map(({ id }) => id).filter((id) => !keptIds.has(id)),
    outdated: outdatedOf(plan, values, kept),
    changes: changed.changes,
  };
  return {
    plan: forkPlan,
    body: { state: "running", workedMs: 0, degraded: false },
    begin: (newRunId, now) => ({ actors: rowsOf(newRunId, now, plan, kept, known, changed), wakeAt: null }),
  };
}

function indexOf({ indexOf, nodes }: Plan, from: string, runId: string): number {
  const index = indexOf.get(from);
  if (index !== undefined) return index;
  const ids = nodes.map(({ id }) => id);
  const listed = ids.slice(0, 8).join(", ") + (ids.length > 8 ? ", …" : "");
  throw new PawlError("PAWL_INVALID_VALUE", {
    message: `run "${runId}" has no node "${from}";${didYouMean(from, ids)}   nodes: ${listed || "none"}`,
    next: "fork from one of its nodes, or from a commit number",
  });
}

/** The node with all that depends on it. */
function dependentsOf(plan: Plan, first: number): Set<number> {
  const found = new Set([first]);
  for (const index of found) for (const dependent of plan.dependents[index]!) found.add(dependent);
  return found;
}

/** Rows that were written later, or are not final, say nothing of the run as of then. */
async function readKnown(store: Store, record: RunRecord, plan: Plan, commitNo: number): Promise<Known> {
  const rows = (await store.readActors(record.id)).filter((row) => row.commitNo <= commitNo);
  const input = rows.find(({ key }) => key === INPUT_KEY);
  if (input?.output == null) throw new PawlError("PAWL_ROW_CORRUPT", { message: `run "${record.id}" has no input row` });
  openActorRow(record.id, input);
  const byKey = new Map(rows.map((row) => [row.key, row]));
  const final = readNodes(record, rows, plan).filter(({ status }) => status === "completed" || status === "skipped");
  return { input: input.output, rows: new Map(final.map(({ index }) => [index, byKey.get(plan.nodes[index]!.id)!])) };
}

function keptNode(node: string, row: StoredActor | undefined, isAnew: boolean, isSet: boolean): KeptNode[] {
  if (isSet) return [{ node, status: "set" }];
  return row === undefined || isAnew ? [] : [{ node, status: row.status as KeptNode["status"] }];
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
function outdatedOf(plan: Plan, values: readonly SetValue[], kept: readonly KeptNode[]): string[] {
  const candidates = new Set(kept.filter(({ status }) => status !== "set").map(({ node }) => plan.indexOf.get(node)!));
  const outdated = new Set([...candidates].filter((index) => readsOneOf(plan.nodes[index]!, values)));
  for (const index of outdated)
    for (const dependent of plan.dependents[index]!) if (candidates.has(dependent) && plan.nodes[dependent]!.reads.includes(index)) outdated.add(dependent);
  return plan.nodes.filter(({ index }) => outdated.has(index)).map(({ id }) => id);
}

function readsOneOf({ input }: PlanNode, values: readonly SetValue[]): boolean {
  let isFound = false;
  eachReference(input, ({ node, path }) => {
    isFound ||= values.some((value) => value.target === node && pathsMeet(value.path, path));
  });
  return isFound;
}

// ---- rows

function rowsOf(runId: string, now: number, plan: Plan, kept: readonly KeptNode[], known: Known, changed: Changed): ActorRecord[] {
  const rows = [valueRow(runId, INPUT_KEY, changed.input), actorRow(runId, SUPERVISOR_KEY, "running", "{}", null)];
  for (const { node } of kept) {
    const index = plan.indexOf.get(node)!;
    const given = changed.results.get(index);
    const row = known.rows.get(index);
    // no attempt gave what is set
    if (given !== undefined) rows.push(actorRow(runId, node, "completed", nodeBodyText({ attempt: 0, startedAt: now, endedAt: now }), given));
    else if (row !== undefined) rows.push(actorRow(runId, node, row.status, row.body, row.output));
  }
  return rows;
}
