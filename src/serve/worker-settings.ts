/**
 * How a worker works, beside what it is given to execute: each setting by a flag, or by a variable of the environment.
 */
import { environmentVariable } from "../environment.ts";
import type { OpenOptions } from "../index.ts";
import { problemOf } from "./problem.ts";

/** As they were typed. */
export interface WorkerFlags {
  readonly timeoutMultiplier?: string;
  readonly maxAttempts?: string;
  readonly maxActiveRuns?: string;
  readonly stallAfter?: string;
}

type Settings = Pick<OpenOptions, "timeoutMultiplier" | "maxConcurrentAttempts" | "maxActiveRuns" | "stallAfter">;

const NUMBER_MAX = 100_000;
const MULTIPLIER_MAX = 1_000;
const LENGTH = /^\d+(\.\d+)?(ms|s|m|h|d)$/;

/** The flags, or else the environment; what neither says is left to its default. @throws PAWL_USAGE */
export function workerSettings({ timeoutMultiplier, maxAttempts, maxActiveRuns, stallAfter }: WorkerFlags): Settings {
  const multiplier = setting("--timeout-multiplier", timeoutMultiplier, "a number above 0, at most 1000", (text) => {
    const value = Number(text);
    return value > 0 && value <= MULTIPLIER_MAX ? value : undefined;
  });
  const attempts = numberSetting("--max-attempts", maxAttempts);
  const runs = numberSetting("--max-active-runs", maxActiveRuns);
  const stall = setting("--stall-after", stallAfter, "90s, 10m or 2h", (text) => (LENGTH.test(text) ? (text as `${number}m`) : undefined));
  return {
    ...(multiplier !== undefined && { timeoutMultiplier: multiplier }),
    ...(attempts !== undefined && { maxConcurrentAttempts: attempts }),
    ...(runs !== undefined && { maxActiveRuns: runs }),
    ...(stall !== undefined && { stallAfter: stall }),
  };
}

function numberSetting(flag: string, typed: string | undefined): number | undefined {
  return setting(flag, typed, "a whole number from 1 to 100000", (text) => {
    const value = Number(text);
    return /^\d+$/.test(text) && value >= 1 && value <= NUMBER_MAX ? value : undefined;
  });
}

/** `--max-attempts` is PAWL_MAX_ATTEMPTS in the environment. */
function setting<T>(flag: string, typed: string | undefined, form: string, read: (text: string) => T | undefined): T | undefined {
  const variable = `PAWL_${flag.slice(2).toUpperCase().replaceAll("-", "_")}`;
  const text = typed ?? environmentVariable(variable);
  if (text === undefined) return undefined;
  const value = read(text);
  if (value === undefined) throw problemOf("PAWL_USAGE", `${typed === undefined ? variable : flag} is "${text}"`, `write ${form}`);
  return value;
}
