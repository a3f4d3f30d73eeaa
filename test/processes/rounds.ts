/**
 * Rounds of a scenario, two at a time on files of their own, each with a seed by which it can be played again.
 */
import { cases } from "../sim/cases.ts";
import { seededRandom } from "../sim/random.ts";

const LANES = 2;

export interface Chance {
  /** A whole number from `low` to `high`. */
  between(low: number, high: number): number;
  of<T>(values: readonly T[]): T;
}

export async function rounds(counts: { readonly short: number; readonly long: number }, play: (chance: Chance, round: number) => Promise<void>): Promise<void> {
  const { numRuns, seed } = cases(counts);
  let next = 0;
  const state = { hasFailed: false };
  const lane = async (): Promise<void> => {
    for (let round = next++; round < numRuns && !state.hasFailed; round = next++)
      await play(chanceOf(seed + round), round).catch((error: unknown) => {
        state.hasFailed = true;
        throw new Error(`round ${round} of ${numRuns}; PAWL_SEED=${seed + round} makes it the first: ${(error as Error).message}`, { cause: error });
      });
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

function chanceOf(seed: number): Chance {
  const random = seededRandom(seed);
  const between = (low: number, high: number): number => low + Math.trunc(random.next() * (high - low + 1));
  return { between, of: (values) => values[between(0, values.length - 1)]! };
}
