/**
 * Machines of users: a turn in memory against xstate's own transition and a plain JSON text, and many short runs that
 * invoke a promise in each state against live actors.
 * NOT measured: agents that take time, large contexts, failures.
 */
import { type AnyStateMachine, createActor } from "xstate";
import { encode } from "../../src/run/codec.ts";
import { unhosted } from "../../src/run/hosted-run.ts";
import { machineDefinitionOf } from "../../src/run/machine-definition.ts";
import { MachineRun } from "../../src/run/machine-run.ts";
import { systemRandom } from "../../src/random.ts";
import type { Pawl } from "pawl";
import { bareCommitsMs, recordCommits } from "./bare-commits.ts";
import { withPawl } from "./durable.ts";
import { type Benchmark, type Contender, type Row, type Settings, inLanes, judged, medianRatio, race, rowOf, timed } from "./harness.ts";
import { counter, door, invokeChain } from "./machine-definitions.ts";

/** How much dearer a turn may be than its transition and its text. */
const TURN_MAX = 2;
/** What is to hold against live actors that store nothing. */
const LIVE_SHARE = 0.7;
const STEPS = 10;

export const machines: Benchmark = {
  name: "machines",
  title: "machines: a turn in memory, and runs with a promise in each state",
  async run(settings) {
    const turns = settings.quick ? 50 : 20_000;
    return [
      ...(await raceTurns("assign", counter, { type: "add", by: 1, note: "a note" }, turns, settings)),
      ...(await raceTurns("guard, assign, timer", door, { type: "push" }, turns, settings)),
      ...(await raceRuns(settings.quick ? 20 : 1_000, settings.quick ? 10 : 100, settings)),
    ];
  },
};

interface Event {
  readonly type: string;
  readonly by?: number;
  readonly note?: string;
}

async function raceTurns(what: string, machine: AnyStateMachine, event: Event, turns: number, settings: Settings): Promise<Row[]> {
  const contenders: Contender[] = [
    { name: "pawl", run: () => turnsMs(machine, event, turns) },
    { name: "floor", run: () => transitionsMs(machine, event, turns) },
    { name: "live", run: () => liveTurnsMs(machine, event, turns) },
  ];
  const times = await race(contenders, settings);
  const [pawl, floor, live] = ["pawl", "floor", "live"].map((name) => times.get(name)!) as [number[], number[], number[]];
  const row = (name: string, values: readonly number[]): Row => rowOf(`turn (${what}): ${name}`, "µs/turn", values, 1_000 / turns);
  return [
    judged(row("pawl, from an event to a commit", pawl), medianRatio(pawl, floor), { atMost: TURN_MAX, of: "transition + text" }),
    row("floor: machine.transition and JSON.stringify", floor),
    { ...row("info: send to a live actor and JSON.stringify", live), ratio: medianRatio(pawl, live) },
  ];
}

/** Timers are made and voided, but nothing waits for them: that comes after the commit. */
const clock = { now: () => Date.now(), mono: () => performance.now(), after: () => () => {}, soon: () => {} };
const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const pending = { eventId: undefined, resolve: () => {}, reject: () => {} };

/** The ms of so many turns, each from the event's arrival to a commit that could be written. */
function turnsMs(machine: AnyStateMachine, event: Event, turns: number): Promise<number> {
  const seams = unhosted({ clock, random: systemRandom, attempts: { log, environment: () => undefined }, epoch: 1, startedAt: 0, services: undefined });
  const run = new MachineRun("run", machineDefinitionOf(machine), seams, { input: encode(undefined) });
  const turn = (): void => {
    run.applyInbox(1);
    run.takeCommit(1);
    run.committed();
  };
  turn();
  return timed(() => {
    for (let i = 0; i < turns; i++) {
      run.send(encode(event), pending);
      turn();
    }
  });
}

function transitionsMs(machine: AnyStateMachine, event: Event, turns: number): Promise<number> {
  const { _actorScope: scope } = createActor(machine) as unknown as { _actorScope: object };
  const own = { ...scope, actionExecutor: () => {}, defer: () => {} } as never;
  let snapshot = machine.getInitialSnapshot(own, undefined);
  return timed(() => {
    for (let i = 0; i < turns; i++) {
      snapshot = machine.transition(snapshot, event, own);
      JSON.stringify(snapshot);
    }
  });
}

async function liveTurnsMs(machine: AnyStateMachine, event: Event, turns: number): Promise<number> {
  const actor = createActor(machine).start();
  const tookMs = await timed(() => {
    for (let i = 0; i < turns; i++) {
      actor.send(event);
      JSON.stringify(actor.getSnapshot());
    }
  });
  actor.stop();
  return tookMs;
}

const chainMachine = invokeChain(STEPS);

async function raceRuns(runs: number, inFlight: number, settings: Settings): Promise<Row[]> {
  const recorded = await recordCommits((pawl) => durableRuns(pawl, runs, inFlight));
  const contenders: Contender[] = [
    { name: "pawl", run: () => withPawl((pawl) => timed(() => durableRuns(pawl, runs, inFlight))) },
    { name: "live", run: () => timed(() => inLanes(runs, inFlight, liveRun)) },
    { name: "bare", run: () => bareCommitsMs(recorded) },
  ];
  const times = await race(contenders, settings);
  const [pawl, live, bare] = ["pawl", "live", "bare"].map((name) => times.get(name)!) as [number[], number[], number[]];
  const row = (what: string, values: readonly number[]): Row =>
    rowOf(`${STEPS} invoked promises in a row x ${runs}: ${what}`, "µs/node", values, 1_000 / (runs * STEPS));
  const both = live.map((liveTook, i) => liveTook + bare[i]!);
  return [
    judged(row("pawl", pawl), medianRatio(live, pawl), { atLeast: LIVE_SHARE, of: "live" }),
    row("floor live (the same machine, nothing stored)", live),
    { ...row("floor bare (the rows alone)", bare), ratio: medianRatio(bare, pawl) },
    { ...row("info: live + bare", both), ratio: medianRatio(both, pawl) },
  ];
}

function durableRuns(pawl: Pawl, runs: number, inFlight: number): Promise<void> {
  return inLanes(runs, inFlight, async (index) => (await pawl.start(chainMachine, { id: `run-${index}` })).result());
}

function liveRun(): Promise<void> {
  return new Promise((resolve) => {
    const actor = createActor(chainMachine);
    actor.subscribe({ complete: resolve });
    actor.start();
  });
}
