/**
 * Schedules as an example: runs start by themselves; of what passed while nobody was there the last one is caught up with.
 */
import { join } from "node:path";
import { expect, test } from "vitest";
import { open } from "../../src/index.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { runExample } from "./example-process.ts";

const SAID = new RegExp(
  [
    /^each-second is next at \d{4}-.*Z/,
    /nightly is next at \d{4}-\d\d-\d\dT0[12]:00:00\.000Z/,
    ...Array.from({ length: 3 }, () => /each-second-\d{8}T\d{6}Z: nothing new about the second/),
    /$/,
  ]
    .map(({ source }) => source)
    .join("\n"),
);

test("a report is written each second, once, and goes on after a restart", async () => {
  const store = join(temporaryFolder().path, "pawl.db");
  for (const time of ["first", "second"]) {
    const { code, output } = await runExample("examples/nightly/main.ts", [store]);
    expect({ time, code, output }).toEqual({ time, code: 0, output: expect.stringMatching(SAID) as string });
  }
  await using pawl = await open(store, { execute: false });
  expect((await pawl.list()).length).toBeGreaterThanOrEqual(6);
  expect((await pawl.schedules()).map(({ name, isServed }) => [name, isServed])).toEqual([
    ["each-second", false],
    ["nightly", false],
  ]);
});
