/**
 * From rows to a run in memory. Every row is checked before a machine sees it.
 */
import type { Plan } from "../define/plan.ts";
import type { Clock } from "../clock.ts";
import type { Log } from "../define/agent.ts";
import { PawlError, isPawlError } from "../errors.ts";
import type { RunRecord, StoredActor } from "../store/store.ts";
import { DagRun } from "./dag-run.ts";
import type { RunSeams } from "./hosted-run.ts";
import type { MachineDefinition } from "./machine-definition.ts";
import { MachineRun } from "./machine-run.ts";
import { migratedRows } from "./migrate.ts";
import type { StoredRun } from "./node-actor.ts";
import { INPUT_KEY, openActorRow, openRunRow } from "./row.ts";
import { readNodes } from "./stored-nodes.ts";

/** A read that failed is tried again after this. */
const READ_AGAIN_MS = 1_000;

export function loadDag(record: RunRecord, rows: readonly StoredActor[], plan: Plan, seams: RunSeams): DagRun {
  const body = openRunRow(record);
  const { commitNo, wakeAt } = record;
  const stored: StoredRun = { body, commitNo, wakeAt, ...readNodes(record, rows, plan) };
  return new DagRun(record.id, plan, inputOf(record, rows), seams, stored);
}

/** Brings a machine run back; `stored` is the text of its own definition when that is another than this. */
export function loadMachine(record: RunRecord, rows: readonly StoredActor[], definition: MachineDefinition, seams: RunSeams, stored?: string): MachineRun {
  const { state, sequence = 0, terminated = false } = openRunRow(record);
  const { commitNo, wakeAt } = record;
  if (state === "pending") return new MachineRun(record.id, definition, seams, { input: inputOf(record, rows), commitNo });
  const isOther = stored !== undefined && record.definition !== definition.hash;
  const run = new MachineRun(record.id, definition, seams, {
    commitNo,
    sequence,
    rows: isOther ? migratedRows(record, rows, definition, stored) : rows,
    isPaused: state === "paused",
    isTerminated: terminated,
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

/** Reads rows until they are read: a read that fails for a moment harms no run. A failure of the store is none of these. */
async function readAgain(read: () => Promise<StoredActor[]>, clock: Clock, log: Log): Promise<StoredActor[]> {
  for (;;) {
    try {
      return await read();
    } catch (error) {
      if (isPawlError(error)) throw error;
      log.warn({ error }, "results will be read again");
      await new Promise<void>((resolve) => clock.after(READ_AGAIN_MS, resolve));
    }
  }
}

/** Results of nodes, checked, in the order of the keys. */
export async function readOutputs(read: () => Promise<StoredActor[]>, runId: string, keys: readonly string[], clock: Clock, log: Log): Promise<string[]> {
  const rows = new Map((await readAgain(read, clock, log)).map((row) => [row.key, row]));
  return keys.map((key) => {
    const row = rows.get(key);
    if (row === undefined || row.output === null)
      throw new PawlError("PAWL_ROW_CORRUPT", { message: `the result of node "${key}" of run "${runId}" is missing` });
    openActorRow(runId, row);
    return row.output;
  });
}
