/**
 * `pawl check`: is this definition right? Which node waits for which and why, and what may be missing when it runs.
 */
import { EXIT } from "./exit-code.ts";
import { type Dependency, dependenciesOf } from "./dependencies.ts";
import { loadWorkflow } from "./definition-file.ts";
import { toJson } from "./json.ts";
import { skipWarnings } from "./skip-warnings.ts";
import { alignColumns, count } from "./text.ts";

export interface CheckOptions {
  readonly export?: string;
  readonly json?: true;
}

export async function check(file: string, options: CheckOptions): Promise<number> {
  const workflow = await loadWorkflow(file, options.export);
  const { name, hash } = workflow.plan;
  const nodes = workflow.plan.nodes.map((node) => ({ id: node.id, agent: node.agent.name, dependencies: dependenciesOf(workflow, node.index) }));
  const warnings = skipWarnings(workflow);
  if (options.json) {
    process.stdout.write(`${toJson({ file, workflow: name, hash, nodes, warnings })}\n`);
    return EXIT.completed;
  }
  const rows = nodes.map(({ id, agent, dependencies }) => [`  ${id}`, agent, dependencies.map(dependencyText).join(", ")]);
  const table = alignColumns([["  NODE", "AGENT", "WAITS FOR"], ...rows], process.stdout);
  process.stdout.write(`${[`${file}: workflow ${name}, ${count(nodes.length, "node")}, no errors`, ...table].join("\n")}\n`);
  for (const { message, at } of warnings) process.stderr.write(`warning: ${message}\n  ${at}\n`);
  return EXIT.completed;
}

function dependencyText({ node, from }: Dependency): string {
  return `${node} (${from.map((source) => (source === "reference" ? "inferred from a reference" : "after")).join(", ")})`;
}
