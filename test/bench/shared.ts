/**
 * Two workers on one file against one, with agents that take 5 ms, 10 at a time in each worker: waiting, and computing.
 * The runs were recorded by a client before the workers come, or are all started in one of them, which has to give the
 * other its share. Timed: from the first call of `open`, or of `start`, to the last result.
 * NOT measured: the start of Node; more workers than two. Needs two free processors: any other work on the machine lowers
 * what two workers can gain.
 */
import { join } from "node:path";
import { type Benchmark, type Contender, type Row, type Settings, inTemporaryFolder, judged, limited, medianRatio, race, rowOf } from "./harness.ts";
import { type Servant, withServants } from "./servant.ts";
import type { Done, SharedOrders, Way } from "./shared-child.ts";

type Process = Servant<SharedOrders>;
/** By whom the runs are started. */
type Starter = "a client" | "one of them";

interface Answer {
  readonly tookMs: number;
  /** Of the runs, what the worker did that did most. */
  readonly share: number;
  readonly loopDelayMaxMs: number;
  /** Of all workers. */
  readonly cpuMs: number;
  /** More than two for each run: attempts that ran again. */
  readonly nodes: number;
}

const GAIN_MIN = 1.7;
const LOOP_MAX_MS = 100;
const ROUNDS_MAX = 3;
const ASK_EVERY_MS = 20;
/** So that all workers know of each other. */
const SETTLED_MS = 500;
const SCENES: readonly (readonly [Starter, Way])[] = [
  ["a client", "waits"],
  ["a client", "computes"],
  ["one of them", "waits"],
  ["one of them", "computes"],
];
/** A process takes a while to start: the quick mode has few of them. */
const QUICK_SCENES = SCENES.slice(-1);
const RUNS: Readonly<Record<Way, number>> = { waits: 4_000, computes: 600 };

export const shared: Benchmark = {
  name: "shared",
  title: "shared: two workers on one file, agents that take 5 ms",
  async run(settings) {
    const rows: Row[] = [];
    for (const [starter, way] of settings.quick ? QUICK_SCENES : SCENES)
      rows.push(...(await raceScene(starter, way, settings.quick ? 20 : RUNS[way], settings)));
    return rows;
  },
};

async function raceScene(starter: Starter, way: Way, runs: number, settings: Settings): Promise<Row[]> {
  const contenders = [1, 2].map((workers): Contender<Answer> => ({ name: String(workers), run: () => measure(starter, way, runs, workers) }));
  const answers = await race(contenders, { ...settings, rounds: Math.min(settings.rounds, ROUNDS_MAX), warmUp: false });
  return rowsOf(`${runs} runs, started by ${starter}, agent ${way}`, way, runs, answers.get("1")!, answers.get("2")!);
}

function measure(starter: Starter, way: Way, runs: number, workers: number): Promise<Answer> {
  const work = (processes: Process[]): Promise<Answer> =>
    inTemporaryFolder(async (folder) => {
      const file = join(folder, "pawl.db");
      const begin = starter === "a client" ? recordedByClient : startedInOne;
      const beganAt = await begin(file, processes.slice(0, workers), processes.at(-1)!, way, runs);
      return answerOf(await whenDone(processes.slice(0, workers), runs), beganAt);
    });
  return withServants<SharedOrders, Answer>(import.meta.resolve("./shared-child.ts"), starter === "a client" ? workers + 1 : workers, work);
}

/** Each answers when it began. */
type Begin = (file: string, workers: readonly Process[], other: Process, way: Way, runs: number) => Promise<number>;

const recordedByClient: Begin = async (file, workers, client, way, runs) => {
  // the file is made by a worker; a client finds one
  const maker = workers[0]!;
  await maker.ask("openFile", file, true);
  await maker.ask("close");
  await client.ask("openFile", file, false);
  await client.ask("start", way, runs);
  await client.ask("close");
  return Math.min(...(await Promise.all(workers.map((worker) => worker.ask("openFile", file, true)))));
};

const startedInOne: Begin = async (file, workers, _other, way, runs) => {
  for (const worker of workers) await worker.ask("openFile", file, true);
  await new Promise((resolve) => setTimeout(resolve, SETTLED_MS));
  return workers[0]!.ask("start", way, runs);
};

async function whenDone(workers: readonly Process[], runs: number): Promise<Done[]> {
  for (;;) {
    const done = await Promise.all(workers.map((worker) => worker.ask("done")));
    if (done.reduce((sum, { completed }) => sum + completed, 0) >= runs) return done;
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
  }
}

function answerOf(done: readonly Done[], beganAt: number): Answer {
  const sum = (read: (one: Done) => number): number => done.reduce((all, one) => all + read(one), 0);
  return {
    tookMs: Math.max(...done.map(({ lastAt }) => lastAt)) - beganAt,
    share: Math.max(...done.map(({ completed }) => completed)) / sum(({ completed }) => completed),
    loopDelayMaxMs: Math.max(...done.map(({ loopDelayMaxMs }) => loopDelayMaxMs)),
    cpuMs: sum(({ cpuMs }) => cpuMs),
    nodes: sum(({ nodes }) => nodes),
  };
}

/** The loop of an agent that computes is held by itself: ten of them, for 50 ms. */
function rowsOf(what: string, way: Way, runs: number, one: readonly Answer[], two: readonly Answer[]): Row[] {
  const of = (answers: readonly Answer[], read: (answer: Answer) => number): number[] => answers.map(read);
  const perSecond = (answers: readonly Answer[]): number[] => of(answers, ({ tookMs }) => (runs * 1_000) / tookMs);
  const delay = (words: string, answers: readonly Answer[]): Row => {
    const row = rowOf(
      `${what}: longest delay of a loop, ${words}`,
      "ms",
      of(answers, ({ loopDelayMaxMs }) => loopDelayMaxMs),
    );
    return way === "waits" ? limited(row, LOOP_MAX_MS) : row;
  };
  return [
    judged(rowOf(`${what}: two workers`, "runs/s", perSecond(two)), medianRatio(perSecond(two), perSecond(one)), { atLeast: GAIN_MIN, of: "one worker" }),
    rowOf(`${what}: one worker`, "runs/s", perSecond(one)),
    rowOf(
      `${what}: share of the busier of two`,
      "of the runs",
      of(two, ({ share }) => share),
    ),
    {
      ...rowOf(
        `${what}: processor time of two`,
        "ms/run",
        of(two, ({ cpuMs }) => cpuMs / runs),
      ),
      ratio: medianRatio(
        of(two, ({ cpuMs }) => cpuMs),
        of(one, ({ cpuMs }) => cpuMs),
      ),
    },
    rowOf(
      `${what}: attempts of two`,
      "per run",
      of(two, ({ nodes }) => nodes / runs),
    ),
    delay("two workers", two),
    delay("one worker", one),
  ];
}
