/**
 * A machine of plain xstate code, killed in each of its states, goes on from there.
 */
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../temporary-folder.ts";
import { runExample, startExample, until } from "./example-process.ts";
import { storedState } from "./witness.ts";

const EXAMPLE = "examples/any-machine/main.ts";

test("killed while it waits for a timer, a promise and a child, the machine goes on from where it was", async () => {
  const store = join(temporaryFolder().path, "pawl.db");
  for (const state of ["dough", "oven", "onTheWay"]) {
    const example = startExample(EXAMPLE, [store]);
    await until(example, () => storedState(store, "pizza") === state);
    await example.kill("group");
  }
  const { code, output } = await runExample(EXAMPLE, [store]);
  expect(code, output).toBe(0);
  expect(output).toBe("it begins with onTheWay\neaten\nit was crisp\n");
  expect((await runExample(EXAMPLE, [store])).output).toBe("it begins with eaten\nit was crisp\n");
});
