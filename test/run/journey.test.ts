/**
 * A saga of twenty nodes of every kind is undone to the end, whatever dies when: before and after every commit, then before and
 * after every commit of what follows.
 */
import { expect, test } from "vitest";
import { cases } from "../sim/cases.ts";
import { type Death, deathsAt, travel } from "../sim/journey-room.ts";
import { seededRandom } from "../sim/random.ts";

const played = (deaths: readonly Death[]): ReturnType<typeof travel> =>
  travel(deaths).catch((error: unknown) => {
    const when = deaths.map(({ fault, group }) => `${fault} ${group}`).join(", ");
    throw new Error(`with ${when}: ${(error as Error).message}`, { cause: error });
  });

test("a journey of twenty bookings is undone in order, each once in a life, whatever two commits its processes die at", async () => {
  const { seed, numRuns: secondsMax } = cases({ short: 1, long: Infinity });
  const random = seededRandom(seed);
  const calm = await played([]);
  expect(calm).toMatchObject({ lives: 1, undone: 24 });
  let [plays, again, lives] = [0, 0, 0];
  for (const first of deathsAt(calm.groups)) {
    const once = await played([first]);
    const seconds = deathsAt(once.groups);
    const chosen = secondsMax >= seconds.length ? seconds : Array.from({ length: secondsMax }, () => seconds[Math.trunc(random.next() * seconds.length)]!);
    for (const played of [once, ...(await eachOf(chosen, (second) => playedTwice(first, second)))]) {
      plays++;
      if (played.undone > calm.undone) again++;
      lives += played.lives;
    }
  }
  console.log(`${calm.groups} groups of commits, ${plays} journeys with ${lives - plays} deaths; in ${again} something was undone again`);
  expect(again).toBeGreaterThan(0);
}, 1_800_000);

const playedTwice = (first: Death, second: Death): ReturnType<typeof travel> => played([first, second]);

async function eachOf<T, Result>(values: readonly T[], of: (value: T) => Promise<Result>): Promise<Result[]> {
  const all: Result[] = [];
  for (const value of values) all.push(await of(value));
  return all;
}
