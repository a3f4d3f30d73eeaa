/**
 * Workers that are killed beside others: what they had is gone on with, and nothing that was done is done again.
 */
import { expect, test } from "vitest";
import { type Member, crew } from "./crew.ts";
import { type Chance, rounds } from "./rounds.ts";
import { Stage, type WorkerOptions } from "./stage.ts";

const JOURNEYS: WorkerOptions = { flows: ["journey", "policy", "tour"] };
/** So many lines are written of a journey, whatever happens. */
const LINES_MIN = 90;

test("one of two workers is killed under load: the other goes on with its runs, and finishes all", async () => {
  const takeOversMs: number[] = [];
  await rounds({ short: 3, long: 200 }, async (chance) => {
    const stage = await Stage.make(crew);
    const workers = [await stage.worker(), await stage.worker()];
    await stage.mills(20);
    await stage.calls(chance.between(1, 60));
    const death = await stage.kill(chance.of(workers));
    await stage.end();
    const takeOverMs = stage.takeOverMs(death);
    if (takeOverMs !== undefined) takeOversMs.push(takeOverMs);
  });
  takeOversMs.sort((a, b) => a - b);
  console.log(`taken over after ${takeOversMs.map(Math.round).join(" ")} ms`);
  expect(takeOversMs.length).toBeGreaterThan(0);
}, 1_800_000);

test("two of three workers are killed, the second while it takes over what the first had: the third finishes all", async () => {
  const died = { whileTakingOver: 0 };
  const round = async (chance: Chance): Promise<void> => {
    const stage = await Stage.make(crew);
    const [first, second] = [await stage.worker(), await stage.worker()];
    await stage.worker();
    await stage.mills(24);
    await stage.calls(chance.between(10, 60));
    const [claims, loads] = ["SET epoch = \\?1", "FROM actor WHERE run_id = \\? AND key >= "];
    await stage.dies(second, chance.between(1, 6), chance.of([claims, loads]));
    const firstDied = stage.kill(first);
    await Promise.race([second.ended, stage.finished()]);
    await firstDied;
    if (stage.eyes.unfinished() > 0) died.whileTakingOver++;
    await stage.kill(second);
    await stage.end();
  };
  await rounds({ short: 3, long: 200 }, round);
  // when it dies is up to the machine: until one has died in the middle nothing was shown
  for (let more = 0; died.whileTakingOver === 0 && more < 30; more++) await rounds({ short: 1, long: 1 }, round);
  console.log(`${died.whileTakingOver} died before all was done`);
  expect(died.whileTakingOver).toBeGreaterThan(0);
}, 1_800_000);

test("workers are killed again and again while a journey of twenty bookings is made, and undone: all of it is undone, in order", async () => {
  let [again, kills] = [0, 0];
  await rounds({ short: 2, long: 50 }, async (chance) => {
    const stage = await Stage.make(crew);
    const workers = [await stage.worker(JOURNEYS), await stage.worker(JOURNEYS)];
    const id = await stage.journey();
    // the first to die is the one that has it
    let victim = async (): Promise<Member> => (await stage.until(() => ownerOf(stage, id, workers), "somebody has it"), ownerOf(stage, id, workers)!);
    for (let seen = chance.between(1, LINES_MIN); seen <= LINES_MIN; seen += chance.between(1, LINES_MIN)) {
      await stage.calls(seen);
      const dying = await victim();
      const { runs } = await stage.kill(dying);
      if (runs.size > 0) kills++;
      workers.splice(workers.indexOf(dying), 1, await stage.worker(JOURNEYS));
      victim = () => Promise.resolve(chance.of(workers));
    }
    await stage.finished();
    const undos = stage.eyes.seenOf(id).filter(({ what, node }) => what === "start" && node.endsWith("[undo]"));
    if (new Set(undos.map(({ node, run }) => `${run} ${node}`)).size + 1 < undos.length) again++;
    await stage.end();
  });
  console.log(`${kills} workers killed that had it; in ${again} journeys something was undone again`);
  expect(kills).toBeGreaterThan(0);
}, 1_800_000);

function ownerOf(stage: Stage, id: string, workers: readonly Member[]): Member | undefined {
  const [run] = stage.eyes.rows<{ epoch: number }>("SELECT epoch FROM run WHERE id = ?", id);
  return workers.find((worker) => stage.epochOf(worker) === run?.epoch);
}
