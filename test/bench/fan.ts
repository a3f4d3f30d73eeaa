/**
 * One run with a wide fan and a join that waits for all: time per node, peak memory, and the longest time for which the
 * event loop stood still between `start` and the result; also on a disk whose fsync takes 5 ms. Each in a process of its own.
 * NOT measured: results read by the join, agents that take time, memory of the user's own results.
 */
import { spawnSync } from "node:child_process";
import { type Benchmark, type Contender, FROM_SOURCE, type Row, judged, limited, medianRatio, race, rowOf, runChild } from "./harness.ts";

/** What one child says. */
export interface FanAnswer {
  readonly tookMs: number;
  readonly loopDelayMaxMs: number;
  readonly definitionMs: number;
  readonly rssBeforeMb: number;
  readonly rssDefinedMb: number;
  readonly rssPeakMb: number;
}

const PER_NODE_GROWTH_MAX = 1.5;
/** The width that time per node is compared with: below it, starting the run counts for more. */
const GROWTH_BASE = 1_000;
/** Where the floors are taken, and the slow disk: not everywhere, for each takes long. */
const FLOOR_WIDTHS = [1_000, 10_000];
const SLOW_WIDTHS = [10_000, 100_000];
const RSS_MAX_MB = 600;
const LOOP_DELAY_MAX_MS = 100;
/** Delays each fsync by 5 ms; the program itself is otherwise left alone. */
const SLOW_DISK = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:delay_enter=5000"];

export const fans: Benchmark = {
  name: "fan",
  title: "fan: one run, N nodes and a join",
  async run(settings) {
    const widths = settings.quick ? [50, 500] : [100, 1_000, 10_000, 100_000];
    const last = widths.at(-1)!;
    const base = settings.quick ? widths[0]! : GROWTH_BASE;
    const hasStrace = spawnSync(SLOW_DISK[0]!, ["-V"]).status === 0;
    const floors = settings.quick ? [base] : FLOOR_WIDTHS;
    const slow = hasStrace ? (settings.quick ? [base] : SLOW_WIDTHS) : [];
    const contenders = [
      ...widths.map((width) => contender("pawl", width)),
      ...floors.flatMap((width) => [contender("live", width), contender("bare", width)]),
      ...slow.map((width) => contender("pawl", width, SLOW_DISK)),
    ];
    const answers = await race(contenders, { ...settings, warmUp: false });
    const rows = widths.flatMap((width) => speedRows(width, answers));
    const growth = medianRatio(perNode(answers.get(`pawl ${last}`)!, last), perNode(answers.get(`pawl ${base}`)!, base));
    const name = `fan of ${last} against ${base}: time per node`;
    rows.push(judged({ measurement: name, unit: "x" }, growth, { atMost: PER_NODE_GROWTH_MAX, of: `that at ${base}` }));
    rows.push(...memoryRows(last, answers.get(`pawl ${last}`)!), ...widths.map((width) => delayRow(width, answers.get(`pawl ${width}`)!, "")));
    if (!hasStrace) rows.push({ measurement: "fan on a disk of 5 ms: strace is not installed", unit: "", verdict: "skipped" });
    return [...rows, ...slow.flatMap((width) => slowRows(width, answers.get(`slow pawl ${width}`)!))];
  },
};

type Answers = ReadonlyMap<string, readonly FanAnswer[]>;

function contender(what: string, width: number, before: string[] = []): Contender<FanAnswer> {
  const run = async (): Promise<FanAnswer> =>
    (await runChild(import.meta.resolve("./fan-child.ts"), [what, String(width)], { flags: FROM_SOURCE, before })).answer as FanAnswer;
  return { name: `${before.length > 0 ? "slow " : ""}${what} ${width}`, run };
}

const tookMs = (answers: readonly FanAnswer[]): number[] => answers.map((answer) => answer.tookMs);
const perNode = (answers: readonly FanAnswer[], width: number): number[] => tookMs(answers).map((ms) => (ms * 1_000) / (width + 1));

function speedRows(width: number, answers: Answers): Row[] {
  const pawl = perNode(answers.get(`pawl ${width}`)!, width);
  const rows = [rowOf(`fan of ${width}: pawl`, "µs/node", pawl)];
  for (const name of ["live", "bare"]) {
    const floor = answers.get(`${name} ${width}`);
    if (floor === undefined) continue;
    rows.push({ ...rowOf(`fan of ${width}: floor ${name}`, "µs/node", perNode(floor, width)), ratio: medianRatio(perNode(floor, width), pawl) });
  }
  return rows;
}

function memoryRows(width: number, answers: readonly FanAnswer[]): Row[] {
  const row = (what: string, unit: string, read: (answer: FanAnswer) => number): Row => rowOf(`fan of ${width}: ${what}`, unit, answers.map(read));
  return [
    limited(
      row("peak RSS", "MB", (answer) => answer.rssPeakMb),
      RSS_MAX_MB,
    ),
    row("info: RSS after the warm-up", "MB", (answer) => answer.rssBeforeMb),
    row("info: peak RSS once it is defined", "MB", (answer) => answer.rssDefinedMb),
    row("info: time of the definition", "ms", (answer) => answer.definitionMs),
  ];
}

function delayRow(width: number, answers: readonly FanAnswer[], where: string): Row {
  const delays = answers.map((answer) => answer.loopDelayMaxMs);
  return limited(rowOf(`fan of ${width}: longest event-loop delay${where}`, "ms", delays), LOOP_DELAY_MAX_MS);
}

function slowRows(width: number, answers: readonly FanAnswer[]): Row[] {
  return [rowOf(`fan of ${width}: pawl, fsync of 5 ms`, "µs/node", perNode(answers, width)), delayRow(width, answers, ", fsync of 5 ms")];
}
