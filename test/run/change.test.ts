/**
 * What can be changed while a process runs.
 */
import { expect, test } from "vitest";
import { z } from "zod";
import { agent, open, workflow } from "../../src/index.ts";

const input = z.object({});

test("the number of attempts that run at the same time can be raised and lowered while they run", async () => {
  const running: (() => void)[] = [];
  let most = 0;
  let told = (): void => {};
  const gated = agent({
    name: "gated",
    input,
    output: z.null(),
    run: () =>
      new Promise<null>((resolve) => {
        most = Math.max(
          most,
          running.push(() => resolve(null)),
        );
        told();
      }),
  });
  const flow = workflow({ name: "flow", input }, (wf) => {
    for (let i = 0; i < 12; i++) wf.node(`n${i}`, gated, {});
    return {};
  });
  const until = async (count: number): Promise<void> => {
    while (running.length < count) await new Promise<void>((resolve) => (told = resolve));
  };
  await using pawl = await open(":memory:", { workflows: [flow], maxConcurrentAttempts: 2 });
  const run = await pawl.start(flow, { input: {} });
  await until(2);
  pawl.change({ maxConcurrentAttempts: 5 });
  await until(5);
  expect(most).toBe(5);
  pawl.change({ maxConcurrentAttempts: 1 });
  for (const end of running.splice(0, 4)) end();
  await pawl.reconcile();
  expect(running).toHaveLength(1);
  most = 0;
  for (let left = 12 - 4; left > 0; left--) {
    await until(1);
    running.shift()!();
  }
  expect(await run.result()).toEqual({});
  expect(most).toBe(1);
  for (const wrong of [0, 1.5, Number.NaN])
    expect(() => pawl.change({ maxConcurrentAttempts: wrong })).toThrow(expect.objectContaining({ code: "PAWL_INVALID_VALUE" }));
});
