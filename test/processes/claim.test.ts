/**
 * Who takes on which run, among several workers on one file.
 */
import { expect, test } from "vitest";
import { crew } from "./crew.ts";
import { flows } from "./flows.ts";
import { rounds } from "./rounds.ts";
import { Stage } from "./stage.ts";

test("two workers that open at the same instant share what is nobody's, and no node is called twice", async () => {
  let calls: number[] = [];
  await rounds({ short: 2, long: 200 }, async () => {
    const stage = await Stage.make(crew);
    await stage.mills(150);
    const members = [await stage.hire(), await stage.hire()];
    await Promise.all(members.map((member) => member.order(stage.opening({ attempts: 20 }))));
    await stage.end();
    const lines = stage.eyes.lines();
    calls = members.map(({ pid }, i) => (calls[i] ?? 0) + lines.filter((line) => line.pid === pid).length);
  });
  console.log(`calls of each: ${calls.join(" ")}`);
  expect(Math.min(...calls)).toBeGreaterThan(0);
}, 1_800_000);

test("two workers with different workflows take on their own only; a run that nobody knows waits until somebody does", async () => {
  await rounds({ short: 2, long: 200 }, async (chance) => {
    const stage = await Stage.make(crew);
    const [own, foreign] = [await stage.worker({ flows: ["mill"] }), await stage.worker({ flows: ["foreign"] })];
    const mills = await stage.mills(chance.between(1, 8));
    const unknown = await stage.client.start(flows.held, { id: "unknown", input: { gate: stage.gate } });
    const foreigners = await stage.mills(chance.between(1, 8), "foreign");
    await stage.until(() => stage.eyes.unfinished() === 1, "all but the unknown run have ended");
    expect(await unknown.status()).toMatchObject({ status: "pending", commitNo: 1 });
    for (const { run, pid } of stage.eyes.lines()) {
      if (mills.includes(run)) expect(pid).toBe(own.pid);
      if (foreigners.includes(run)) expect(pid).toBe(foreign.pid);
    }
    stage.openGate();
    await stage.worker({ flows: ["held"] });
    expect(await unknown.ended()).toMatchObject({ status: "completed" });
    await stage.end();
  });
}, 1_800_000);
