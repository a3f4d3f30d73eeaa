/**
 * After kill -9: half way through 1,000 runs of 10 nodes that were all started, and with 10,000 runs of which none has
 * come further than its first agent. How long until the first node runs again, and how fast the rest is done against
 * the same work without a kill in a process as young. pawl as it is published.
 * NOT measured: the start of Node itself; a cold disk cache; agents that take time.
 */
import { join } from "node:path";
import { build } from "./cold.ts";
import { type Benchmark, type Contender, type Row, inTemporaryFolder, limited, medianRatio, race, rowOf, runChild } from "./harness.ts";

/** What a child says at its end. */
interface ResumeAnswer {
  readonly firstNodeMs: number;
  readonly firstCompletedMs: number;
  readonly nodes: number;
  readonly restMs: number;
}

const FIRST_NODE_MAX_MS = 300;
const LENGTH = 10;

export const resume: Benchmark = {
  name: "resume",
  title: "resume: after kill -9",
  async run(settings) {
    build(settings);
    const runs = settings.quick ? 20 : 1_000;
    const many = settings.quick ? 100 : 10_000;
    const contenders: Contender<ResumeAnswer>[] = [
      { name: "whole", run: () => onFreshFile((file) => child("begin", file, runs, 0)) },
      { name: "half", run: () => onFreshFile((file) => killedThenResumed("begin", file, runs, (runs * LENGTH) / 2)) },
      { name: "whole, many", run: () => onFreshFile((file) => child("begin", file, many, 0)) },
      { name: "stuck, many", run: () => onFreshFile((file) => killedThenResumed("stuck", file, many, 0)) },
    ];
    const answers = await race(contenders, { ...settings, warmUp: false });
    return [
      ...rowsOf(`${runs} chains, half done`, answers.get("half")!, answers.get("whole")!, runs),
      ...rowsOf(`${many} unfinished runs`, answers.get("stuck, many")!, answers.get("whole, many")!, many),
    ];
  },
};

const onFreshFile = <T>(work: (file: string) => Promise<T>): Promise<T> => inTemporaryFolder((folder) => work(join(folder, "pawl.db")));

async function killedThenResumed(mode: string, file: string, runs: number, killAfter: number): Promise<ResumeAnswer> {
  await child(mode, file, runs, killAfter);
  return child("resume", file, runs, 0);
}

/** `killAfter` nodes it kills itself; 0 means never. */
async function child(mode: string, file: string, runs: number, killAfter: number): Promise<ResumeAnswer> {
  const { answer, signal } = await runChild(import.meta.resolve("./resume-child.mjs"), [mode, file, String(runs), String(LENGTH), String(killAfter)]);
  if ((killAfter > 0 || mode === "stuck") !== (signal === "SIGKILL")) throw new Error(`resume-child ${mode} ended with ${signal}`);
  return answer as ResumeAnswer;
}

function rowsOf(what: string, resumed: readonly ResumeAnswer[], whole: readonly ResumeAnswer[], runs: number): Row[] {
  const perNode = (answers: readonly ResumeAnswer[]): number[] => answers.map(({ restMs, nodes }) => (restMs * 1_000) / nodes);
  const first = rowOf(
    `${what}: first line to the first node's run`,
    "ms",
    resumed.map(({ firstNodeMs }) => firstNodeMs),
  );
  const completed = rowOf(
    `${what}: info: first line to the first run's end`,
    "ms",
    resumed.map(({ firstCompletedMs }) => firstCompletedMs),
  );
  return [
    limited(first, FIRST_NODE_MAX_MS),
    completed,
    { ...rowOf(`${what}: the rest`, "µs/node", perNode(resumed)), ratio: medianRatio(perNode(whole), perNode(resumed)) },
    rowOf(`${runs} chains, all started at once, never killed`, "µs/node", perNode(whole)),
  ];
}
