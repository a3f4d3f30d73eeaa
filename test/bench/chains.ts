/**
 * Many short runs: 1,000 runs of 10 nodes in a row, 100 in flight, agents that answer at once.
 * NOT measured: agents that take time, large values, failures.
 */
import { bareMs, record } from "./bare.ts";
import { durableMs, workflowOf } from "./durable.ts";
import { type Graph, chain, layered, recorded } from "./graphs.ts";
import { type Benchmark, type Contender, type Row, type Settings, judged, medianRatio, race, rowOf } from "./harness.ts";
import { liveMs, startNatural } from "./live.ts";

/** What is to hold against live actors that store nothing. */
const LIVE_SHARE = 0.8;

export const chains: Benchmark = {
  name: "chains",
  title: "chains: many short runs in flight",
  run: (settings) => raceGraph(chain(10), settings.quick ? 20 : 1_000, settings.quick ? 10 : 100, settings),
};

/**
 * One wide run after another: 1,000 nodes in 20 layers of 50 with 3 dependencies each, and a recorded astronomy workflow
 * (montage: 1,312 nodes, 3,540 edges).
 */
export const layers: Benchmark = {
  name: "layered",
  title: "layered: one wide run after another, results referenced",
  async run(settings) {
    const runs = settings.quick ? 1 : 5;
    const rows = await raceGraph(settings.quick ? layered(4, 10, 3, 1) : layered(20, 50, 3, 1), runs, 1, settings);
    if (settings.quick) return rows;
    const montage = recorded("montage-2mass-04d-001");
    if (montage === undefined) return [...rows, { measurement: "montage-2mass-04d-001: the data is not at hand", unit: "", verdict: "skipped" }];
    return [...rows, ...(await raceGraph(montage, runs, 1, settings))];
  },
};

/** pawl against its floors on one graph. */
async function raceGraph(graph: Graph, runs: number, inFlight: number, settings: Settings): Promise<Row[]> {
  const definition = workflowOf(graph);
  const recording = await record(graph, runs, inFlight);
  const contenders: Contender[] = [
    { name: "pawl", run: () => durableMs(definition, runs, inFlight) },
    { name: "live", run: () => liveMs(graph, runs, inFlight) },
    { name: "natural", run: () => liveMs(graph, runs, inFlight, startNatural) },
    { name: "bare", run: () => bareMs(recording) },
  ];
  const times = await race(contenders, settings);
  const pawl = times.get("pawl")!;
  const scale = 1_000 / (runs * graph.nodes.length);
  const row = (name: string, what: string): Row => rowOf(`${graph.name} x ${runs}: ${what}`, "µs/node", times.get(name)!, scale);
  const both = times.get("live")!.map((liveTook, i) => liveTook + times.get("bare")![i]!);
  return [
    judged(row("pawl", "pawl"), medianRatio(times.get("live")!, pawl), { atLeast: LIVE_SHARE, of: "live" }),
    row("live", "floor live (node machine, nothing stored)"),
    { ...row("natural", "info: live, a user's own machine"), ratio: medianRatio(times.get("natural")!, pawl) },
    { ...row("bare", "floor bare (the rows alone)"), ratio: medianRatio(times.get("bare")!, pawl) },
    { ...rowOf(`${graph.name} x ${runs}: info: live + bare`, "µs/node", both, scale), ratio: medianRatio(both, pawl) },
  ];
}
