/**
 * Starting from nothing: a process that imports pawl as it is published, opens a fresh file and completes a run of one
 * node, against one that imports only xstate and opens such a file. From the spawn to the end of the work, as the child tells.
 * NOT measured: a cold disk cache; `npx`; the time the process takes to end, but for the row that says so.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Benchmark, type Settings, inTemporaryFolder, judged, medianRatio, race, rowOf, runChild } from "./harness.ts";

const SHARE_MAX = 2;
const ROUNDS_MIN = 9;
const ROOT = join(import.meta.dirname, "../..");

/** Builds what is published, as users get it; the quick mode takes what is there. */
export function build(settings: Settings): void {
  if (settings.quick && existsSync(join(ROOT, "dist/src/index.js"))) return;
  const { status, stderr, stdout } = spawnSync("npm", ["run", "build"], { cwd: ROOT, encoding: "utf8" });
  if (status !== 0) throw new Error(`npm run build failed: ${stdout}${stderr}`);
}

export const cold: Benchmark = {
  name: "cold",
  title: "cold: a process from nothing to its first completed run",
  async run(settings) {
    build(settings);
    const wallMs: number[] = [];
    const times = await inTemporaryFolder((folder) => {
      const spawned = async (what: string): Promise<number> => {
        const file = join(folder, what === "pawl" ? `pawl-${wallMs.length}.db` : "pawl-0.db");
        const startedAt = performance.timeOrigin + performance.now();
        const { answer } = await runChild(import.meta.resolve("./cold-child.mjs"), [what, file]);
        if (what === "pawl") wallMs.push(performance.timeOrigin + performance.now() - startedAt);
        return (answer as { doneAt: number }).doneAt - startedAt;
      };
      const contenders = ["pawl", "xstate", "xstate+zod", "nothing"].map((name) => ({ name, run: () => spawned(name) }));
      return race(contenders, { ...settings, rounds: settings.quick ? 1 : Math.max(settings.rounds, ROUNDS_MIN) });
    });
    const [pawl, xstate, zod, nothing] = ["pawl", "xstate", "xstate+zod", "nothing"].map((name) => times.get(name)!) as [
      number[],
      number[],
      number[],
      number[],
    ];
    return [
      judged(rowOf("pawl: spawn to the first run's result", "ms", pawl), medianRatio(pawl, xstate), { atMost: SHARE_MAX, of: "xstate alone" }),
      rowOf("floor: imports xstate, opens the file", "ms", xstate),
      { ...rowOf("info: imports xstate and zod, opens the file", "ms", zod), ratio: medianRatio(pawl, zod) },
      { ...rowOf("info: imports nothing", "ms", nothing), ratio: medianRatio(pawl, nothing) },
      rowOf("info: pawl, spawn to the end of the process", "ms", wallMs.slice(settings.warmUp ? 1 : 0)),
    ];
  },
};
