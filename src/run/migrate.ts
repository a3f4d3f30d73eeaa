/**
 * Takes a machine run over to another definition: never blindly. What it has active must be there in the new one, or
 * the run stays as it is, with a report.
 */
import { canonicalJson } from "../define/canonical.ts";
import { PawlError } from "../errors.ts";
import type { RunRecord, StoredActor } from "../store/store.ts";
import { type Foreigners, decode, encode } from "./codec.ts";
import type { MachineDefinition } from "./machine-definition.ts";
import { CASCADE_KEY, REDO_KEY, actorRow, openActorRow } from "./row.ts";
import type { ActorBody } from "./actor-table.ts";
import type { StoredMachineState } from "./xstate/state.ts";
import { type ActiveActor, type ActiveMachine, missedBeginnings, selectableStates, stateProblems } from "./xstate/structure-changes.ts";
import type { MachineStructure } from "./xstate/structure.ts";
import { ROOT_KEY } from "./xstate/system.ts";

/** Refs and the like stay what they are while a context goes through the hands of `migrate`. */
class Opaque {
  readonly word: string;
  readonly data: unknown;

  constructor(word: string, data: unknown) {
    this.word = word;
    this.data = data;
  }
}

/** Values of a row whose refs and snapshots of actors stay what they are. */
export const opaque: Foreigners = {
  tag: (value) => (value instanceof Opaque ? value : undefined),
  untag: (word, data) => new Opaque(word, data),
};

/** What of the run has no place in this definition, should it have this state value there; empty when it could go on. */
export function problemsOf(runId: string, rows: readonly StoredActor[], structure: MachineStructure, old: MachineStructure, value?: unknown): string[] {
  if (rows.some(({ key }) => key === CASCADE_KEY || key === REDO_KEY)) return ["it is in the midst of a step; let its own definition finish that first"];
  const root = rows.find(({ key }) => key === ROOT_KEY);
  if (root === undefined) return ["it has no machine"];
  const invokes = new Set(old.machines.flatMap(({ states }) => states.flatMap((state) => state.invokes.map(({ id }) => id))));
  const active = activeMachine(runId, root, rows, invokes);
  const next = value ?? active.value;
  return [...stateProblems(structure, { ...active, value: next }), ...missedBeginnings(old, active.value, structure, next)];
}

/** The run's rows for another definition. Throws PAWL_DEFINITION_CHANGED with what stands against it. */
export function migratedRows(record: RunRecord, rows: readonly StoredActor[], definition: MachineDefinition, stored: string): StoredActor[] {
  const root = rows.find(({ key }) => key === ROOT_KEY);
  const { migrate } = definition.options;
  if (root?.output == null || migrate === undefined) throw changed(record, definition, ["no `migrate` was given for it"]);
  const state = decode(root.output, opaque) as StoredMachineState;
  const old = JSON.parse(stored) as MachineStructure;
  const { id, version } = old.machines[0]!;
  const from = { id, version, hash: record.definition };
  const given = taken(record, definition, () => {
    const answer = migrate({ value: state.value, context: state.context }, from);
    return { value: answer.value, context: answer.context, text: encode(answer.context, opaque) };
  });
  const structure = JSON.parse(definition.structureText) as MachineStructure;
  if (selectableStates(structure, given.value) === undefined)
    throw changed(record, definition, [`migrate answered ${JSON.stringify(given.value)}, which is no state of it`]);
  const problems = problemsOf(record.id, rows, structure, old, given.value);
  if (problems.length > 0) throw changed(record, definition, problems);
  const { nodes, ...rest } = state;
  const isMoved = canonicalJson(given.value) !== canonicalJson(state.value);
  const kept = { ...rest, ...(!isMoved && nodes !== undefined && { nodes }), value: given.value, context: given.context };
  const row = { ...actorRow(record.id, root.key, root.status, root.body, encode(kept, opaque)), commitNo: root.commitNo };
  return rows.map((other) => (other === root ? row : other));
}

/** What `migrate` does wrong stands against the migration, not against the run. */
function taken<T>(record: RunRecord, definition: MachineDefinition, migrate: () => T): T {
  try {
    return migrate();
  } catch (error) {
    throw changed(record, definition, [`migrate failed: ${error instanceof Error ? error.message : String(error)}`]);
  }
}

function changed(record: RunRecord, { name }: MachineDefinition, changes: readonly string[]): PawlError {
  return new PawlError("PAWL_DEFINITION_CHANGED", { message: `run "${record.id}" cannot go on with this "${name}": ${changes.join("; ")}`, data: { changes } });
}

// ---- what a run has active

function activeMachine(runId: string, row: StoredActor, rows: readonly StoredActor[], invokes: ReadonlySet<string>): ActiveMachine {
  const state = (row.output === null ? {} : decode(row.output, opaque)) as Partial<StoredMachineState>;
  const { timers = [] } = openActorRow(runId, row) as ActorBody;
  const children = rows.filter(({ key, status }) => parentOf(key) === row.key && status === "running").map((child) => activeActor(runId, child, rows, invokes));
  return {
    value: state.value,
    timers: timers.map(({ id }) => id).filter((id) => id.startsWith("xstate.after.")),
    remembered: Object.values(state.history ?? {}).flat(),
    invoked: children.filter(({ id }) => invokes.has(id)),
    spawned: children.filter(({ id }) => !invokes.has(id)),
  };
}

function activeActor(runId: string, row: StoredActor, rows: readonly StoredActor[], invokes: ReadonlySet<string>): ActiveActor {
  const { id, src } = openActorRow(runId, row) as ActorBody;
  const isMachine = row.output !== null && typeof (decode(row.output, opaque) as Partial<StoredMachineState>).value !== "undefined";
  return { id, src, ...(isMachine && { machine: activeMachine(runId, row, rows, invokes) }) };
}

/** The key of an actor's parent; undefined for rows that are no actors. */
function parentOf(key: string): string | undefined {
  if (key === ROOT_KEY || key.endsWith("~1")) return undefined;
  const slash = key.lastIndexOf("/");
  return slash < 0 ? ROOT_KEY : key.slice(0, slash);
}
