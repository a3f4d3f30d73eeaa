/**
 * The newest calls of a breaker that goes by rates, beside its machine: so many, or those of so long, in buckets.
 */
import type { Tally } from "../../machines/breaker.ts";
import type { RatePolicy } from "../define/breaker.ts";

/** A window of time moves on by so many parts of its length. */
const BUCKETS = 10;

/** As it is stored: a letter for each call, the oldest first; or buckets by their number. */
export type CallWindow = string | readonly Bucket[];

interface Bucket extends Tally {
  readonly number: number;
}

/** Fine, slow, failed, failed and slow. */
const LETTERS = ["f", "s", "x", "X"] as const;

/** The window with one call more. `at` does not go back. */
export function withCall(policy: RatePolicy, window: CallWindow | undefined, call: { at: number; failed: boolean; durationMs: number }): CallWindow {
  const slow = policy.slowCallMs !== undefined && call.durationMs >= policy.slowCallMs;
  if ("calls" in policy.window) {
    const before = typeof window === "string" ? window : "";
    return (before + LETTERS[(call.failed ? 2 : 0) + (slow ? 1 : 0)]!).slice(-policy.window.calls);
  }
  const number = Math.floor(call.at / (policy.window.timeMs / BUCKETS));
  const kept = (typeof window === "object" ? window : []).filter((bucket) => bucket.number > number - BUCKETS);
  const newest = kept.at(-1)?.number === number ? kept.pop()! : { number, calls: 0, failures: 0, slow: 0 };
  return [...kept, { number, calls: newest.calls + 1, failures: newest.failures + (call.failed ? 1 : 0), slow: newest.slow + (slow ? 1 : 0) }];
}

export function tallyOf(window: CallWindow | undefined): Tally {
  if (typeof window !== "object") {
    const letters = window ?? "";
    const count = (pattern: RegExp): number => letters.match(pattern)?.length ?? 0;
    return { calls: letters.length, failures: count(/x/gi), slow: count(/[sX]/g) };
  }
  const sum = (field: keyof Tally): number => window.reduce((total, bucket) => total + bucket[field], 0);
  return { calls: sum("calls"), failures: sum("failures"), slow: sum("slow") };
}
