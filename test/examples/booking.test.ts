/**
 * The example of a saga: what was booked is undone, the last first, and only once.
 */
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../temporary-folder.ts";
import { runExample } from "./example-process.ts";

const BOOKED = [
  "Porto:",
  "  booked flight in Porto (Porto/flight#1)",
  "  booked guesthouse in Porto (Porto/bed+1#1)",
  "  booked car in Porto (Porto/car#1)",
  "completed, not all of it as wished: flight in Porto, guesthouse in Porto, car in Porto",
  "Venice:",
  "  booked flight in Venice (Venice/flight#1)",
  "  booked guesthouse in Venice (Venice/bed+1#1)",
  "  cancelled guesthouse in Venice: no car is free in Venice",
  "  cancelled flight in Venice: no car is free in Venice",
  "failed: no car is free in Venice; all of it was undone",
  "",
];

test("a trip without a car is undone, and nothing is booked again", async () => {
  const store = ["--store", join(temporaryFolder().path, "trips.db")];
  expect(await runExample("examples/booking/main.ts", store)).toEqual({ code: 0, output: BOOKED.join("\n") });
  expect(await runExample("examples/booking/main.ts", store)).toEqual({ code: 0, output: BOOKED.filter((line) => !line.startsWith("  ")).join("\n") });
});
