/**
 * What one does to a run from another terminal while a worker executes it, or while none does: send, cancel, pause, resume.
 */
import { expect, test, vi } from "vitest";
import { APPROVAL, type Ended, type Folder, HELD, jsonLines, makeFolder } from "./command.ts";

const INPUT = ["--input", '{"text": "done"}'];

function folderWithBoth(): Folder {
  const folder = makeFolder();
  folder.write("approval.ts", APPROVAL);
  folder.write("held.yaml", HELD);
  return folder;
}

/** A machine's run that waits, and the worker that has it. */
async function waiting(): Promise<{ readonly folder: Folder; readonly pid: number }> {
  const folder = folderWithBoth();
  const worker = await folder.work("approval.ts");
  await folder.pawl("start", "approval.ts", "--id", "doc-7");
  await vi.waitFor(async () => expect((await folder.pawl("show", "doc-7", "--json")).stdout).toContain('"APPROVE"'), { timeout: 30_000, interval: 10 });
  return { folder, pid: worker.process.pid! };
}

/** A workflow's run of which `held` is under way. */
async function underWay(): Promise<{ readonly folder: Folder; readonly pid: number }> {
  const folder = folderWithBoth();
  const worker = await folder.work("held.yaml");
  await folder.pawl("start", "held.yaml", "--id", "r-1", ...INPUT);
  await folder.called("held");
  return { folder, pid: worker.process.pid! };
}

const problem = (code: number, stderr: string): Partial<Ended> => ({ code, stdout: "", stderr: expect.stringContaining(stderr) as string });

// ---- send

test("send tells what came of the event, which commit took it, and who", async () => {
  const { folder, pid } = await waiting();
  const noted = await folder.pawl("send", "doc", "NOTE", '{"text": "hello"}');
  expect(noted).toMatchObject({ code: 0, stderr: "" });
  expect(noted.stdout).toMatch(new RegExp(`^run doc-7 took NOTE, and is in waiting as before; commit \\d+ \\(worker ${pid}\\)\n$`));
  const approved = await folder.pawl("send", "doc-7", "APPROVE");
  expect(approved.stdout).toMatch(new RegExp(`^run doc-7 took APPROVE: waiting → approved; commit \\d+ \\(worker ${pid}\\)\n$`));
  expect((await folder.pawl("watch", "doc-7")).code).toBe(0);
});

test("send --json is one object", async () => {
  const { folder } = await waiting();
  const { code, stdout } = await folder.pawl("send", "doc-7", "APPROVE", "--json");
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    runId: "doc-7",
    event: "APPROVE",
    commitNo: expect.any(Number) as number,
    handled: true,
    value: "approved",
    changed: true,
    duplicate: false,
  });
});

test("an event of the same id is taken once", async () => {
  const { folder } = await waiting();
  const send = (...words: string[]): Promise<Ended> => folder.pawl("send", "doc-7", "NOTE", "--event-id", "mail-1", ...words);
  const first = JSON.parse((await send("--json")).stdout) as { commitNo: number };
  expect(await send()).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(new RegExp(`^run doc-7 took the event of this id before, with commit ${first.commitNo}: nothing was done now`)) as string,
  });
});

test("an event that the machine does not have is refused with those that it has; one that no transition takes is told, and with --strict an error", async () => {
  const { folder } = await waiting();
  expect(await folder.pawl("send", "doc-7", "APROVE")).toEqual(
    problem(1, 'PAWL_EVENT_REFUSED machine "approval" has no event "APROVE"; its present state takes APPROVE'),
  );
  const { code, stderr } = await folder.pawl("send", "doc-7", "APROVE", "--json");
  expect([code, jsonLines(stderr)[0]]).toMatchObject([1, { code: "PAWL_EVENT_REFUSED" }]);
  expect(await folder.pawl("send", "doc-7", "REOPEN")).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("run doc-7 is in waiting, where no transition takes REOPEN; commit ") as string,
  });
  expect(await folder.pawl("send", "doc-7", "REOPEN", "--strict")).toEqual(problem(1, "PAWL_EVENT_UNHANDLED"));
});

test("what cannot be sent is told before anything is recorded", async () => {
  const { folder } = await waiting();
  expect(await folder.pawl("send", "doc-8", "NOTE")).toEqual(problem(5, "PAWL_RUN_NOT_FOUND"));
  expect(await folder.pawl("send", "doc-7", "NOTE", "[1]")).toEqual(problem(2, "data is no object"));
  expect(await folder.pawl("send", "doc-7", "NOTE", "{text: 1}")).toEqual(problem(2, "PAWL_USAGE"));
  expect(await folder.pawl("send", "doc-7", "NOTE", "--timeout", "soon")).toEqual(problem(2, "PAWL_INVALID_VALUE"));
  await folder.pawl("send", "doc-7", "APPROVE");
  expect(await folder.pawl("send", "doc-7", "NOTE")).toEqual(problem(1, 'PAWL_RUN_ENDED run "doc-7" is completed'));
});

test("a workflow without events takes none", async () => {
  const { folder } = await underWay();
  expect(await folder.pawl("send", "r-1", "NOTE")).toEqual(problem(1, 'PAWL_EVENT_REFUSED workflow "pipeline" has no event "NOTE"; it takes none'));
  folder.write("other.yaml", HELD.replace("pipeline", "other"));
  await folder.pawl("start", "other.yaml", "--id", "o-1", ...INPUT);
  expect(await folder.pawl("send", "o-1", "NOTE"), "also when nobody has it").toEqual(problem(1, 'workflow "other" has no event "NOTE"'));
});

// ---- pause and resume

test("between pause and resume no attempt starts; what is under way ends, and its result is kept", async () => {
  const { folder, pid } = await underWay();
  const paused = await folder.pawl("pause", "r-1");
  expect(paused.stdout).toMatch(new RegExp(`^run r-1 is paused until \`pawl resume r-1\`; commit \\d+ \\(worker ${pid}\\)\n$`));
  folder.open("held");
  await folder.seen("r-1", /2 of 3 nodes were done before; it is paused|held completed/);
  const shown = JSON.parse((await folder.pawl("show", "r-1", "--json")).stdout) as { status: string; nodes: { status: string }[] };
  expect([shown.status, shown.nodes.map(({ status }) => status)]).toEqual(["paused", ["completed", "completed", "queued"]]);
  expect((await folder.pawl("show", "r-1")).stdout).toMatch(/^paused +nothing is started until `pawl resume r-1`$/m);
  expect((await folder.pawl("ls", "--status", "paused")).stdout).toMatch(/^r-1 +paused +pipeline /m);
  expect(folder.calls()).toEqual(["first", "held"]);
  expect((await folder.pawl("resume", "r-1")).stdout).toMatch(new RegExp(`^run r-1 goes on; commit \\d+ \\(worker ${pid}\\)\n$`));
  expect(await folder.pawl("watch", "r-1")).toMatchObject({ code: 0, stdout: '{\n  "text": "done!"\n}\n' });
  expect(folder.calls()).toEqual(["first", "held", "last"]);
  expect((await folder.pawl("show", "r-1", "--history")).stdout).toMatch(
    /run paused\n(?:.*\n)*.*held completed in .*\n(?:.*\n)*.*run goes on after its pause\n(?:.*\n)*.*last started\n/,
  );
});

test("watch tells of pause and resume as they come", async () => {
  const { folder } = await underWay();
  const watching = folder.start("watch", "r-1");
  await watching.printed("1 of 3 nodes were done before\n");
  await folder.pawl("pause", "r-1");
  await watching.printed("run paused\n");
  await folder.pawl("resume", "r-1");
  await watching.printed("run goes on after its pause\n");
  folder.open("held");
  expect((await watching.ended).code).toBe(0);
});

test("the inspector's messages of a paused run go on when it does, to its end", async () => {
  const { folder } = await underWay();
  await folder.pawl("pause", "r-1");
  const inspecting = folder.start("inspect", "r-1", "--json");
  await inspecting.printed('"run.paused"');
  await folder.pawl("resume", "r-1");
  folder.open("held");
  const { code, stdout } = await inspecting.ended;
  expect([code, jsonLines(stdout).at(-1)]).toMatchObject([0, { snapshot: { status: "done" } }]);
  expect(stdout).toContain('"run.completed"');
});

test("what is there already is said: paused before, not paused, ended", async () => {
  const { folder } = await underWay();
  expect((await folder.pawl("resume", "r-1")).stdout).toBe("run r-1 was not paused: it is running\n");
  const first = JSON.parse((await folder.pawl("pause", "r-1", "--json")).stdout) as object;
  expect(first).toEqual({ runId: "r-1", status: "paused", commitNo: expect.any(Number) as number });
  expect(await folder.pawl("pause", "r-1")).toMatchObject({ code: 0, stdout: "run r-1 was paused before\n" });
  expect(JSON.parse((await folder.pawl("resume", "r-1", "--json")).stdout)).toMatchObject({ runId: "r-1", status: "running" });
  folder.open("held");
  await folder.pawl("watch", "r-1");
  expect(await folder.pawl("pause", "r-1")).toEqual(problem(1, 'PAWL_RUN_ENDED run "r-1" is completed\nnext: see `pawl show r-1`\n'));
});

test("what is sent to a paused run is recorded, which is an exit code of its own, and is taken when it goes on", async () => {
  const { folder } = await waiting();
  await folder.pawl("pause", "doc-7");
  const sent = await folder.pawl("send", "doc-7", "APPROVE", "--timeout", "300ms");
  expect(sent).toEqual(problem(6, "PAWL_SEND_PENDING"));
  expect(sent.stderr).toContain("next: the run is paused; `pawl resume doc-7`, and it is done\n");
  await folder.pawl("resume", "doc-7");
  expect((await folder.pawl("watch", "doc-7")).code).toBe(0);
});

// ---- cancel

test("cancel aborts what is under way, and resume goes on where it was cut off", async () => {
  const { folder, pid } = await underWay();
  expect((await folder.pawl("cancel", "r-1")).stdout).toMatch(new RegExp(`^run r-1 is cancelled; commit \\d+ \\(worker ${pid}\\)\n$`));
  expect((await folder.pawl("watch", "r-1")).code).toBe(3);
  expect((await folder.pawl("cancel", "r-1")).stdout).toMatch(/^run r-1 was cancelled before; commit \d+\n$/);
  folder.open("held");
  expect((await folder.pawl("resume", "r-1")).stdout).toMatch(new RegExp(`^run r-1 goes on where it was cut off; commit \\d+; worker ${pid} does it\n$`));
  expect(await folder.pawl("watch", "r-1")).toMatchObject({ code: 0, stdout: '{\n  "text": "done!"\n}\n' });
  expect(folder.calls()).toEqual(["first", "held", "held", "last"]);
  expect(await folder.pawl("cancel", "r-1")).toEqual(problem(1, "there was nothing to cancel"));
});

test("cancel --now --json says that nothing was undone", async () => {
  const { folder } = await underWay();
  const { code, stdout } = await folder.pawl("cancel", "r-1", "--now", "--json");
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ runId: "r-1", status: "cancelled", terminated: true, commitNo: expect.any(Number) as number });
  expect((await folder.pawl("show", "r-1")).stdout).toMatch(/^ended +at once: nothing was run that would undo what was done$/m);
});

// ---- no worker

test("without a worker it is recorded, and a worker that is started later does it", async () => {
  const folder = folderWithBoth();
  const started = await folder.pawl("start", "approval.ts", "--id", "doc-7");
  expect(started).toEqual({
    code: 0,
    stdout: "doc-7\n",
    stderr: "recorded; no worker has its definition now: it is done when one does, with `pawl work approval.ts`\n",
  });
  const sent = await folder.pawl("send", "doc-7", "APPROVE");
  expect(sent).toEqual(problem(6, "PAWL_SEND_PENDING no worker runs on this store; it is recorded, and will be done once"));
  expect(sent.stderr).toContain("`pawl work FILE`");
  expect((await folder.pawl("ls")).stdout).toMatch(/^doc-7 +pending /m);
  const worker = await folder.work("approval.ts");
  await worker.printed("run doc-7 completed\n");
  expect(JSON.parse((await folder.pawl("show", "doc-7", "--json")).stdout)).toMatchObject({ status: "completed", state: "approved" });
});

test("a worker without the definition is as good as none", async () => {
  const folder = folderWithBoth();
  await folder.work("held.yaml");
  await folder.pawl("start", "approval.ts", "--id", "doc-7");
  expect(await folder.pawl("pause", "doc-7")).toEqual(problem(6, 'no worker on this store was given the definition of run "doc-7" of "approval"'));
  const later = await folder.work("approval.ts");
  await folder.seen("doc-7", "it is paused");
  await folder.pawl("resume", "doc-7");
  await folder.pawl("send", "doc-7", "APPROVE");
  await later.printed("run doc-7 completed\n");
});

test("show and watch say which worker has a run, or that none has", async () => {
  const { folder, pid } = await waiting();
  expect((await folder.pawl("show", "doc-7")).stdout).toMatch(new RegExp(`^worker +${pid}$`, "m"));
  expect(JSON.parse((await folder.pawl("show", "doc-7", "--json")).stdout)).toMatchObject({ workers: [pid] });
  await folder.pawl("start", "held.yaml", "--id", "r-1", ...INPUT);
  const { stdout } = await folder.pawl("show", "r-1");
  expect(stdout).toMatch(/^worker +none: it goes on when one has its definition: `pawl work FILE`$/m);
  expect(stdout, "a node that waits for no other").toMatch(/^first +waiting +echo$/m);
  await folder.seen("r-1", "no worker has it: it goes on when one has its definition: `pawl work FILE`\n");
  await folder.pawl("send", "doc-7", "APPROVE");
  expect((await folder.pawl("show", "doc-7")).stdout).not.toMatch(/^worker/m);
});

test("a worker that is stopped is named by who asks it for something", async () => {
  const { folder, pid } = await waiting();
  // it writes nothing any more: who is stopped in a transaction holds the file
  await folder.seen("doc-7", "waits for an event: APPROVE, NOTE");
  process.kill(pid, "SIGSTOP");
  const sent = await folder.pawl("send", "doc-7", "APPROVE", "--timeout", "300ms");
  expect(sent).toEqual(problem(6, `next: worker ${pid} does it; if it is stopped, another one does so when it was silent for 15 s\n`));
  process.kill(pid, "SIGCONT");
  expect((await folder.pawl("watch", "doc-7")).code).toBe(0);
});

test("checkpoints are those commits in which something happened, and the first", async () => {
  const { folder } = await waiting();
  await folder.pawl("pause", "doc-7");
  await folder.pawl("resume", "doc-7");
  const { stdout } = await folder.pawl("show", "doc-7", "--checkpoints");
  const told = stdout.split("CHECKPOINT")[1]!.trim().split("\n").slice(1);
  expect(told.map((line) => line.replace(/^\d+ +[\d-]+ [\d:]+ +/, ""))).toEqual([
    "run recorded",
    "begins → waiting",
    "run paused",
    "run goes on after its pause",
  ]);
});

test("a cancel without a worker is recorded; with --now it is done at once", async () => {
  const folder = folderWithBoth();
  for (const id of ["a-1", "b-1"]) await folder.pawl("start", "held.yaml", "--id", id, ...INPUT);
  expect(await folder.pawl("cancel", "a-1")).toEqual(problem(6, "PAWL_SEND_PENDING"));
  const now = await folder.pawl("cancel", "b-1", "--now");
  expect(now).toMatchObject({ code: 0, stdout: expect.stringMatching(/^run b-1 is cancelled at once; commit \d+\n$/) as string });
  const worker = await folder.work("held.yaml");
  await worker.printed("run a-1 cancelled\n");
  expect(folder.calls()).toEqual([]);
});
