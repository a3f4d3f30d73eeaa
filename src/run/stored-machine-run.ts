/**
 * How a machine run begins in memory: anew, or as rows tell it.
 */
import type { StoredActor } from "../store/store.ts";
import type { Lane } from "./lane.ts";
import { CASCADE_KEY, INPUT_KEY, OUTPUT_KEY, REDO_KEY } from "./row.ts";

/** A machine run as rows tell it. */
export interface StoredMachineRun {
  readonly commitNo: number;
  /** The run's counter. */
  readonly sequence: number;
  readonly rows: readonly StoredActor[];
  readonly isPaused?: boolean;
  readonly isTerminated?: boolean;
  /** As the store has it. */
  readonly wakeAt?: number | null;
  readonly lane?: Lane | undefined;
}

/** A run that has not begun; its first commit may be there already. */
export interface NewMachineRun {
  readonly input: string;
  readonly commitNo?: number;
  readonly lane?: Lane | undefined;
}

const VALUE_KEYS: ReadonlySet<string> = new Set([INPUT_KEY, OUTPUT_KEY, REDO_KEY, CASCADE_KEY]);

export function actorRows(rows: readonly StoredActor[]): StoredActor[] {
  return rows.filter(({ key }) => !VALUE_KEYS.has(key));
}

export function valueIn(rows: readonly StoredActor[], key: string): string | undefined {
  return rows.find((row) => row.key === key)?.output ?? undefined;
}
