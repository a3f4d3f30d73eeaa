/**
 * What counting costs: the same runs in a process that counts what it commits, as every process does, and in one that does not.
 * Measured in CPU time, of which waiting for the disk is no part. NOT measured: asking for the counts.
 */
import { join } from "node:path";
import { systemClock } from "../../src/clock.ts";
import { Pawl } from "../../src/run/pawl.ts";
import type { Seams } from "../../src/run/seams.ts";
import { Worker } from "../../src/run/worker.ts";
import { noFacts, systemFacts } from "../../src/process-facts.ts";
import { systemRandom } from "../../src/random.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { CountingMeter } from "../../src/watch/meter.ts";
import { type BenchWorkflow, runAll, workflowOf } from "./durable.ts";
import { chain } from "./graphs.ts";
import { type Benchmark, inTemporaryFolder, judged, medianRatio, race, rowOf } from "./harness.ts";

/** Counting is to cost about nothing. */
const COST_MAX = 1.03;

export const metering: Benchmark = {
  name: "metering",
  title: "metering: what counting costs",
  async run(settings) {
    const [graph, runs, inFlight] = [chain(10), settings.quick ? 20 : 1_000, settings.quick ? 10 : 100];
    const definition = workflowOf(graph);
    const of = (isCounted: boolean) => () => usedBy(definition, runs, inFlight, isCounted);
    const times = await race(
      [
        { name: "counted", run: of(true) },
        { name: "uncounted", run: of(false) },
      ],
      settings,
    );
    const [counted, uncounted] = [times.get("counted")!, times.get("uncounted")!];
    const row = (what: string, values: readonly number[]) =>
      rowOf(`${graph.name} x ${runs}: ${what}`, "µs CPU/node", values, 1_000 / (runs * graph.nodes.length));
    return [
      judged(row("counted", counted), medianRatio(counted, uncounted), { atMost: COST_MAX, of: "uncounted" }),
      row("floor: the same, nothing counted", uncounted),
    ];
  },
};

/** The ms of CPU time that they take. */
function usedBy(definition: BenchWorkflow, runs: number, inFlight: number, isCounted: boolean): Promise<number> {
  return inTemporaryFolder(async (folder) => {
    const file = join(folder, "pawl.db");
    const store = openSqliteStore(file, { mustExist: false });
    const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
    const facts = isCounted ? systemFacts(file, true) : noFacts;
    const attempts = { log: silent, environment: () => undefined, ...(isCounted && { meter: new CountingMeter(facts) }) };
    const seams: Seams = { store, clock: systemClock, random: systemRandom, facts, attempts, onFatal: (error) => void Promise.reject(error) };
    const pawl = new Pawl(seams, new Worker(seams));
    await pawl.begin([definition]);
    try {
      const { user, system } = process.cpuUsage();
      await runAll(pawl, definition, runs, inFlight);
      const used = process.cpuUsage({ user, system });
      return (used.user + used.system) / 1_000;
    } finally {
      await pawl.close();
    }
  });
}
