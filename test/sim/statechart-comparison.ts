/**
 * Whether a durable trace agrees with the live one: the same states after each step; without crashes the same actions in the same order;
 * with crashes each action at least once, in an order that becomes the live one when what was repeated is left out.
 */
import { isDeepStrictEqual } from "node:util";
import type { Trace } from "./statechart-trace.ts";

/** The first difference in words, or `undefined`. */
export function differenceOf(live: Trace, durable: Trace): string | undefined {
  const step = live.states.findIndex((state, i) => !isDeepStrictEqual(state, durable.states[i]));
  if (step >= 0) return `after step ${step}\n  live    ${JSON.stringify(live.states[step])}\n  durable ${JSON.stringify(durable.states[step])}`;
  if (repeatsNeeded(live.actions, durable.actions) <= durable.crashes) return undefined;
  return `in the actions, with ${durable.crashes} crashes\n  live    ${live.actions.join(" | ")}\n  durable ${durable.actions.join(" | ")}`;
}

/**
 * How often `done` must go back to something earlier to be a walk over `wanted` from its start to its end that leaves nothing out.
 * Infinity when it is no such walk.
 */
export function repeatsNeeded(wanted: readonly string[], done: readonly string[]): number {
  // backs[i]: the least number of steps back with which the walk stands right before wanted[i].
  let backs: number[] = [0, ...wanted.map(() => Infinity)];
  for (const action of done) {
    let leastBeyond = Infinity;
    const next = [...wanted.map(() => Infinity), Infinity];
    for (let at = wanted.length - 1; at >= 0; at--) {
      leastBeyond = Math.min(leastBeyond, backs[at + 1]!);
      if (wanted[at] === action) next[at + 1] = Math.min(backs[at]!, leastBeyond + 1);
    }
    backs = next;
  }
  return backs[wanted.length]!;
}
