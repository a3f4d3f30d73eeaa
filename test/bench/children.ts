/**
 * A machine that spawns many children: one for each event, and all in one event; time per child at several numbers, the
 * same of live actors beside it.
 * NOT measured: children that work.
 */
import { createActor } from "xstate";
import { withPawl } from "./durable.ts";
import { type Benchmark, type Contender, type Row, type Settings, judged, median, medianRatio, race, rowOf, timed } from "./harness.ts";
import { family } from "./machine-definitions.ts";

/** How much dearer a child may be among the most than among the fewest. */
const GROWTH_MAX = 1.5;
/** Families of the smaller sizes, so that there is as much to measure. */
const CHILDREN_IN_ALL = 1_000;
/** Live actors take minutes beyond. */
const LIVE_MAX = 1_000;
const ROUNDS_MAX = 3;

export const children: Benchmark = {
  name: "children",
  title: "children: one machine that spawns many",
  async run(settings) {
    const sizes = settings.quick ? [10, 30] : [100, 1_000, 10_000];
    const few = { ...settings, rounds: Math.min(settings.rounds, ROUNDS_MAX), warmUp: false };
    return [...(await raceWay("one by one", byOne, sizes, few)), ...(await raceWay("all in one event", atOnce, sizes, few))];
  },
};

type Send = (event: { type: "one" } | { type: "many"; count: number }) => Promise<unknown>;
type Way = (send: Send, count: number) => Promise<unknown>;

/** As many events wait at a time as are sent at once by those who do not wait. */
const byOne: Way = (send, count) => Promise.all(Array.from({ length: count }, () => send({ type: "one" })));
const atOnce: Way = async (send, count) => send({ type: "many", count });

async function raceWay(what: string, way: Way, sizes: readonly number[], settings: Settings): Promise<Row[]> {
  const liveSizes = sizes.filter((size) => size <= LIVE_MAX);
  const familiesOf = (size: number): number => Math.max(1, CHILDREN_IN_ALL / size);
  const contenders: Contender[] = [
    ...sizes.map((size) => ({ name: `pawl ${size}`, run: () => durableMs(way, size, familiesOf(size)) })),
    ...liveSizes.map((size) => ({ name: `live ${size}`, run: () => liveMs(way, size, familiesOf(size)) })),
  ];
  const times = await race(contenders, settings);
  const perChild = (name: string, size: number): number[] => times.get(`${name} ${size}`)!.map((ms) => (ms * 1_000) / (size * familiesOf(size)));
  const rows = sizes.map((size) => rowOf(`${what}, ${size} children: pawl`, "µs/child", perChild("pawl", size)));
  const [first, last] = [sizes[0]!, sizes.at(-1)!];
  const growth = median(perChild("pawl", last)) / median(perChild("pawl", first));
  return [
    ...rows.slice(0, -1),
    judged(rows.at(-1)!, growth, { atMost: GROWTH_MAX, of: `that at ${first}` }),
    ...liveSizes.map((size) => ({
      ...rowOf(`${what}, ${size} children: info: live actors`, "µs/child", perChild("live", size)),
      ratio: medianRatio(perChild("live", size), perChild("pawl", size)),
    })),
  ];
}

async function durableMs(way: Way, count: number, families: number): Promise<number> {
  return withPawl(async (pawl) => {
    let tookMs = 0;
    for (let i = 0; i < families; i++) {
      const run = await pawl.start(family, { id: `family-${i}` });
      tookMs += await timed(() => way((event) => run.send(event, { timeout: "10m" }), count));
    }
    return tookMs;
  });
}

/** Nothing is stopped afterwards: that takes longer than the spawns. */
async function liveMs(way: Way, count: number, families: number): Promise<number> {
  let tookMs = 0;
  for (let i = 0; i < families; i++) {
    const actor = createActor(family).start();
    tookMs += await timed(() => way(async (event) => actor.send(event), count));
  }
  return tookMs;
}
