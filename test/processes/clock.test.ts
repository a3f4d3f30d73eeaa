/**
 * The wall clock jumps while two workers run and one is killed: who is alive, and what is done, is told by no wall clock.
 */
import { test } from "vitest";
import { crew } from "./crew.ts";
import { rounds } from "./rounds.ts";
import { Stage } from "./stage.ts";

const HOUR_MS = 3_600_000;

test("the wall clock jumps by an hour under load, forth or back, and one of two workers is killed: the other finishes all", async () => {
  await rounds({ short: 2, long: 200 }, async (chance) => {
    const stage = await Stage.make(crew);
    const workers = [await stage.worker(), await stage.worker()];
    await stage.mills(20);
    await stage.calls(chance.between(1, 80));
    const byMs = chance.of([HOUR_MS, -HOUR_MS]);
    for (const worker of workers) await worker.order({ do: "jump", byMs });
    const killed = chance.between(0, 1);
    await stage.calls(chance.between(80, 180));
    await stage.kill(workers[killed]!);
    await workers[1 - killed]!.order({ do: "jump", byMs: chance.of([HOUR_MS, -HOUR_MS, 0]) });
    await stage.end();
  });
}, 1_800_000);
