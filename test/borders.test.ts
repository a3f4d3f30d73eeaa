/**
 * The borders between the rooms hold: a planted import that crosses one is a lint error, in each room.
 */
import { execFile } from "node:child_process";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { temporaryFolder } from "./temporary-folder.ts";

const root = fileURLToPath(new URL("../", import.meta.url));

/** By room: imports that must be refused there, and some that must not. */
const ROOMS: Readonly<Record<string, { readonly refused: readonly string[]; readonly fine: readonly string[] }>> = {
  machines: { refused: ["zod", "../src/errors.ts", "node:fs"], fine: ["xstate", "./node.ts"] },
  "src/define": { refused: ["xstate", "../run/row.ts", "../clock.ts", "node:fs"], fine: ["zod", "yaml", "./plan.ts", "../errors.ts"] },
  "src/store": { refused: ["xstate", "../run/row.ts", "../define/plan.ts"], fine: ["node:sqlite", "node:zlib", "./store.ts", "../clock.ts"] },
  "src/run": {
    refused: ["xstate", "croner", "../store/sqlite.ts", "../serve/cli.ts", "../watch/log.ts", "node:fs", "node:worker_threads"],
    fine: ["./row.ts", "../cron.ts", "./xstate/chart.ts", "../define/plan.ts", "../../machines/node.ts", "../store/store.ts", "../clock.ts"],
  },
  "src/run/xstate": { refused: ["../worker.ts", "../../store/store.ts"], fine: ["xstate", "./chart.ts", "../codec.ts", "../../errors.ts"] },
  "src/watch": { refused: ["../run/row.ts", "xstate", "node:os"], fine: ["pino", "../index.ts", "../run/metering.ts", "../run/health.ts"] },
  "src/ai": { refused: ["zod", "../run/worker.ts", "@ai-sdk/provider"], fine: ["ai", "./usage.ts", "../index.ts", "../define/schema.ts"] },
  "src/serve": { refused: ["../run/row.ts", "../store/sqlite.ts"], fine: ["commander", "./cli.ts", "../index.ts", "../watch/log.ts"] },
  "src/testing": {
    refused: ["vitest", "fast-check", "@xstate/graph", "../run/worker.ts", "../store/sqlite.ts", "node:timers"],
    fine: ["xstate", "xstate/graph", "zod", "./story.ts", "../index.ts", "../open.ts", "../store/memory.ts"],
  },
  "examples/one": { refused: ["../../src/index.ts"], fine: ["pawl", "pawl/ai", "pawl/testing", "xstate", "./agents.ts"] },
};

test("an import across a border is a lint error in every room", async () => {
  const { path: folder } = temporaryFolder();
  await copyFile(join(root, ".oxlintrc.json"), join(folder, ".oxlintrc.json"));
  const planted = async (path: string, imported: string): Promise<void> => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), `import { planted } from "${imported}";\n\nexport const used = [planted];\n`);
  };
  const expected: string[] = [];
  for (const [room, { refused, fine }] of Object.entries(ROOMS)) {
    for (const [i, imported] of refused.entries()) {
      await planted(`${room}/refused${i}.ts`, imported);
      expected.push(`${room}/refused${i}.ts`);
    }
    for (const [i, imported] of fine.entries()) await planted(`${room}/fine${i}.ts`, imported);
  }
  const oxlint = join(root, "node_modules/oxlint/bin/oxlint");
  const { stdout } = await promisify(execFile)(process.execPath, [oxlint, "--format", "unix"], { cwd: folder }).catch((error: { stdout: string }) => error);
  const reported = [...stdout.matchAll(/^(\S+?):\d+:\d+:.*restricted/gm)].map(([, path]) => path!.replace(`${folder}/`, ""));
  expect(reported.toSorted()).toEqual(expected.toSorted());
});
