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

/** Every so many of the journeys with one death are made with a second, in the short form; in the long form all are, with each. */
const AGAIN_EVERY = 4;

test("a journey of twenty bookings is undone in order, each once in a life, whatever two commits its processes die at", async () => {
  const { seed, numRuns: seconds } = cases({ short: 1, long: Infinity });
  const random = seededRandom(seed);
  const calm = await played([]);
  expect(calm).toMatchObject({ lives: 1, undone: 24 });
  const all = [calm];
  for (const [i, first] of deathsAt(calm.groups).entries()) {
    const once = await played([first]);
    all.push(once);
    const next = deathsAt(once.groups);
    const isAgain = (i + seed) % AGAIN_EVERY === 0;
    const chosen = seconds === Infinity ? next : isAgain ? [next[Math.trunc(random.next() * next.length)]!] : [];
    for (const second of chosen) all.push(await played([first, second]));
  }
  const deaths = all.reduce((sum, { lives }) => sum + lives - 1, 0);
  const again = all.filter(({ undone }) => undone > calm.undone).length;
  console.log(`${calm.groups} groups of commits, ${all.length} journeys with ${deaths} deaths; in ${again} something was undone again`);
  expect(deaths).toBeGreaterThanOrEqual(2 * calm.groups - 2);
  expect(again).toBeGreaterThan(0);
}, 1_800_000);
