/**
 * Books two trips, one of which cannot be had as a whole: `node --conditions=pawl-source examples/booking/main.ts`. The same
 * again, in a file (`--store PATH`), books nothing more: a run that has ended stays so.
 */
import { parseArgs } from "node:util";
import { open } from "pawl";
import { trip } from "./trip.ts";

const { values } = parseArgs({ options: { store: { type: "string", default: ":memory:" } } });
await using pawl = await open(values.store, { workflows: [trip] });
for (const to of ["Porto", "Venice"]) {
  console.log(`${to}:`);
  const run = await pawl.start(trip, { id: to, input: { to } });
  const { status, degraded, compensated, output, failure } = await run.ended();
  if (status === "completed") console.log(`${status}${degraded ? ", not all of it as wished" : ""}: ${(output as string[]).join(", ")}`);
  else console.log(`${status}: ${failure?.message}; ${compensated ? "all of it was undone" : "not all of it was undone"}`);
}
