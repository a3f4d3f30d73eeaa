/**
 * `pawl ls`, `show` and `watch`: looking at a store, also while a worker runs on it.
 */
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Workflow, open } from "pawl";
import { loadDefinition } from "../../src/serve/definition-file.ts";
import { type Folder, HELD, jsonLines, makeFolder } from "./command.ts";

async function startHeld(folder: Folder, id: string): Promise<void> {
  folder.write("held.yaml", HELD);
  await folder.start("run", "held.yaml", "--id", id, "--input", '{"text": "done"}').printed("held started");
}

test("ls, show and graph work while a worker runs", async () => {
  const folder = makeFolder();
  await startHeld(folder, "r-1");
  const { stdout } = await folder.pawl("ls");
  expect(stdout).toMatch(/^RUN +STATUS +WORKFLOW +STARTED +TOOK\nr-1 +running +pipeline /);
  const shown = JSON.parse((await folder.pawl("show", "r-1", "--json")).stdout) as { status: string; input: unknown; nodes: { status: string }[] };
  expect(shown).toMatchObject({ status: "running", input: { text: "done" } });
  expect(shown.nodes.map(({ status }) => status)).toEqual(["completed", "running", "waiting"]);
  expect(await folder.pawl("show", "r-1", "--result", "held")).toMatchObject({ code: 0, stdout: "null\n" });
  expect((await folder.pawl("graph", "r-1")).stdout).toContain('n1["held<br/>running"]:::running');
});

test("watch follows a run of another process to its result, with the exit code of run", async () => {
  const folder = makeFolder();
  await startHeld(folder, "r-1");
  const watching = folder.start("watch", "r-1");
  await watching.printed("1 of 3 nodes were done before");
  folder.open("held");
  const { code, stdout, stderr } = await watching.ended;
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ text: "done!" });
  expect(stderr).toMatch(/held completed in .*\n.*last started\n.*last completed in .*\n.*run completed/);
});

test("watch --json tells only what is new, then the result", async () => {
  const folder = makeFolder();
  await startHeld(folder, "r-1");
  const watching = folder.start("watch", "r-1", "--json");
  await watching.printed('"type":"run"');
  folder.open("held");
  const types = jsonLines((await watching.ended).stdout).map(({ type }) => type);
  expect(types).toEqual(["run", "node.completed", "node.started", "node.completed", "run.completed", "result"]);
});

test("watch of a run that was cancelled ends with 3", async () => {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  const workflow = (await loadDefinition(join(folder.path, "held.yaml"))) as Workflow;
  await using pawl = await open(join(folder.path, ".pawl/pawl.db"));
  const run = await pawl.start(workflow, { id: "r-1", input: {} });
  await run.cancel();
  expect(await folder.pawl("watch", "r-1")).toMatchObject({ code: 3, stderr: expect.stringContaining("PAWL_RUN_CANCELLED") as string });
});

test("a unique beginning of an id is enough; one that fits several names them", async () => {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  folder.open("held");
  await folder.pawl("run", "held.yaml", "--id", "alpha-1");
  await folder.pawl("run", "held.yaml", "--id", "alpha-2");
  await folder.pawl("run", "held.yaml", "--id", "beta-1");
  expect((await folder.pawl("show", "b")).stdout).toMatch(/^run +beta-1\n/);
  expect(await folder.pawl("show", "alp")).toMatchObject({ code: 2, stderr: expect.stringContaining("alpha-2, alpha-1") as string });
  expect(await folder.pawl("show", "gamma")).toMatchObject({ code: 5, stderr: expect.stringContaining("PAWL_RUN_NOT_FOUND") as string });
});

test("ls filters and pages", async () => {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  folder.write("other.yaml", HELD.replace("name: pipeline", "name: other").replace("agent: gate", "agent: broken"));
  folder.open("held");
  for (const id of ["r-1", "r-2"]) await folder.pawl("run", "held.yaml", "--id", id);
  await folder.pawl("run", "other.yaml", "--id", "o-1");
  const ids = async (...words: string[]): Promise<string[]> =>
    (JSON.parse((await folder.pawl("ls", "--json", ...words)).stdout) as { id: string }[]).map(({ id }) => id);
  expect(await ids()).toEqual(["o-1", "r-2", "r-1"]);
  expect(await ids("--status", "failed")).toEqual(["o-1"]);
  expect(await ids("--workflow", "pipeline", "--limit", "1")).toEqual(["r-2"]);
  expect(await ids("--workflow", "pipeline", "--after", "r-2")).toEqual(["r-1"]);
  expect((await folder.pawl("ls", "--limit", "1")).stderr).toBe("more: pawl ls --after o-1 --limit 1\n");
});

test("show --history lists what happened, and what data says cannot control the terminal", async () => {
  const folder = makeFolder();
  folder.write("other.yaml", HELD.replace("agent: gate", "agent: broken"));
  await folder.pawl("run", "other.yaml", "--id", "o-1");
  const { stdout } = await folder.pawl("show", "o-1", "--history");
  expect(stdout).toMatch(/held +failed +1 .* broken +PAWL_AGENT_FAILED no such/);
  expect(stdout).toMatch(/last +blocked +echo +failed before it: held/);
  expect(stdout).toMatch(/\n1 +[\d-]+ [\d:]+ +run started\n/);
  expect(stdout).toMatch(/held failed, attempt 1: PAWL_AGENT_FAILED no such/);
  expect(stdout).not.toContain("\u001B");
});

test("a folder without a store is told what to do", async () => {
  const folder = makeFolder();
  const { code, stderr } = await folder.pawl("ls");
  expect(code).toBe(2);
  expect(stderr).toBe(
    "PAWL_STORE_UNREADABLE there is no store yet\n  .pawl/pawl.db\nnext: start a run with `pawl run FILE`, or name another store with --store or PAWL_STORE\n",
  );
});

test("a reader that has enough ends the command without an error", async () => {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  folder.open("held");
  await folder.pawl("run", "held.yaml", "--id", "r-1");
  const command = folder.start("show", "r-1", "--history");
  command.process.stdout!.destroy();
  expect(await command.ended).toMatchObject({ code: 0, stderr: "" });
});
