/**
 * From rows to a run in memory. Every row is checked before a machine sees it.
 */
import type { Plan } from "../define/plan.ts";
import { PawlError } from "../errors.ts";
import type { RunRecord, StoredActor } from "../store/store.ts";
import { scaledPlan } from "../define/scaled-plan.ts";
import { DagRun } from "./dag-run.ts";
import type { RunSeams } from "./hosted-run.ts";
import { NO_LANE } from "./lane.ts";
import type { MachineDefinition } from "./machine-definition.ts";
import { MachineRun } from "./machine-run.ts";
import { migratedRows } from "./migrate.ts";
import type { StoredRun } from "./node-actor.ts";
import { INPUT_KEY, openActorRow, openRunRow } from "./row.ts";
import { readNodes, readStages } from "./stored-nodes.ts";

export function loadDag(record: RunRecord, rows: readonly StoredActor[], plan: Plan, seams: RunSeams): DagRun {
  const body = openRunRow(record);
  const { commitNo, wakeAt } = record;
  const stored: StoredRun = {
    body,
    commitNo,
    wakeAt,
    ...readNodes(record, rows, scaledPlan(plan, seams.attempts.timeoutMultiplier)),
    stages: readStages(record, rows),
  };
  return new DagRun(record.id, plan, inputOf(record, rows), body.lane ?? NO_LANE, seams, stored);
}

/** Brings a machine run back; `stored` is the text of its own definition when that is another than this. */
export function loadMachine(record: RunRecord, rows: readonly StoredActor[], definition: MachineDefinition, seams: RunSeams, stored?: string): MachineRun {
  const { state, sequence = 0, terminated = false, lane } = openRunRow(record);
  const { commitNo, wakeAt } = record;
  if (state === "pending") return new MachineRun(record.id, definition, seams, { input: inputOf(record, rows), commitNo, lane });
  const isOther = stored !== undefined && record.definition !== definition.hash;
  const run = new MachineRun(record.id, definition, seams, {
    commitNo,
    sequence,
    rows: isOther ? migratedRows(record, rows, definition, stored) : rows,
    isPaused: state === "paused",
    isTerminated: terminated,
    lane,
    wakeAt,
  });
  if (isOther) run.migrated();
  return run;
}

/** The text of the run's input, checked. */
function inputOf({ id }: RunRecord, rows: readonly StoredActor[]): string {
  const input = rows.find((row) => row.key === INPUT_KEY);
  if (input?.output == null) throw new PawlError("PAWL_ROW_CORRUPT", { message: `run "${id}" has no input row` });
  openActorRow(id, input);
  return input.output;
}
