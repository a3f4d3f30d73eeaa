/**
 * An agent that is limited, called by workers of which some are killed: as its calls are witnessed by what it writes down
 * itself, there are never more at once, nor within a time, than it may have; and all of them are made.
 */
import { afterAll, expect, test } from "vitest";
import { Crew, type Member } from "./crew.ts";
import { TAP } from "./flows.ts";
import type { Line } from "./inspector.ts";
import { rounds } from "./rounds.ts";
import { type Departure, Stage } from "./stage.ts";

const TAPS = { flows: ["taps"] } as const;
const RUNS = 4;
/** Clocks by which lines and commits are dated differ by less. */
const SLACK_MS = 20;
const crew = new Crew();
afterAll(() => crew.dismiss());

test("workers that are killed never call an agent more often than its limits say, and every call is made", async () => {
  const most: number[] = [];
  await rounds({ short: 2, long: 100 }, async (chance) => {
    const stage = await Stage.make(crew);
    const workers: Member[] = [];
    for (let n = chance.between(2, 3); n > 0; n--) workers.push(await stage.worker(TAPS));
    const runs = await stage.taps(RUNS);
    for (let seen = chance.between(1, 30); seen < 2 * RUNS * TAP.nodes; seen += chance.between(10, 50)) {
      await stage.calls(seen);
      const [dying] = workers.splice(chance.between(0, workers.length - 1), 1);
      await stage.kill(dying!);
      workers.push(await stage.worker(TAPS));
    }
    await stage.finished();
    const granted = await grantsOf(stage, runs);
    const lines = stage.eyes.lines();
    for (const id of runs) expect(await (await stage.client.run(id)).status()).toMatchObject({ status: "completed" });
    most.push(mostAtOnce(lines, stage.departures));
    checkWindow(lines, granted);
    await stage.end();
  });
  // it is used as far as it may be
  expect(Math.max(...most)).toBe(TAP.concurrency);
}, 1_800_000);

/** When attempts were granted, in order: calls come after. */
async function grantsOf({ client }: Stage, runs: readonly string[]): Promise<number[]> {
  const granted: number[] = [];
  for (const id of runs)
    for await (const { at, events } of (await client.run(id)).history()) for (const { type } of events) if (type === "node.started") granted.push(at);
  return granted.sort((a, b) => a - b);
}

/** Calls of a process are over when it is killed. */
function mostAtOnce(lines: readonly Line[], departures: readonly Departure[]): number {
  const running = new Map<string, Line>();
  let most = 0;
  for (const line of lines) {
    const call = `${line.run}/${line.node}/${line.pid}`;
    if (line.what !== "start") running.delete(call);
    else running.set(call, line);
    const isDead = ({ pid }: Line): boolean => departures.some((departure) => departure.pid === pid && departure.at <= line.at);
    most = Math.max(most, [...running.values()].filter((each) => !isDead(each)).length);
  }
  return most;
}

/** No call is made before as many others count no more as fill the window. */
function checkWindow(lines: readonly Line[], granted: readonly number[]): void {
  const { max } = TAP.limits.drops;
  const starts = lines
    .filter(({ what }) => what === "start")
    .map(({ at }) => at)
    .sort((a, b) => a - b);
  const early = starts.slice(max).filter((at, i) => at + SLACK_MS < granted[i]! + TAP.perMs);
  expect(early).toEqual([]);
}
