/**
 * `pawl retry` and `pawl fork`: what failed is run again, in place or as another run, while a worker executes beside.
 */
import { expect, test } from "vitest";
import { AGENTS_OF_DOCUMENT, APPROVAL, type Ended, type Folder, HELD, makeFolder } from "./command.ts";

/** `first` is kept; `lack` and `other` fail until the test opens them; `last` is blocked by both. */
const LACKING = `name: lacking
${AGENTS_OF_DOCUMENT.trimEnd()}
  lacking: { module: ./agents.mjs }
nodes:
  first: { agent: echo, input: { text: "\${input.text}" } }
  lack: { agent: lacking, input: "\${first.result.text}" }
  other: { agent: lacking, input: "\${first.result.text}" }
  last: { agent: echo, input: { text: "\${lack.result} \${other.result}" } }
output: { text: "\${last.result.text}" }
`;
const INPUT = ["--input", '{"text": "done"}'];
const problem = (code: number, stderr: string): Partial<Ended> => ({ code, stdout: "", stderr: expect.stringContaining(stderr) as string });

/** A worker, and a run that has failed at two nodes. */
async function failed(): Promise<{ readonly folder: Folder; readonly pid: number }> {
  const folder = makeFolder();
  folder.write("lacking.yaml", LACKING);
  const worker = await folder.work("lacking.yaml");
  await folder.pawl("start", "lacking.yaml", "--id", "r-1", ...INPUT);
  await worker.printed("run r-1 failed: ");
  return { folder, pid: worker.process.pid! };
}

/** A worker, and a run that has completed. */
async function completed(): Promise<{ readonly folder: Folder; readonly pid: number }> {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  folder.open("held");
  const worker = await folder.work("held.yaml");
  await folder.pawl("start", "held.yaml", "--id", "r-1", ...INPUT);
  await worker.printed("run r-1 completed");
  return { folder, pid: worker.process.pid! };
}

// ---- retry

test("once the cause is repaired, retry runs again what failed, and keeps what was done", async () => {
  const { folder, pid } = await failed();
  for (const node of ["lack", "other"]) folder.open(node);
  const { code, stdout } = await folder.pawl("retry", "r-1");
  expect(code).toBe(0);
  expect(stdout).toMatch(new RegExp(`^run r-1 is tried again: lack, other, last; commit \\d+; worker ${pid} does it\n$`));
  expect(await folder.pawl("watch", "r-1")).toMatchObject({ code: 0, stdout: '{\n  "text": "done done"\n}\n' });
  expect(folder.calls().toSorted()).toEqual(["first", "lack", "lack", "last", "other", "other"]);
  expect((await folder.pawl("show", "r-1", "--history")).stdout).toMatch(
    /run failed(?:.*\n)*.*run is tried again\n(?:.*\n)*.*lack is tried again\n(?:.*\n)*.*run completed\n/,
  );
});

test("retry --node runs again only that one; the others stay failed, and the watcher's board says so", async () => {
  const { folder } = await failed();
  folder.open("lack");
  const { stdout } = await folder.pawl("retry", "r-1", "--node", "lack", "--json");
  expect(JSON.parse(stdout)).toMatchObject({ runId: "r-1", runsAgain: ["lack"], commitNo: expect.any(Number) as number });
  const watched = await folder.pawl("watch", "r-1");
  expect(watched.code).toBe(1);
  const shown = JSON.parse((await folder.pawl("show", "r-1", "--json")).stdout) as { nodes: { id: string; status: string }[] };
  expect(shown.nodes.map(({ id, status }) => [id, status])).toEqual([
    ["first", "completed"],
    ["lack", "completed"],
    ["other", "failed"],
    ["last", "blocked"],
  ]);
});

test("retry says what cannot be tried again, and what can", async () => {
  const { folder } = await failed();
  expect(await folder.pawl("retry", "r-1", "--node", "lakc")).toEqual(problem(2, 'PAWL_INVALID_VALUE run "r-1" has no node "lakc"'));
  const notFailed = await folder.pawl("retry", "r-1", "--node", "first");
  expect(notFailed).toEqual(problem(2, 'node "first" of run "r-1" did not fail'));
  expect(notFailed.stderr).toContain("those that failed are lack, other");
  expect(await folder.pawl("retry", "r-2")).toEqual(problem(5, "PAWL_RUN_NOT_FOUND"));
});

test("a run that is under way or completed is not tried again", async () => {
  const { folder } = await completed();
  expect(await folder.pawl("retry", "r-1")).toEqual(problem(1, "PAWL_RUN_NOT_RETRYABLE"));
});

test("a retry without a worker says that none has the definition, and one that is started later does it", async () => {
  const folder = makeFolder();
  folder.write("lacking.yaml", LACKING);
  expect((await folder.pawl("run", "lacking.yaml", "--id", "r-1", ...INPUT)).code).toBe(1);
  for (const node of ["lack", "other"]) folder.open(node);
  expect((await folder.pawl("retry", "r-1")).stdout).toContain("no worker has its definition now");
  expect((await folder.pawl("run", "lacking.yaml", "--id", "r-1")).stdout).toBe('{\n  "text": "done done"\n}\n');
});

// ---- fork

test("without a terminal fork prints its plan and starts nothing, unless it is given --yes", async () => {
  const { folder, pid } = await completed();
  const plan = ["fork of r-1 as of commit 7", "keeps first", "runs again held, last", "sets", '  input.text: "done" → "other"', ""]
    .join("\n")
    .replace("commit 7", "commit N");
  const words = ["fork", "r-1", "--from", "held", "--set", 'input.text="other"'];
  const asked = await folder.pawl(...words);
  expect(asked.code).toBe(2);
  expect(asked.stdout.replace(/commit \d+/, "commit N").replace(/^kept, though.*\n/m, "")).toBe(plan);
  expect(asked.stderr).toBe("PAWL_USAGE nothing was started: there is no terminal to ask\nnext: give --yes to start it\n");
  expect((await folder.pawl("ls")).stdout.trim().split("\n")).toHaveLength(2);
  const forked = await folder.pawl(...words, "--id", "r-2", "--yes");
  expect(forked).toMatchObject({ code: 0, stdout: expect.stringContaining(`\nrun r-2 is recorded; worker ${pid} does it\n`) as string });
  expect((await folder.pawl("watch", "r-2")).code).toBe(0);
  expect(folder.calls()).toEqual(["first", "held", "last", "held", "last"]);
});

test("a run that was undone says from where it can be forked, and the fork what of it was undone since", async () => {
  const folder = makeFolder();
  const nodes = `
  first: { agent: echo, input: { text: "x" }, compensate: echo }
  last: { agent: broken, input: "\${first.result}", onFail: compensate }
`;
  folder.write("saga.yaml", `name: saga\n${AGENTS_OF_DOCUMENT}\nnodes:${nodes}`);
  const { code, stderr } = await folder.pawl("run", "saga.yaml", "--id", "r-1");
  expect([code, stderr]).toEqual([1, expect.stringContaining("next: see `pawl why r-1`: what it had done was undone; start it again under another id")]);
  const refused = await folder.pawl("fork", "r-1", "--from", "last", "--yes");
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringMatching(/^PAWL_INVALID_VALUE what run "r-1" had done is undone from commit \d+ on/)]);
  const from = /fork it from commit (\d+)/.exec(refused.stderr)![1]!;
  expect((await folder.pawl("why", "r-1")).stdout).toContain(`\`pawl fork r-1 --from ${from}\``);
  const { stdout } = await folder.pawl("fork", "r-1", "--from", from);
  expect(stdout).toContain("keeps first\nruns again last\nkept, though what they did was undone since: first\n");
});

test("fork --json prints the plan, and with --yes the new run's id", async () => {
  const { folder } = await completed();
  const words = ["fork", "r-1", "--from", "last", "--set", 'held.result={"text": "set"}', "--json"];
  const planned = await folder.pawl(...words);
  expect([planned.code, JSON.parse(planned.stdout), JSON.parse(planned.stderr)]).toMatchObject([
    2,
    { runId: "r-1", plan: { kind: "workflow", runsAgain: ["last"], keeps: [{ node: "first" }, { node: "held", status: "set" }] } },
    { code: "PAWL_USAGE" },
  ]);
  const { forkId, plan, runId } = JSON.parse((await folder.pawl(...words, "--yes")).stdout) as { forkId: string; plan: object; runId: string };
  expect([runId, plan]).toMatchObject(["r-1", { runsAgain: ["last"] }]);
  expect(await folder.pawl("watch", forkId)).toMatchObject({ code: 0, stdout: '{\n  "text": "set!"\n}\n' });
  const shown = await folder.pawl("show", forkId);
  expect(shown.stdout).toMatch(/^forked +from r-1, commit \d+, to run last again$/m);
});

test("on a terminal fork asks, and only yes starts it", async () => {
  const { folder } = await completed();
  const no = folder.startOnTerminal(24, "fork", "r-1", "--from", "last", "--id", "r-2");
  await no.printed("Start it? [y/N] ");
  expect(no.stdout).toContain("runs again last");
  no.type("\r");
  expect(await no.ended).toMatchObject({ code: 1, stdout: expect.stringContaining("nothing was started") as string });
  const yes = folder.startOnTerminal(24, "fork", "r-1", "--from", "last", "--id", "r-2");
  await yes.printed("Start it? [y/N] ");
  yes.type("y\r");
  expect(await yes.ended).toMatchObject({ code: 0, stdout: expect.stringContaining("run r-2 is recorded") as string });
  expect((await folder.pawl("watch", "r-2")).code).toBe(0);
});

test("a fork from a commit goes on from there, and watch shows what was kept", async () => {
  const { folder } = await completed();
  const { checkpoints } = JSON.parse((await folder.pawl("show", "r-1", "--checkpoints", "--json")).stdout) as {
    checkpoints: { commitNo: number; canFork: boolean; events: { type: string; node?: string }[] }[];
  };
  const { commitNo } = checkpoints.find(({ events }) => events.some(({ type, node }) => type === "node.completed" && node === "first"))!;
  expect(checkpoints.every(({ canFork }) => canFork)).toBe(true);
  const forked = await folder.pawl("fork", "r-1", "--from", String(commitNo), "--id", "r-2", "--yes");
  expect(forked.stdout).toContain(`fork of r-1 as of commit ${commitNo}\nkeeps first\nruns again held, last\n`);
  const { stderr } = await folder.pawl("watch", "r-2");
  expect(stderr).toMatch(/run r-2 of pipeline: \d of 3 nodes were done before/);
  expect((await folder.pawl("run", "held.yaml", "--id", "r-2")).stderr).toContain("run r-2 of pipeline: 3 of 3 nodes were done before");
  expect((await folder.pawl("show", "r-1", "--checkpoints")).stdout).toMatch(/\nCHECKPOINT +AT +WHAT HAPPENED\n1 +[\d-]+ [\d:]+.*\n/);
});

test("what a fork cannot begin with is refused before it is asked", async () => {
  const { folder } = await completed();
  expect(await folder.pawl("fork", "r-1", "--from", "lst")).toEqual(problem(2, 'has no node "lst"'));
  expect(await folder.pawl("fork", "r-1", "--from", "99")).toEqual(problem(2, "has no commit 99"));
  expect(await folder.pawl("fork", "r-1", "--from", "last", "--set", "input.text")).toEqual(problem(2, "has no value"));
  expect(await folder.pawl("fork", "r-1", "--from", "last", "--set", "input.text=other")).toEqual(problem(2, "PAWL_USAGE"));
  expect(await folder.pawl("fork", "r-2", "--from", "last")).toEqual(problem(5, "PAWL_RUN_NOT_FOUND"));
  expect((await folder.pawl("fork", "r-1")).stderr).toContain("required option '--from <node-or-commit>' not specified");
  const taken = await folder.pawl("fork", "r-1", "--from", "last", "--id", "r-1", "--yes");
  expect(taken).toMatchObject({ code: 2, stderr: expect.stringContaining("PAWL_RUN_CONFLICT") as string });
});

test("a machine's run is forked from a commit that is kept; an older one is refused with those that are there", async () => {
  const folder = makeFolder();
  folder.write("approval.ts", `${APPROVAL}\nimport { durable } from "pawl";\nexport default durable(approval, { keepCheckpoints: 2 });\n`);
  const worker = await folder.work("approval.ts");
  await folder.pawl("start", "approval.ts", "--id", "doc-7");
  for (const _ of Array(4).keys()) await folder.pawl("send", "doc-7", "NOTE");
  await folder.pawl("send", "doc-7", "APPROVE");
  await worker.printed("run doc-7 completed");
  expect(await folder.pawl("fork", "doc-7", "--from", "1")).toEqual(problem(1, "PAWL_CHECKPOINT_GONE"));
  const { stdout } = await folder.pawl("show", "doc-7", "--checkpoints", "--json");
  const { checkpoints } = JSON.parse(stdout) as { checkpoints: { commitNo: number; canFork: boolean }[] };
  const from = checkpoints.findLast(({ canFork }) => canFork)!.commitNo;
  const forked = await folder.pawl("fork", "doc-7", "--from", String(from), "--id", "doc-8", "--yes");
  expect(forked.stdout).toContain(`fork of doc-7 as of commit ${from}\nkeeps its state waiting\n`);
  await folder.seen("doc-8", "it was in waiting");
  await folder.pawl("send", "doc-8", "APPROVE");
  await worker.printed("run doc-8 completed");
  expect((await folder.pawl("show", "doc-8")).stdout).toMatch(new RegExp(`^forked +from doc-7, commit ${from}$`, "m"));
});
