/**
 * The redo record of a commit whose acts may not have been done: what the commit came of, and the rows that it changed
 * as they were before. Turns are pure, so the acts can be computed again.
 */
import type { ActorRecord, StoredActor } from "../store/store.ts";
import type { MachineRun } from "./machine-run.ts";
import { CASCADE_KEY, INPUT_KEY, valueRow } from "./row.ts";
import { stimulusOf } from "./stimulus.ts";
import type { StoredMachineRun } from "./stored-machine-run.ts";
import type { Actor } from "./xstate/actor.ts";

export interface Redo {
  readonly text: string;
  /** The rows of the run when it was loaded; absent when the acts were computed in this process. */
  readonly rows?: readonly StoredActor[];
}

interface OldRows {
  readonly rows: readonly ActorRecord[];
  /** Keys that had no row. */
  readonly absent: readonly string[];
}

interface Before {
  readonly rows: OldRows;
  readonly cascade: string | undefined;
  readonly sequence: number;
}

interface RedoText {
  readonly isFirst: boolean;
  readonly sequence: number;
  readonly cascade: string | null;
  readonly stimuli: readonly string[];
  readonly rows: readonly ActorRecord[];
  readonly absent: readonly string[];
}

/** The rows of what changed as they are in the store. */
export function oldRows(changed: Iterable<Actor>, gone: Iterable<Actor>): OldRows {
  const actors = [...new Set([...changed, ...gone])];
  return {
    rows: actors.flatMap(({ row }) => row ?? []).map(({ key, status, body, output, checksum }) => ({ key, status, body, output, checksum })),
    absent: actors.filter(({ row }) => row === undefined).map(({ key }) => key),
  };
}

export function redoText(stimuli: readonly string[], { rows, cascade, sequence }: Before, isFirst: boolean): string {
  const text: RedoText = { isFirst, sequence, cascade: cascade ?? null, stimuli, ...rows };
  return JSON.stringify(text);
}

/** Computes the commit again, in a run that nobody hosts. */
export function actsOf({ text, rows = [] }: Redo, runId: string, make: (from: { readonly input: string } | StoredMachineRun) => MachineRun): MachineRun {
  const redo = JSON.parse(text) as RedoText;
  const isReplaced = new Set([...redo.absent, ...redo.rows.map(({ key }) => key), CASCADE_KEY]);
  const old = [...redo.rows, ...(redo.cascade === null ? [] : [valueRow(runId, CASCADE_KEY, redo.cascade)])];
  const before = [...rows.filter(({ key }) => !isReplaced.has(key)), ...old.map((row) => ({ ...row, commitNo: 0 }))];
  const input = rows.find(({ key }) => key === INPUT_KEY)?.output ?? "null";
  const scratch = make(redo.isFirst ? { input } : { commitNo: 0, sequence: redo.sequence, rows: before });
  for (const stimulus of redo.stimuli) {
    const again = stimulusOf(stimulus, scratch.table);
    if (again !== undefined) scratch.apply(again);
  }
  return scratch;
}
