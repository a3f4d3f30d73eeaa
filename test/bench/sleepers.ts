/**
 * Machine runs that sleep in one file, half of them until an event, half for a day: starting them, opening the file in
 * another process, and waking runs drawn at random, at several numbers. `--million` adds a million runs, once.
 * NOT measured: a cold disk cache; the start of Node.
 */
import { join } from "node:path";
import { type Benchmark, type Contender, FROM_SOURCE, type Row, inTemporaryFolder, judged, limited, medianRatio, race, rowOf, runChild } from "./harness.ts";

/** What a child says that fills a file. */
export interface FillAnswer {
  readonly tookMs: number;
  /** As it goes, ten times. */
  readonly rssMbs: readonly number[];
}

/** What a child says that opens it. */
export interface WakeAnswer {
  readonly openMs: number;
  readonly firstWakeMs: number;
  readonly rssBeforeMb: number;
  readonly rssOpenMb: number;
  readonly sendMs: number;
  readonly sendP99Ms: number;
  /** How late runs ended whose timer was due. */
  readonly timerMs: number;
}

interface Answer {
  readonly fill: FillAnswer;
  readonly wake: WakeAnswer;
}

/** How much more the most may take than the fewest. */
const GROWTH_MAX = 1.5;
/** Some thousands of idle runs stay in memory: it is flat when it holds as many as it may. */
const FLAT_FROM = 100_000;
/** Of the memory when three tenths are started. */
const RSS_GROWTH_MAX = 1.3;
const OPEN_MAX_MS = 100;
const MILLION = 1_000_000;
/** Woken before it counts, on another file, so that the code is compiled however few runs there are to wake. */
const WARM_UP_RUNS = 500;

export const sleepers: Benchmark = {
  name: "sleepers",
  title: "sleepers: runs that wait, in one file",
  async run(settings) {
    const sizes = settings.quick ? [10, 100] : [10, 10_000];
    const answers = new Map(
      await race(
        sizes.map((size) => contender(size, settings.quick ? 0 : WARM_UP_RUNS)),
        { ...settings, warmUp: false },
      ),
    );
    if (settings.million === true) {
      answers.set(String(MILLION), [await contender(MILLION, WARM_UP_RUNS).run()]);
      sizes.push(MILLION);
    }
    return sizes.flatMap((size) => rowsOf(size, answers.get(String(size))!, answers.get(String(sizes[0]))!));
  },
};

function contender(size: number, warmUpRuns: number): Contender<Answer> {
  const child = async (...values: string[]): Promise<unknown> =>
    (await runChild(import.meta.resolve("./sleepers-child.ts"), values, { flags: FROM_SOURCE })).answer;
  const run = (): Promise<Answer> =>
    inTemporaryFolder(async (folder) => {
      const file = join(folder, "pawl.db");
      const fill = (await child("fill", file, String(size))) as FillAnswer;
      return { fill, wake: (await child("wake", file, String(size), String(warmUpRuns))) as WakeAnswer };
    });
  return { name: String(size), run };
}

function rowsOf(size: number, answers: readonly Answer[], fewest: readonly Answer[]): Row[] {
  const of = (from: readonly Answer[], read: (wake: WakeAnswer) => number): number[] => from.map(({ wake }) => read(wake));
  const against = (what: string, read: (wake: WakeAnswer) => number): Row => {
    const row = rowOf(`${size} asleep: ${what}`, "ms", of(answers, read));
    if (answers === fewest) return row;
    const some = fewest.slice(0, answers.length);
    return judged(row, medianRatio(of(answers.slice(0, some.length), read), of(some, read)), { atMost: GROWTH_MAX, of: "that with the fewest" });
  };
  const memory = answers.map(({ fill }) => fill.rssMbs);
  const growth = memory.map((mbs) => mbs.at(-1)! / mbs[Math.min(mbs.length - 1, 2)]!);
  const flat = judged(
    rowOf(
      `${size} asleep: RSS when all are started`,
      "MB",
      memory.map((mbs) => mbs.at(-1)!),
    ),
    Math.max(...growth),
    {
      atMost: RSS_GROWTH_MAX,
      of: "that after three tenths",
    },
  );
  return [
    rowOf(
      `${size} asleep: starting them`,
      "µs/run",
      answers.map(({ fill }) => (fill.tookMs * 1_000) / size),
    ),
    ...(size < FLAT_FROM ? [] : [flat]),
    limited(
      against("opening the file", (wake) => wake.openMs),
      OPEN_MAX_MS,
    ),
    against("opening and the first wake", (wake) => wake.firstWakeMs),
    rowOf(
      `${size} asleep: RSS more than before it was opened`,
      "MB",
      answers.map(({ wake }) => wake.rssOpenMb - wake.rssBeforeMb),
    ),
    against("a wake by an event, median", (wake) => wake.sendMs),
    rowOf(
      `${size} asleep: a wake by an event, p99`,
      "ms",
      of(answers, (wake) => wake.sendP99Ms),
    ),
    against("a wake by a timer, later than due", (wake) => wake.timerMs),
  ];
}
