/**
 * What runs are made of: a workflow of nodes or a machine, under one face.
 */
import { PawlError } from "../errors.ts";
import type { Agent } from "../define/agent.ts";
import { agentsOf } from "../define/plan.ts";
import { planChanges } from "../define/plan-structure.ts";
import { describeIssues, validate } from "../define/schema.ts";
import type { Workflow } from "../define/workflow.ts";
import type { RunRecord, Store, StoredActor } from "../store/store.ts";
import { encode } from "./codec.ts";
import { DagRun } from "./dag-run.ts";
import type { HostedRun, RunSeams } from "./hosted-run.ts";
import { type Lane, NO_LANE } from "./lane.ts";
import { loadDag, loadMachine } from "./load.ts";
import { type MachineDefinition, machineDefinitionOf } from "./machine-definition.ts";
import { MachineRun } from "./machine-run.ts";
import { BESIDE } from "./row.ts";
import type { Startable } from "./startable.ts";
import { structureChanges } from "./xstate/structure-changes.ts";
import { agentsIn, childRunsOf } from "./xstate/structure.ts";

interface DagDefinition {
  readonly kind: "dag";
  readonly name: string;
  readonly hash: string;
  readonly structureText: string;
  readonly workflow: Workflow;
}

export type Definition = DagDefinition | MachineDefinition;

/** Checks what is to be run. Throws a PawlError that says what is wrong with it. */
export function definitionOf(given: Startable): Definition {
  if (!("plan" in given)) return machineDefinitionOf(given);
  const { name, plan } = given;
  return { kind: "dag", name, hash: plan.hash, structureText: plan.structureText, workflow: given };
}

/**
 * Checks a workflow or machine as `start` would, and says how it is known.
 *
 * @throws PAWL_UNKNOWN_IMPLEMENTATION, PAWL_INLINE_SPAWN, PAWL_INVALID_ID, PAWL_INVALID_VALUE
 */
export function checkDefinition(given: Startable): { readonly name: string; readonly hash: string } {
  const { name, hash } = definitionOf(given);
  return { name, hash };
}

/** What its nodes or steps start as runs of their own. */
export function childrenOf(definition: Definition): Definition[] {
  if (definition.kind === "machine") return childRunsOf(definition.machine).map(definitionOf);
  const { nodes, ladder, stages } = definition.workflow.plan;
  const actions = [ladder, ...stages.values()].flatMap(({ recovery }) => Object.values(recovery ?? {}));
  return [...nodes.flatMap(agentsOf), ...actions].flatMap(({ work }) => (work.kind === "run" ? definitionOf(work.of as Startable) : []));
}

/** The agents that nodes or steps call. */
export function agentsUsed(definition: Definition): Agent[] {
  return definition.kind === "machine" ? agentsIn(definition.machine) : definition.workflow.plan.nodes.flatMap(agentsOf);
}

/** The input as it is stored. Throws PAWL_INPUT_INVALID. */
export async function inputText(definition: Definition, input: unknown): Promise<string> {
  const schema = definition.kind === "dag" ? definition.workflow.plan.inputSchema : definition.options.input;
  if (schema === undefined) return encode(input);
  const checked = await validate(schema, input);
  if (checked.issues === undefined) return encode(checked.value);
  throw new PawlError("PAWL_INPUT_INVALID", { message: `the input of "${definition.name}" does not fit its schema: ${describeIssues(checked.issues)}` });
}

/** A new run in memory. */
export function beginRun(definition: Definition, id: string, input: string, seams: RunSeams, lane?: Lane): HostedRun {
  if (definition.kind === "machine") return new MachineRun(id, definition, seams, { input, lane });
  return new DagRun(id, definition.workflow.plan, input, lane ?? NO_LANE, seams);
}

/**
 * Brings a run back; `stored` is the text of its own definition when it is to be taken over by this one. Throws
 * PAWL_ROW_CORRUPT for rows that are not what was written, PAWL_DEFINITION_CHANGED when it cannot be taken over.
 */
export function loadRun(definition: Definition, record: RunRecord, rows: readonly StoredActor[], seams: RunSeams, stored?: string): HostedRun {
  return definition.kind === "dag" ? loadDag(record, rows, definition.workflow.plan, seams) : loadMachine(record, rows, definition, seams, stored);
}

/** The rows that a run is brought back from: what attempts have kept is read when one runs again. */
export function readRows(store: Store, runId: string, definition: Definition): Promise<StoredActor[]> {
  return definition.kind === "dag" ? store.readActorRange(runId, "", BESIDE) : store.readActors(runId);
}

/** What is different in this definition from a stored one. */
export function changesFrom(stored: string, definition: Definition): string[] {
  return definition.kind === "dag" ? planChanges(stored, definition.structureText) : structureChanges(stored, definition.structureText);
}
