/**
 * How a worker works, beside what it is given to execute: each setting by a flag, or by a variable of the environment.
 */
import { environmentVariable } from "../environment.ts";
import type { LimitOptions, OpenOptions } from "../index.ts";
import { problemOf } from "./problem.ts";

/** As they were typed. */
export interface WorkerFlags {
  readonly timeoutMultiplier?: string;
  readonly maxConcurrentAttempts?: string;
  readonly maxActiveRuns?: string;
  readonly stallAfter?: string;
  /** Each as `name=max`, with `/60s` and `/tenant` behind it. */
  readonly limit?: readonly string[];
}

export type LimitsSetting = Pick<OpenOptions, "limits">;
type Settings = Pick<OpenOptions, "timeoutMultiplier" | "maxConcurrentAttempts" | "maxActiveRuns" | "stallAfter"> & LimitsSetting;

const NUMBER_MAX = 100_000;
const MULTIPLIER_MAX = 1_000;
const LIMITS_VARIABLE = "PAWL_LIMITS";
const LIMIT = /^(?<name>[^=/,\s]+)=(?<max>\d+)(?:\/(?<per>\d+(?:\.\d+)?(?:ms|s|m|h|d)))?(?<each>\/tenant)?$/;
const LIMIT_FORM = "write name=max[/per][/tenant], max from 1 on, per as 500ms, 60s, 5m or 1h: llmTokens=100000/60s, or dbConnections=50/tenant";
const LENGTH = /^\d+(\.\d+)?(ms|s|m|h|d)$/;

/** The flags, or else the environment; what neither says is left to its default. @throws PAWL_USAGE */
export function workerSettings({ timeoutMultiplier, maxConcurrentAttempts, maxActiveRuns, stallAfter, limit }: WorkerFlags): Settings {
  const multiplier = setting("--timeout-multiplier", timeoutMultiplier, "a number above 0, at most 1000", (text) => {
    const value = Number(text);
    return value > 0 && value <= MULTIPLIER_MAX ? value : undefined;
  });
  const attempts = numberSetting("--max-concurrent-attempts", maxConcurrentAttempts);
  const runs = numberSetting("--max-active-runs", maxActiveRuns);
  const stall = setting("--stall-after", stallAfter, "90s, 10m or 2h", (text) => (LENGTH.test(text) ? (text as `${number}m`) : undefined));
  return {
    ...(multiplier !== undefined && { timeoutMultiplier: multiplier }),
    ...(attempts !== undefined && { maxConcurrentAttempts: attempts }),
    ...(runs !== undefined && { maxActiveRuns: runs }),
    ...(stall !== undefined && { stallAfter: stall }),
    ...limitsSetting(limit),
  };
}

/** What is limited, by `--limit` or else by PAWL_LIMITS, where commas separate. Nothing when neither says. @throws PAWL_USAGE */
export function limitsSetting(typed: readonly string[] | undefined): LimitsSetting {
  const source = typed === undefined ? LIMITS_VARIABLE : "--limit";
  const texts = typed ?? environmentVariable(LIMITS_VARIABLE)?.split(",");
  if (texts === undefined) return {};
  const limits = new Map<string, LimitOptions>();
  for (const text of texts) {
    const said = LIMIT.exec(text.trim())?.groups;
    const max = Number(said?.["max"]);
    if (said === undefined || !Number.isSafeInteger(max) || max === 0 || Number.parseFloat(said["per"] ?? "1") === 0)
      throw problemOf("PAWL_USAGE", `${source} is "${text}"`, LIMIT_FORM);
    const { name, per, each } = said;
    if (limits.has(name!)) throw problemOf("PAWL_USAGE", `${source} names "${name}" twice`, "give each limit once");
    limits.set(name!, { max, ...(per !== undefined && { per: per as `${number}s` }), ...(each !== undefined && { each: "tenant" }) });
  }
  return { limits: Object.fromEntries(limits) };
}

function numberSetting(flag: string, typed: string | undefined): number | undefined {
  return setting(flag, typed, "a whole number from 1 to 100000", (text) => {
    const value = Number(text);
    return /^\d+$/.test(text) && value >= 1 && value <= NUMBER_MAX ? value : undefined;
  });
}

/** `--max-concurrent-attempts` is PAWL_MAX_CONCURRENT_ATTEMPTS in the environment. */
function setting<T>(flag: string, typed: string | undefined, form: string, read: (text: string) => T | undefined): T | undefined {
  const variable = `PAWL_${flag.slice(2).toUpperCase().replaceAll("-", "_")}`;
  const text = typed ?? environmentVariable(variable);
  if (text === undefined) return undefined;
  const value = read(text);
  if (value === undefined) throw problemOf("PAWL_USAGE", `${typed === undefined ? variable : flag} is "${text}"`, `write ${form}`);
  return value;
}
