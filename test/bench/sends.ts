/**
 * Events: many at once to one run and to as many runs, one after the other, and machines that live for one event only.
 * The latency of a send is from the call to its answer; what is sent at once waits for what was sent before it.
 * NOT measured: events from other processes, event ids, schemas.
 */
import type { MachineHandle, Pawl } from "pawl";
import { createActor } from "xstate";
import { bareCommitsMs, recordCommits } from "./bare-commits.ts";
import { withPawl } from "./durable.ts";
import { type Benchmark, type Contender, type Row, type Settings, inLanes, medianRatio, quantile, race, rowOf, timed } from "./harness.ts";
import { counter } from "./machine-definitions.ts";

/** How so many events reach how many runs. */
interface Scene {
  readonly what: string;
  readonly events: number;
  readonly runs: number;
  /** Each waits for the answer to the one before. */
  readonly isOneByOne: boolean;
}

interface Answer {
  readonly tookMs: number;
  /** Of each send. */
  readonly latenciesMs: readonly number[];
}

const EVENT = { type: "add", by: 1, note: "a note" } as const;
/** Handles that are made at a time. */
const STARTS_IN_FLIGHT = 500;
/** Below the number of idle runs that stay in memory. */
const RESIDENT = 4_000;

export const sends: Benchmark = {
  name: "sends",
  title: "sends: events to runs that wait for them",
  async run(settings) {
    const many = settings.quick ? 100 : 10_000;
    const scenes: Scene[] = [
      { what: `${many} at once to one run`, events: many, runs: 1, isOneByOne: false },
      { what: `${many} at once to ${many} runs`, events: many, runs: many, isOneByOne: false },
      { what: `info: as many to ${RESIDENT} runs that are in memory`, events: Math.min(many, RESIDENT), runs: Math.min(many, RESIDENT), isOneByOne: false },
      { what: "one by one to one run", events: settings.quick ? 20 : 2_000, runs: 1, isOneByOne: true },
    ];
    const rows: Row[] = [];
    for (const scene of scenes) rows.push(...(await raceSends(scene, settings)));
    return [...rows, ...(await raceShortLives(settings.quick ? 20 : 2_000, settings.quick ? 10 : 100, settings))];
  },
};

async function raceSends(scene: Scene, settings: Settings): Promise<Row[]> {
  const recorded = await recordCommits(async (pawl, begin) => {
    const handles = await startAll(pawl, scene.runs);
    begin();
    await sendAll(scene, handles);
  });
  const pawl = (): Promise<Answer> => withPawl(async (opened) => sendAll(scene, await startAll(opened, scene.runs)));
  const bare = async (): Promise<Answer> => ({ tookMs: await bareCommitsMs(recorded), latenciesMs: [] });
  const answers = await race<Answer>(
    [
      { name: "pawl", run: pawl },
      { name: "live", run: () => liveSends(scene) },
      { name: "bare", run: bare },
    ],
    settings,
  );
  const tookMs = (name: string): number[] => answers.get(name)!.map((answer) => answer.tookMs);
  const perSecond = (name: string): number[] => tookMs(name).map((ms) => (scene.events * 1_000) / ms);
  const latency = (share: number): number[] => answers.get("pawl")!.map(({ latenciesMs }) => quantile(latenciesMs, share));
  return [
    { ...rowOf(`${scene.what}: pawl`, "events/s", perSecond("pawl")), ratio: medianRatio(tookMs("bare"), tookMs("pawl")), target: "of bare" },
    rowOf(`${scene.what}: floor bare (${recorded.groups.flat().length} commits, ${recorded.groups.length} fsyncs)`, "events/s", perSecond("bare")),
    { ...rowOf(`${scene.what}: info: live actors`, "events/s", perSecond("live")), ratio: medianRatio(tookMs("live"), tookMs("pawl")) },
    rowOf(`${scene.what}: median latency`, "ms", latency(0.5)),
    rowOf(`${scene.what}: p99`, "ms", latency(0.99)),
  ];
}

async function startAll(pawl: Pawl, runs: number): Promise<MachineHandle<typeof counter>[]> {
  const handles: MachineHandle<typeof counter>[] = [];
  await inLanes(runs, STARTS_IN_FLIGHT, async (index) => (handles[index] = await pawl.start(counter, { id: `run-${index}` })));
  return handles;
}

async function sendAll({ events, isOneByOne }: Scene, handles: readonly MachineHandle<typeof counter>[]): Promise<Answer> {
  const latenciesMs: number[] = [];
  const send = async (index: number): Promise<void> => {
    const sentAt = performance.now();
    await handles[index % handles.length]!.send(EVENT);
    latenciesMs.push(performance.now() - sentAt);
  };
  const tookMs = await timed(() => inLanes(events, isOneByOne ? 1 : events, send));
  return { tookMs, latenciesMs };
}

async function liveSends({ events, runs }: Scene): Promise<Answer> {
  const actors = Array.from({ length: runs }, () => createActor(counter).start());
  const tookMs = await timed(() => {
    for (let i = 0; i < events; i++) actors[i % runs]!.send(EVENT);
  });
  for (const actor of actors) actor.stop();
  return { tookMs, latenciesMs: [] };
}

/** Start, one event, the end. */
async function raceShortLives(runs: number, inFlight: number, settings: Settings): Promise<Row[]> {
  const work = (pawl: Pawl): Promise<void> =>
    inLanes(runs, inFlight, async (index) => {
      const run = await pawl.start(counter, { id: `run-${index}` });
      await run.send({ type: "finish" });
      await run.result();
    });
  const recorded = await recordCommits(work);
  const contenders: Contender[] = [
    { name: "pawl", run: () => withPawl((pawl) => timed(() => work(pawl))) },
    { name: "bare", run: () => bareCommitsMs(recorded) },
  ];
  const times = await race(contenders, settings);
  const perSecond = (name: string): number[] => times.get(name)!.map((ms) => (runs * 1_000) / ms);
  const what = `start, one event, the end x ${runs}, ${inFlight} in flight`;
  return [
    { ...rowOf(`${what}: pawl`, "runs/s", perSecond("pawl")), ratio: medianRatio(times.get("bare")!, times.get("pawl")!), target: "of bare" },
    rowOf(`${what}: floor bare`, "runs/s", perSecond("bare")),
  ];
}
