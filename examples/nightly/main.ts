/**
 * Runs that start by themselves. Kill this, wait some seconds and start it again: of the instants that passed meanwhile the
 * last one is caught up with, and none starts twice. Start it in two terminals, and they share the instants.
 *
 *   node --conditions=pawl-source examples/nightly/main.ts
 */
import { open } from "pawl";
import { eachSecond, nightly, report } from "./report.ts";

const [store = ".pawl/nightly.db"] = process.argv.slice(2);
const REPORTS = 3;

await using pawl = await open(store, { schedules: [nightly, eachSecond] });
for (const { name, nextAt } of await pawl.schedules()) console.log(`${name} is next at ${new Date(nextAt ?? 0).toISOString()}`);

const enough = Promise.withResolvers<void>();
const reports: string[] = [];
pawl.subscribe(({ runId, isEnd }) => {
  if (isEnd && reports.push(runId) === REPORTS) enough.resolve();
});
await enough.promise;
for (const id of reports) console.log(`${id}: ${await (await pawl.run(id, report)).result()}`);
