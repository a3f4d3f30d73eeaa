/**
 * A definition beside the unfinished runs of a store: which of them it would find as they are, and which have something
 * that it no longer knows.
 */
import type { RunRecord, Store, StoredActor } from "../store/store.ts";
import { type Definition, changesFrom } from "./definition.ts";
import { isNodeRow } from "./stored-nodes.ts";
import { problemsOf } from "./migrate.ts";
import type { MachineStructure } from "./xstate/structure.ts";

/** An unfinished run of another definition. */
export interface ComparedRun {
  readonly runId: string;
  /** What is different in the new definition. */
  readonly changes: readonly string[];
  /** What the run has that the new definition does not know; with none of these a `migrate` may leave its state as it is. */
  readonly problems: readonly string[];
}

const PAGE = 100;

/** Every unfinished run of this workflow or machine that has another definition. */
export async function* compareRuns(store: Store, definition: Definition): AsyncGenerator<ComparedRun> {
  for (let after: string | undefined; ;) {
    const page: RunRecord[] = await store.listRuns({ workflow: definition.name, unfinished: true, after, limit: PAGE });
    for (const record of page) if (record.definition !== definition.hash) yield await compareRun(store, record, definition);
    if (page.length < PAGE) return;
    after = page.at(-1)!.id;
  }
}

async function compareRun(store: Store, record: RunRecord, definition: Definition): Promise<ComparedRun> {
  const stored = await store.readDefinition(record.definition);
  const rows = await store.readActors(record.id);
  if (stored === undefined) return { runId: record.id, changes: [], problems: ["its definition is not in the store"] };
  return { runId: record.id, changes: changesOf(stored, definition), problems: problems(record.id, rows, stored, definition) };
}

const isMachine = (stored: string): boolean => "machines" in (JSON.parse(stored) as object);

function changesOf(stored: string, definition: Definition): string[] {
  if (isMachine(stored) !== (definition.kind === "machine")) return [`it is now a ${definition.kind === "machine" ? "machine" : "workflow of nodes"}`];
  return changesFrom(stored, definition);
}

function problems(runId: string, rows: readonly StoredActor[], stored: string, definition: Definition): string[] {
  if (isMachine(stored) !== (definition.kind === "machine")) return changesOf(stored, definition);
  if (definition.kind === "machine")
    return problemsOf(runId, rows, JSON.parse(definition.structureText) as MachineStructure, JSON.parse(stored) as MachineStructure);
  const { indexOf } = definition.workflow.plan;
  return rows
    .filter((row) => isNodeRow(row) && !indexOf.has(row.key.replace(/\[\d+\]$/, "")))
    .map(({ key, status }) => `node "${key}", which is ${status}, is gone`);
}
