/**
 * An example that is killed at random moments, and started again, until it is left alone: each life is killed when the store
 * has so many more commits, or something else has happened, and a little later.
 */
import { setTimeout as passes } from "node:timers/promises";
import type { Chance } from "../processes/rounds.ts";
import { type Ended, type Example, until } from "./example-process.ts";
import { commitsIn } from "./witness.ts";

export interface Kills {
  readonly store: string;
  readonly start: () => Example;
  readonly chance: Chance;
  /** Lives that are killed; the one after them is not. */
  readonly kills: number;
  /** Commits that a whole run makes, about. */
  readonly commits: number;
  /** Changes whenever something happens outside of the store that is worth a kill. */
  readonly world?: () => unknown;
  /** Nothing lives now: what that life has said. */
  readonly died: (output: string) => void;
}

/** Answers the end of the last life. One that ended before its moment came is the last. */
export async function killAtRandom({ store, start, chance, kills, commits, world, died }: Kills): Promise<Ended> {
  for (let kill = 0; kill < kills; kill++) {
    const example = start();
    const enough = commitsIn(store) + chance.between(0, Math.ceil(commits / kills) + 1);
    const before = world?.();
    const isOfTheWorld = world !== undefined && chance.between(1, 3) > 1;
    const laterMs = chance.between(0, isOfTheWorld ? 10 : 150);
    const isTime = (): boolean => (isOfTheWorld ? world() !== before : commitsIn(store) >= enough);
    const ended = await Promise.race([example.ended, until(example, isTime).catch(() => example.ended)]);
    if (ended !== undefined) return ended;
    if ((await Promise.race([example.ended, passes(laterMs)])) !== undefined) return example.ended;
    await example.kill("group");
    died((await example.ended).output);
  }
  return start().ended;
}
