/**
 * `pawl check`: is this definition right? Which node waits for which and why, what may be missing when it runs, and which
 * unfinished runs of the store have something that it no longer knows.
 */
import { type ComparedRun, type Startable, type Workflow, checkDefinition } from "../index.ts";
import { EXIT } from "./exit-code.ts";
import { type Dependency, dependenciesOf } from "./dependencies.ts";
import { loadDefinition } from "./definition-file.ts";
import { toJson } from "./json.ts";
import { branchText } from "./node-text.ts";
import { skipWarnings } from "./skip-warnings.ts";
import { openToLook, storeExists } from "./stored.ts";
import { alignColumns, count } from "./text.ts";

type PlanNode = Workflow["plan"]["nodes"][number];

interface OnFailure {
  readonly alternatives?: readonly string[];
  readonly recovery?: Readonly<Record<string, string>>;
  readonly compensate?: string;
}

export interface CheckOptions {
  readonly export?: string;
  readonly store?: string;
  readonly json?: true;
}

export async function check(file: string, options: CheckOptions): Promise<number> {
  const definition = await loadDefinition(file, options.export);
  const { name, hash } = checkDefinition(definition);
  const runs = await compared(definition, options.store);
  const workflow = "plan" in definition ? definition : undefined;
  const nodes = workflow?.plan.nodes.map((node) => ({
    id: node.id,
    agent: node.agent.name,
    ...onFailureOf(node),
    dependencies: dependenciesOf(workflow, node.index),
  }));
  const warnings = workflow === undefined ? [] : skipWarnings(workflow);
  if (options.json)
    process.stdout.write(`${toJson({ file, ...(workflow === undefined ? { machine: name } : { workflow: name, nodes }), hash, warnings, runs })}\n`);
  else {
    process.stdout.write(workflow === undefined ? `${file}: machine ${name}, no errors\n` : workflowText(file, workflow));
    for (const { message, at } of warnings) process.stderr.write(`warning: ${message}\n  ${at}\n`);
    process.stdout.write(runsText(runs));
  }
  return runs.some(({ problems }) => problems.length > 0) ? EXIT.failed : EXIT.completed;
}

/** The unfinished runs of another definition; none when there is no store. */
async function compared(definition: Startable, store: string | undefined): Promise<ComparedRun[]> {
  if (store === undefined && !storeExists(store)) return [];
  await using pawl = await openToLook(store);
  return await Array.fromAsync(pawl.compare(definition));
}

function workflowText(file: string, workflow: Workflow): string {
  const { nodes } = workflow.plan;
  const rows = nodes.map((node) => [
    `  ${node.id}`,
    agentText(node),
    [...branchOf(workflow, node.within), ...dependenciesOf(workflow, node.index).map(dependencyText)].join(", "),
  ]);
  const table = alignColumns([["  NODE", "AGENT", "WAITS FOR"], ...rows], process.stdout);
  return `${[`${file}: workflow ${workflow.name}, ${count(nodes.length, "node")}, no errors`, ...table].join("\n")}\n`;
}

/** Who takes over when its attempts are used up, who undoes what it has done, and its recovery actions, those of its stage included. */
function onFailureOf({ alternatives, compensate, recovery }: PlanNode): OnFailure {
  return {
    ...(alternatives.length > 0 && { alternatives: alternatives.map(({ name }) => name) }),
    ...(recovery !== undefined && { recovery: Object.fromEntries(Object.entries(recovery).map(([name, agent]) => [name, agent.name])) }),
    ...(compensate !== undefined && { compensate: compensate.name }),
  };
}

function agentText({ kind, agent, alternatives, compensate, recovery }: PlanNode): string {
  const called = kind === "map" || kind === "repeat" ? `${agent.name} (${kind})` : agent.name;
  const helpers = new Set(Object.values(recovery ?? {}).map(({ name }) => `recovered by ${name}`));
  return [called, ...alternatives.map(({ name }) => `else ${name}`), ...helpers, ...(compensate === undefined ? [] : [`undone by ${compensate.name}`])].join(
    ", ",
  );
}

/** The choice that decides whether the node runs at all. */
function branchOf({ plan }: Workflow, within: PlanNode["within"]): string[] {
  if (within === undefined) return [];
  const { id, branches } = plan.nodes[within.choice]!;
  return [`${id} (when it takes ${branchText(branches![within.branch]!.name)})`];
}

function dependencyText({ node, from }: Dependency): string {
  return `${node} (${from.map((source) => (source === "reference" ? "inferred from a reference" : "after")).join(", ")})`;
}

function runsText(runs: readonly ComparedRun[]): string {
  if (runs.length === 0) return "";
  const lines = runs.map(({ runId, problems }) => `  ${runId}: ${problems.length === 0 ? "would find all that it has" : problems.join("; ")}`);
  const what = `${count(runs.length, "unfinished run")} of another definition; each waits for its own, or for a \`migrate\`:`;
  return `${[what, ...lines].join("\n")}\n`;
}
