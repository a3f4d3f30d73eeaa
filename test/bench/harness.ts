/**
 * The harness: contenders race in rounds, in shuffled order, and what they took becomes rows of one table.
 * 1. A ratio is the median of the ratios within each round, so that a slow moment of the machine hits both sides.
 * 2. A contender times itself: making files, definitions and graphs is outside.
 * NOT measured here: anything. NOT guarded against: other work on the machine; take final figures on a quiet one.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** How much is measured. */
export interface Settings {
  /** One round of small sizes: shows that the suite runs, not how fast anything is. */
  readonly quick: boolean;
  readonly rounds: number;
  /** A round that does not count, so that code is compiled and caches are warm. */
  readonly warmUp: boolean;
  readonly seed: number;
  /** Also what takes minutes. */
  readonly million?: boolean;
}

type Verdict = "ok" | "MISSED" | "skipped" | "";

/** One line of the table. */
export interface Row {
  readonly measurement: string;
  readonly unit: string;
  readonly median?: number;
  readonly min?: number;
  readonly ratio?: number;
  /** What is wanted, as people read it; without one the row is for information. */
  readonly target?: string;
  readonly verdict?: Verdict;
}

export interface Benchmark {
  readonly name: string;
  readonly title: string;
  run(settings: Settings): Promise<Row[]>;
}

/** One way to do the work; answers the ms that its timed part took, or whatever else was measured. */
export interface Contender<Answer = number> {
  readonly name: string;
  run(): Promise<Answer> | Answer;
}

/** Runs all contenders in each round, in an order drawn anew; answers what each said, round by round. */
export async function race<Answer>(contenders: readonly Contender<Answer>[], settings: Settings): Promise<ReadonlyMap<string, readonly Answer[]>> {
  const answers = new Map<string, Answer[]>(contenders.map(({ name }) => [name, []]));
  const random = seededRandom(settings.seed);
  for (let round = settings.warmUp ? -1 : 0; round < settings.rounds; round++) {
    for (const contender of shuffled(contenders, random)) {
      globalThis.gc?.();
      const answer = await contender.run();
      if (round >= 0) answers.get(contender.name)!.push(answer);
    }
  }
  return answers;
}

/** The ms that this takes. */
export async function timed(work: () => Promise<unknown> | void): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

/** So many pieces of work, so many at a time. */
export async function inLanes(count: number, inFlight: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(inFlight, count) }, lane));
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The value below which this share of the values lies. */
export function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))]!;
}

/** The median of `of[i] / by[i]`. */
export function medianRatio(of: readonly number[], by: readonly number[]): number {
  return median(of.map((value, i) => value / by[i]!));
}

/** A row of what was measured, scaled: for ms in all to µs per node, `scale` is 1000 / nodes. */
export function rowOf(measurement: string, unit: string, values: readonly number[], scale = 1): Row {
  return { measurement, unit, median: median(values) * scale, min: Math.min(...values) * scale };
}

/** The row with a ratio that should be at least, or at most, so much. */
export function judged(row: Row, ratio: number, bound: { readonly atLeast: number; of: string } | { readonly atMost: number; of: string }): Row {
  const holds = "atLeast" in bound ? ratio >= bound.atLeast : ratio <= bound.atMost;
  const target = "atLeast" in bound ? `>= ${bound.atLeast} of ${bound.of}` : `<= ${bound.atMost} x ${bound.of}`;
  return { ...row, ratio, target, verdict: holds ? "ok" : "MISSED" };
}

/** The row with an upper bound on its median. */
export function limited(row: Row, most: number): Row {
  return { ...row, target: `< ${most} ${row.unit}`, verdict: row.median! < most ? "ok" : "MISSED" };
}

/** Mulberry32: the same order for the same seed. */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const result = items.slice();
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [result[i], result[j]] = [result[j]!, result[i]!];
  }
  return result;
}

/** Does the work with a folder of its own, which is removed afterwards. */
export async function inTemporaryFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "pawl-bench-"));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export interface ChildEnd {
  /** The last line of its output, read as JSON; undefined when there is none. */
  readonly answer: unknown;
  readonly signal: NodeJS.Signals | null;
}

/** Runs this Node on a file to its end. Its errors are shown; a failure rejects, unless it was killed. */
export function runChild(
  file: string,
  values: readonly string[],
  { flags = [], before = [] }: { flags?: string[]; before?: string[] } = {},
): Promise<ChildEnd> {
  const path = fileURLToPath(file);
  const [command, ...rest] = [...before, process.execPath, ...flags, path, ...values];
  return new Promise((resolve, reject) => {
    const child = spawn(command!, rest, { stdio: ["ignore", "pipe", "inherit"], cwd: join(import.meta.dirname, "../..") });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code !== 0 && signal !== "SIGKILL") return reject(new Error(`${file} ${values.join(" ")} ended with ${code ?? signal}`));
      const last = output.trim().split("\n").at(-1);
      resolve({ answer: last ? JSON.parse(last) : undefined, signal });
    });
  });
}

/** What makes a child read pawl from its sources, with collections on demand. */
export const FROM_SOURCE = ["--expose-gc", "--conditions=pawl-source"];
