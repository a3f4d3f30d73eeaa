/**
 * `pawl prune`, `backup`, `restore` and `doctor`, as one types them, also while a worker runs.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Finding } from "pawl";
import { type Folder, HELD, makeFolder } from "./command.ts";

/** A folder with two ended runs, and one that a worker holds. */
async function makeBusyFolder(): Promise<Folder> {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  folder.write("other.yaml", HELD.replace("name: pipeline", "name: other").replace("agent: gate", "agent: broken"));
  folder.write("free.yaml", HELD.replace("name: pipeline", "name: free").replace("agent: gate", "agent: echo"));
  await folder.pawl("run", "free.yaml", "--id", "done-1", "--input", '{"text": "x"}');
  await folder.pawl("run", "other.yaml", "--id", "failed-1", "--input", '{"text": "x"}');
  await folder.start("run", "held.yaml", "--id", "held-1", "--input", '{"text": "x"}').printed("held started");
  return folder;
}

const idsIn = async (folder: Folder, ...words: string[]): Promise<string[]> =>
  (JSON.parse((await folder.pawl("ls", "--json", ...words)).stdout) as { id: string }[]).map(({ id }) => id).sort();

test("prune takes what ended before, beside a worker; failed runs only when they are named", async () => {
  const folder = await makeBusyFolder();
  expect(await folder.pawl("prune", "--older", "1h")).toMatchObject({ code: 0, stdout: "pruned 0 runs, 0 rows\n" });
  expect(await folder.pawl("prune", "--older", "1ms", "--dry-run")).toMatchObject({ code: 0, stdout: "would prune 1 run\n" });
  expect((await folder.pawl("prune", "--older", "1ms")).stdout).toMatch(/^pruned 1 run, \d+ rows\n$/);
  expect(await idsIn(folder)).toEqual(["failed-1", "held-1"]);
  expect((await folder.pawl("prune", "--older", "1ms", "--status", "failed", "--workflow", "free")).stdout).toBe("pruned 0 runs, 0 rows\n");
  const { stdout } = await folder.pawl("prune", "--older", "1ms", "--status", "failed", "timedOut", "--json");
  expect(JSON.parse(stdout)).toMatchObject({ discarded: 1, dryRun: false });
  expect(await idsIn(folder)).toEqual(["held-1"]);
  expect(await folder.pawl("show", "done-1")).toMatchObject({ code: 5 });
});

test("prune without a length of time, or with none, is a mistake in usage", async () => {
  const folder = await makeBusyFolder();
  expect(await folder.pawl("prune")).toMatchObject({ code: 2, stderr: expect.stringContaining("--older <duration>") as string });
  expect(await folder.pawl("prune", "--older", "soon")).toMatchObject({ code: 2, stderr: expect.stringContaining("PAWL_INVALID_VALUE") as string });
});

test("a backup is taken beside a worker, and restored when it is gone; the store that was there is kept", async () => {
  const folder = await makeBusyFolder();
  expect((await folder.pawl("backup", "b/one.db.zst")).stdout).toMatch(/^b\/one\.db\.zst: 3 runs, [\d.]+ KiB, newest commit [\d-]+ [\d:]+; checked\n$/);
  expect(await folder.pawl("backup", "b/one.db.zst")).toMatchObject({ code: 2, stderr: expect.stringContaining("PAWL_FILE_EXISTS") as string });
  expect(JSON.parse((await folder.pawl("backup", "b/one.db.zst", "--force", "--json")).stdout)).toMatchObject({ path: "b/one.db.zst", runs: 3 });
  expect(await folder.pawl("restore", "b/one.db.zst")).toMatchObject({ code: 2, stderr: expect.stringContaining("--force") as string });
  expect(await folder.pawl("restore", "b/one.db.zst", "--force")).toMatchObject({ code: 70, stderr: expect.stringContaining("PAWL_STORE_LOCKED") as string });
  expect(await idsIn(folder)).toHaveLength(3);
  folder.open("held");
  await folder.pawl("watch", "held-1");
  await folder.pawl("prune", "--older", "1ms");
  expect(await idsIn(folder)).toEqual(["failed-1"]);
  const restored = await folder.pawl("restore", "b/one.db.zst", "--force");
  expect(restored).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\.pawl\/pawl\.db: 3 runs, .*; checked and restored\n$/) as string });
  expect(restored.stderr).toMatch(/^the store that was there is kept as .*pawl\.db\.before-restore-1\n$/);
  expect(await idsIn(folder)).toEqual(["done-1", "failed-1", "held-1"]);
  expect(await idsIn(folder, "--store", ".pawl/pawl.db.before-restore-1")).toEqual(["failed-1"]);
  expect(await folder.pawl("run", "held.yaml", "--id", "held-1", "--input", '{"text": "x"}')).toMatchObject({ code: 0 });
});

test("a damaged backup is refused with 70, and the store stays", async () => {
  const folder = await makeBusyFolder();
  await folder.pawl("backup", "one.db.zst");
  writeFileSync(join(folder.path, "one.db.zst"), readFileSync(join(folder.path, "one.db.zst")).subarray(0, -100));
  expect(await folder.pawl("restore", "one.db.zst", "--store", "new.db")).toMatchObject({
    code: 70,
    stderr: expect.stringContaining("PAWL_BACKUP_DAMAGED") as string,
  });
  expect(existsSync(join(folder.path, "new.db"))).toBe(false);
});

test("doctor finds nothing wrong beside a worker that works", async () => {
  const folder = await makeBusyFolder();
  const { code, stdout } = await folder.pawl("doctor", "--full");
  expect(stdout).toMatch(/^ok +runtime +Node\.js/);
  expect(stdout).toMatch(/ok +worker +worker 3: process \d+/);
  expect({ code, last: stdout.trim().split("\n").at(-1) }).toEqual({ code: 0, last: "all is well" });
});

test("doctor says what to do about a worker that was killed, and does it with --fix", async () => {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  const worker = folder.start("run", "held.yaml", "--id", "held-1", "--input", '{"text": "x"}');
  await worker.printed("held started");
  worker.kill("SIGKILL");
  await worker.ended;
  const { code, stdout } = await folder.pawl("doctor");
  expect(code).toBe(0);
  expect(stdout).toMatch(/warning +worker +worker 1: process \d+ ended without closing its epoch\n +next: the next worker takes its runs over/);
  const findings = JSON.parse((await folder.pawl("doctor", "--fix", "--json")).stdout) as Finding[];
  expect(findings.filter(({ code }) => code === "fixed").map(({ message }) => message)).toContain("closed the epoch of worker 1, which is gone");
  expect((await folder.pawl("doctor")).stdout).toMatch(
    /warning +definitions +1 run is unfinished, and there is no worker\n +next: start one with `pawl work FILE`, for: pipeline/,
  );
});

test("doctor ends with 1 when there is a problem, and never with an error", async () => {
  const folder = makeFolder();
  expect(await folder.pawl("doctor")).toMatchObject({ code: 1, stderr: "" });
  folder.write("pawl.db", "hello ".repeat(1_000));
  const { code, stdout, stderr } = await folder.pawl("doctor", "--store", "pawl.db");
  expect({ code, stderr }).toEqual({ code: 1, stderr: "" });
  expect(stdout).toMatch(/problem +integrity +the file is no database\n +next: name another file/);
});
