/**
 * Agents that are models, killed by SIGKILL in the middle of their calls: no call whose answer was on the disk is made again.
 */
import { join } from "node:path";
import { expect, test } from "vitest";
import { seededRandom } from "../sim/random.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { type Example, startExample, until } from "./example-process.ts";
import { durableSteps } from "./witness.ts";

const KILLS = process.env["PAWL_CASES"] === "long" ? 5 : 3;
const LOOP = ["model-1", "tool-1.1", "model-2", "tool-2.1", "tool-2.2", "model-3"];
const TOLD = ["plan model-1", ...[0, 1, 2].flatMap((i) => LOOP.map((step) => `research[${i}] ${step}`))];
/** What the writer says is streamed instead. */
const STEPS = [...TOLD, "report model-1"];

/** The calls that it says it makes, each as `<node> <step>`. */
function callsIn(output: string): string[] {
  return [...output.matchAll(/^(\S+) +((?:model|tool)-[\d.]+) /gm)].map(([, node, step]) => `${node} ${step}`);
}

test("killed at random moments it comes to the same report, and no call that was on the disk is made again", async () => {
  const seed = process.env["PAWL_SEED"] === undefined ? Math.trunc(Math.random() * 2 ** 31) : Number(process.env["PAWL_SEED"]);
  console.log(`seed ${seed}`);
  const random = seededRandom(seed);
  const store = join(temporaryFolder().path, "research.db");
  const start = (): Example => startExample("examples/deep-research/main.ts", ["--id", "r", "--store", store]);
  const lives: string[][] = [];
  const durable: ReadonlySet<string>[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    const example = start();
    const isSaid = random.next() < 0.5; // a call that was made and is not on the disk yet, or one that is
    const before = durable.at(-1)?.size ?? 0;
    const more = Math.min(Math.trunc(random.next() * 6), TOLD.length - 1 - before);
    await until(example, () => (isSaid ? callsIn(example.printed()).length : durableSteps(store, "r").size - before) >= more);
    await example.kill("group");
    lives.push(callsIn((await example.ended).output));
    durable.push(durableSteps(store, "r"));
  }
  const { code, output } = await start().ended;
  expect(code, output).toBe(0);
  lives.push(callsIn(output));
  expect(durableSteps(store, "r")).toEqual(new Set(STEPS));
  for (const [i, kept] of durable.entries())
    expect(
      lives.slice(i + 1).filter((life) => life.some((call) => kept.has(call))),
      `after kill ${i + 1}`,
    ).toEqual([]);
  for (const life of lives) expect(life).toEqual([...new Set(life)]);
  expect(new Set(lives.flat())).toEqual(new Set(TOLD));
  expect(output).toMatch(/^A pawl is a small lever .*\n\nA socket wrench is .*\n\nHow far .*\n\nSources: pawl, ratchet, wrench, winch, backlash, two pawls$/m);

  const again = await start().ended;
  expect(again.code, again.output).toBe(0);
  expect(callsIn(again.output)).toEqual([]);
  expect(again.output).toContain("Sources: pawl, ratchet");
});
