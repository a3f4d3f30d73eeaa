/**
 * `pawl schedules`, `pawl work` with modules that export some, and runs that are started for later.
 */
import { expect, test } from "vitest";
import { jsonLines, makeFolder } from "./command.ts";

const NIGHTLY = `
import { schedule, workflow } from "pawl";
import { z } from "zod";
import { echo } from "./agents.mjs";
export const report = workflow({ name: "report", input: z.object({ days: z.number() }) }, (wf) => wf.node("echo", echo, { days: wf.input.days }).result);
export const nightly = schedule({ name: "nightly", workflow: report, input: { days: 1 }, cron: "0 3 1 1 *", timeZone: "Europe/Berlin" });
`;
/** The first of a January, at 3 in Berlin, in whatever zone this machine is. */
const NEXT = /^nightly +report +0 3 1 1 \* +Europe\/Berlin +(20\d\d-(?:01-01|12-31) \d\d:00:00)/m;

test("a worker serves what a module exports; ls tells of it, run starts it now", async () => {
  const folder = makeFolder();
  folder.write("nightly.ts", NIGHTLY);
  const worker = await folder.work("nightly.ts");
  expect(worker.stdout).toBe(`worker ${worker.process.pid} is ready on .pawl/pawl.db: report; schedules: nightly\n`);
  const before = await folder.pawl("schedules", "ls");
  expect(before).toMatchObject({ code: 0, stderr: "" });
  expect(before.stdout).toMatch(/^SCHEDULE +WORKFLOW +CRON +TIME ZONE +NEXT +LAST RUN +SKIPPED\n/);
  expect(before.stdout).toMatch(NEXT);
  const started = await folder.pawl("schedules", "run", "nightly");
  expect(started).toMatchObject({ code: 0, stderr: `recorded; worker ${worker.process.pid} does it\n` });
  const runId = started.stdout.trim();
  await worker.printed(`run ${runId} completed\n`);
  const [schedule] = JSON.parse((await folder.pawl("schedules", "ls", "--json")).stdout) as object[];
  expect(schedule).toMatchObject({ name: "nightly", workflow: "report", lastRunId: runId, skipped: 0, isServed: true });
  worker.kill("SIGTERM");
  await worker.ended;
  expect((await folder.pawl("schedules", "ls")).stdout).toContain(":00:00, but no worker serves it");
});

test("run and ls speak JSON; an unknown name is 5, none at all is told", async () => {
  const folder = makeFolder();
  folder.write("nightly.ts", `${NIGHTLY}\nexport const quiet = 1;\n`);
  const worker = folder.start("work", "nightly.ts", "--json");
  await worker.printed('"type":"ready"');
  expect(jsonLines(worker.stdout)).toMatchObject([{ definitions: ["report"], schedules: ["nightly"] }]);
  const { runId, ...facts } = JSON.parse((await folder.pawl("schedules", "run", "nightly", "--json")).stdout) as { runId: string };
  expect(facts).toEqual({ schedule: "nightly", workers: [worker.process.pid] });
  await worker.printed(runId);
  const unknown = await folder.pawl("schedules", "run", "nightli");
  expect(unknown).toEqual({
    code: 5,
    stdout: "",
    stderr: 'PAWL_SCHEDULE_NOT_FOUND there is no schedule "nightli"; did you mean "nightly"?\nnext: see `pawl schedules ls`\n',
  });
  const other = makeFolder();
  other.write("echo.yaml", "name: echo\nagents: { echo: { module: ./agents.mjs } }\nnodes: { only: { agent: echo, input: {} } }\n");
  await other.pawl("run", "echo.yaml");
  expect(await other.pawl("schedules", "ls")).toEqual({ code: 0, stdout: "", stderr: "no schedules\n" });
});

test("a module that exports nothing but a schedule can be worked on; --export takes what it names alone", async () => {
  const folder = makeFolder();
  folder.write("nightly.ts", NIGHTLY.replace("export const report", "const report"));
  const worker = await folder.work("nightly.ts");
  expect(worker.stdout).toContain(": report; schedules: nightly\n");
  folder.write("both.ts", NIGHTLY);
  const alone = folder.start("work", "both.ts", "--export", "report");
  await alone.printed("is ready on .pawl/pawl.db: report\n");
});

test("a run that is started for later is listed with its instant, shown, cancelled, and refused when there is no instant", async () => {
  const folder = makeFolder();
  folder.write("nightly.ts", NIGHTLY);
  const start = (...words: string[]) => folder.pawl("start", "nightly.ts", "--input", '{"days": 2}', ...words);
  const later = await start("--id", "later", "--at", "2099-01-15T14:00");
  expect(later).toMatchObject({ code: 0, stdout: "later\n" });
  expect(later.stderr).toContain("recorded; it starts at 2099-01-15 14:00:00; no worker has its definition now");
  expect(JSON.parse((await start("--id", "soon", "--delay", "2h", "--json")).stdout)).toMatchObject({
    status: "pending",
    startsAt: expect.any(Number) as number,
  });
  const { stdout } = await folder.pawl("ls");
  expect(stdout).toMatch(/^RUN .* BEGINS\n/);
  expect(stdout).toMatch(/^later +pending .* 2099-01-15 14:00:00$/m);
  expect((await folder.pawl("show", "later")).stdout).toMatch(/^begins +at 2099-01-15 14:00:00$/m);
  expect(await folder.pawl("cancel", "later")).toMatchObject({ code: 0 });
  expect((await folder.pawl("ls", "--status", "cancelled")).stdout).toMatch(/^later +cancelled/m);
  expect(await start("--at", "tomorrow")).toMatchObject({ code: 2, stderr: expect.stringContaining('PAWL_USAGE --at is "tomorrow"') as string });
  expect(await start("--delay", "soon")).toMatchObject({ code: 2, stderr: expect.stringContaining("PAWL_INVALID_VALUE delay is") as string });
  const worker = await folder.work("nightly.ts");
  expect(await start("--id", "now", "--delay", "1ms")).toMatchObject({ code: 0 });
  await worker.printed("run now completed\n");
});
