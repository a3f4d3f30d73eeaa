/**
 * A disk that fails under a real process: it stops, says so, ends with 70, and the next one goes on with what was kept.
 */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../temporary-folder.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = temporaryFolder();

test("a write that the system refuses stops the process with PAWL_STORE_FAILED; nothing acknowledged is lost", () => {
  const document = join(folder.path, "big.yaml");
  const agents = `import { agent } from ${JSON.stringify(join(root, "src/index.ts"))}; import { z } from ${JSON.stringify(join(root, "node_modules/zod/index.js"))};
export const big = agent({ name: "big", input: z.any(), output: z.any(), run: () => "x".repeat(200_000) });`;
  writeFileSync(join(folder.path, "agents.ts"), agents);
  const nodes = [1, 2, 3, 4].map((n) => `  n${n}: { agent: big${n === 1 ? "" : `, after: [n${n - 1}]`} }`);
  writeFileSync(document, `name: big\nagents: { big: { module: ./agents.ts } }\nnodes:\n${nodes.join("\n")}\n`);
  const command = [
    process.execPath,
    "--conditions=pawl-source",
    join(root, "src/serve/bin.ts"),
    "run",
    document,
    "--id",
    "b",
    "--store",
    join(folder.path, "pawl.db"),
  ];
  const failed = spawnSync("bash", ["-c", 'ulimit -f 500; exec "$@"', "bash", ...command], { encoding: "utf8" });
  expect({ code: failed.status, stderr: failed.stderr }).toMatchObject({ code: 70, stderr: expect.stringContaining("PAWL_STORE_FAILED") as string });
  expect(failed.stderr).toContain("n1 completed");
  const again = spawnSync(command[0]!, command.slice(1), { encoding: "utf8" });
  expect(again.status).toBe(0);
  expect(again.stderr).not.toContain("n1 started");
  expect(again.stderr).toContain("run completed");
});
