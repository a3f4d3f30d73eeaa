/**
 * A worker with many live runs is killed while another stands by on the same file: how long until what it left goes on.
 * The floor is a process that opens the file of a dead worker, from its call of `open`: nobody has to be found dead.
 * 1. Runs at work have an attempt under way, each; those asleep wait for an event, or for a timer of a day.
 * 2. How fast all are claimed is how fast they are worked on: no more are claimed than wait for their turn.
 * NOT measured: the start of Node, imports; stalled workers, which are waited for by definition (`leaseMs`).
 */
import { join } from "node:path";
import { type Benchmark, type Contender, type Row, type Settings, inTemporaryFolder, limited, medianRatio, race, rowOf } from "./harness.ts";
import { type Servant, withServants } from "./servant.ts";
import type { TakeoverOrders } from "./takeover-child.ts";

/** Ms from the kill, or from the call of `open`. */
interface Answer {
  readonly firstMs: number;
  readonly hundredMs: number;
  readonly allMs: number;
  readonly rssBeforeMb: number;
  readonly rssAfterMb: number;
}

type Process = Servant<TakeoverOrders>;

const FIRST_MAX_MS = 1_000;
const ATTEMPTS = 100;
const ROUNDS_MAX = 3;
/** So that it is told of the others, and rests. */
const SETTLED_MS = 1_000;

export const takeover: Benchmark = {
  name: "takeover",
  title: "takeover: a worker is killed, another goes on",
  async run(settings) {
    const runs = settings.quick ? 50 : 10_000;
    const rows = await raceScene("at work", runs, atWork, settings);
    return settings.quick ? rows : [...rows, ...(await raceScene("asleep", runs, asleep, settings))];
  },
};

/** What fills the file, and what shows that its runs go on; both told the number of runs. */
interface Scene {
  fill(worker: Process, file: string, runs: number): Promise<void>;
  goesOn(next: Process, runs: number): Promise<{ readonly firstAt: number; readonly hundredAt: number; readonly allAt: number }>;
}

const atWork: Scene = {
  fill: (worker, file, runs) => worker.ask("fillWithWork", file, runs),
  goesOn: (next, runs) => next.ask("allStarted", runs),
};

const asleep: Scene = {
  fill: (worker, file, runs) => worker.ask("fillWithSleep", file, runs),
  async goesOn(next, runs) {
    const firstAt = await next.ask("sendTo", 0);
    const hundredAt = await next.ask("sendToEach", Math.min(200, runs));
    return { firstAt, hundredAt, allAt: await next.ask("sendToEach", runs) };
  },
};

async function raceScene(what: string, runs: number, scene: Scene, settings: Settings): Promise<Row[]> {
  const contenders: Contender<Answer>[] = [
    { name: "standby", run: () => measure(scene, runs, true) },
    { name: "cold", run: () => measure(scene, runs, false) },
  ];
  const answers = await race(contenders, { ...settings, rounds: Math.min(settings.rounds, ROUNDS_MAX), warmUp: false });
  return rowsOf(`${runs} runs ${what}`, what === "at work" ? "had started a node" : "had taken an event", answers.get("standby")!, answers.get("cold")!);
}

function measure(scene: Scene, runs: number, isStandby: boolean): Promise<Answer> {
  const work = ([worker, next]: Process[]): Promise<Answer> =>
    inTemporaryFolder(async (folder) => {
      const file = join(folder, "pawl.db");
      await scene.fill(worker!, file, runs);
      const before = isStandby ? await standBy(next!, file) : undefined;
      const killedAt = await worker!.kill();
      const opened = before ?? (await next!.ask("openFile", file, ATTEMPTS));
      const { firstAt, hundredAt, allAt } = await scene.goesOn(next!, runs);
      const since = isStandby ? killedAt : opened.at;
      const rssAfterMb = await next!.ask("rssMb");
      await next!.kill();
      return { firstMs: firstAt - since, hundredMs: hundredAt - since, allMs: allAt - since, rssBeforeMb: opened.rssMb, rssAfterMb };
    });
  return withServants<TakeoverOrders, Answer>(import.meta.resolve("./takeover-child.ts"), 2, work);
}

async function standBy(next: Process, file: string): Promise<{ readonly at: number; readonly rssMb: number }> {
  const opened = await next.ask("openFile", file, ATTEMPTS);
  await new Promise((resolve) => setTimeout(resolve, SETTLED_MS));
  return { ...opened, rssMb: await next.ask("rssMb") };
}

function rowsOf(what: string, does: string, standby: readonly Answer[], cold: readonly Answer[]): Row[] {
  const of = (answers: readonly Answer[], read: (answer: Answer) => number): number[] => answers.map(read);
  const against = (name: string, read: (answer: Answer) => number): Row => ({
    ...rowOf(`${what}: from the kill until ${name} ${does}`, "ms", of(standby, read)),
    ratio: medianRatio(of(standby, read), of(cold, read)),
  });
  const floor = (name: string, read: (answer: Answer) => number): Row => rowOf(`${what}: floor: from a cold open until ${name} ${does}`, "ms", of(cold, read));
  const first = (answer: Answer): number => answer.firstMs;
  const hundred = (answer: Answer): number => answer.hundredMs;
  const all = (answer: Answer): number => answer.allMs;
  return [
    limited(against("one", first), FIRST_MAX_MS),
    floor("one", first),
    against("a hundred", hundred),
    floor("a hundred", hundred),
    against("each", all),
    floor("each", all),
    rowOf(
      `${what}: RSS of the standby before`,
      "MB",
      of(standby, ({ rssBeforeMb }) => rssBeforeMb),
    ),
    rowOf(
      `${what}: RSS of the standby when all go on`,
      "MB",
      of(standby, ({ rssAfterMb }) => rssAfterMb),
    ),
  ];
}
