/**
 * Workflows from YAML or JSON: the same plan as from TypeScript, with line and column in every error. The text is read, its
 * shape checked; agents and workflows that it names are found; then its nodes are written down, and a plan is made of them.
 */
import { breakerOf } from "./breaker.ts";
import { type DocumentOptions, KnownWorkflows, readAgents } from "./document-callees.ts";
import { checkPart, schemaOf } from "./document-check.ts";
import { recoveryNamed, workflowsNamed, writtenNodes } from "./document-nodes.ts";
import { type DocumentShape, type InnerShape, documentShape } from "./document-shape.ts";
import { readText } from "./document-text.ts";
import { durationMs } from "./duration.ts";
import type { Agent } from "./agent.ts";
import { ladderOf } from "./recovery.ts";
import { makePlan } from "./plan.ts";
import type { FieldPath, Place } from "./template.ts";
import { RUN_TIMEOUT_DEFAULT, type Workflow } from "./workflow.ts";

export type { DocumentOptions } from "./document-callees.ts";

/** Reads a document. Throws a PawlError with its place for anything that is wrong with it. */
export async function readDocument(text: string, options: DocumentOptions): Promise<Workflow> {
  const { data, place } = readText(text, options.file ?? "document");
  const shape: DocumentShape = checkPart(documentShape, data, [], place);
  const agents = await readAgents(shape, options, place);
  const workflows: KnownWorkflows = new KnownWorkflows(shape, options, place, (name, inner, path, trail) =>
    readWorkflow(name, inner, path, { agents, workflows, place }, trail),
  );
  await workflows.readAll();
  return readWorkflow(shape.name, shape, [], { agents, workflows, place }, []);
}

interface Surroundings {
  readonly agents: ReadonlyMap<string, Agent>;
  readonly workflows: KnownWorkflows;
  readonly place: Place;
}

/** The document's own workflow, or one that is written within it at this path. */
async function readWorkflow(name: string, shape: InnerShape, path: FieldPath, around: Surroundings, trail: readonly string[]): Promise<Workflow> {
  const place: Place = (part) => around.place([...path, ...part]);
  const workflows = new Map<string, Workflow>();
  for (const [named, at] of workflowsNamed(shape.nodes, ["nodes"]))
    if (!workflows.has(named)) workflows.set(named, await around.workflows.get(named, place(at), trail));
  const timeoutMs = durationMs(shape.timeout ?? RUN_TIMEOUT_DEFAULT, "timeout", place(["timeout"]));
  const within = { agents: around.agents, workflows, place };
  const { warnAfter, onWarn } = shape;
  const plan = makePlan({
    name,
    ...(shape.input !== undefined && { input: schemaOf(shape.input, ["input"], place) }),
    ...writtenNodes(name, shape, within),
    output: shape.output ?? {},
    timeoutMs,
    ladder: ladderOf({ timeout: timeoutMs, warnAfter, onWarn, recovery: recoveryNamed(within, shape.recovery, []) }, place),
    onTimeout: shape.onTimeout ?? "partial",
    breaker: shape.breaker === undefined ? undefined : breakerOf(shape.breaker, place(["breaker"])),
    place,
  });
  return Object.freeze({ name: plan.name, plan });
}
