/**
 * Runs of machines on the command line: `run`, `show`, `ls`, `watch` and `inspect`, as they work, wait, end and fail.
 */
import { join } from "node:path";
import { expect, test } from "vitest";
import { createMachine } from "xstate";
import { type MachineHandle, type Run, open } from "pawl";
import { loadDefinition } from "../../src/serve/definition-file.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { type Folder, HELD, jsonLines, makeFolder } from "./command.ts";

/** `held` ends when the test opens it, then the machine waits for an event, or for a while. */
const REVIEW = `
import { existsSync } from "node:fs";
import { join } from "node:path";
import { assign, fromPromise, setup } from "xstate";
const held = fromPromise(() => new Promise((resolve) => {
  const timer = setInterval(() => existsSync(join(import.meta.dirname, "held.open")) && (clearInterval(timer), resolve("looked at")), 10);
}));
const kid = setup({}).createMachine({ id: "kid", initial: "asleep", states: { asleep: { after: { 3600000: "awake" } }, awake: {} } });
const parts = setup({ actors: { held, kid }, actions: { notify: () => {} }, types: {} });
const make = (id, more) => parts.createMachine({
  id,
  initial: "draft",
  context: ({ input }) => ({ by: input?.by ?? "nobody", note: "" }),
  output: ({ context }) => context,
  states: {
    draft: { invoke: { id: "look", src: "held", onDone: { target: "waiting", actions: ["notify", assign({ note: ({ event }) => event.output })] } } },
    waiting: { on: { APPROVE: "approved", "reject.*": "approved" }, ...more },
    approved: { type: "final" },
  },
});
export const review = make("review", { invoke: { id: "kid", src: "kid" } });
export const quick = make("quick", { after: { 800: "approved" } });
export const patient = make("patient", {});
const strict = { "~standard": { version: 1, vendor: "test", validate: (value) => typeof value?.by === "string" ? { value } : { issues: [{ message: "by is missing" }] } } };
export const checked = { machine: make("checked", { after: { 1: "approved" } }), options: { input: strict } };
export const failing = setup({ actors: { no: fromPromise(() => Promise.reject(new Error("no such\\u001b[31m model"))) } })
  .createMachine({ id: "failing", initial: "asking", states: { asking: { invoke: { src: "no" } } } });
`;

const ESCAPE = "\u001B";

function machines(): Folder {
  const folder = makeFolder();
  folder.write("review.ts", REVIEW);
  return folder;
}

const run = (name: string, ...words: string[]): string[] => ["run", "review.ts", "--export", name, "--id", `${name}-1`, ...words];

/** Does something with the run in this process, when no other executes. */
async function withRun(folder: Folder, name: string, act: (run: MachineHandle<any>) => Promise<unknown>): Promise<void> {
  const machine = await loadDefinition(join(folder.path, "review.ts"), name);
  await using pawl = await open(join(folder.path, ".pawl/pawl.db"), { workflows: [machine] });
  const run: Run<unknown> = await pawl.run(`${name}-1`, machine);
  await act(run as MachineHandle<any>);
}

test("run starts a machine, tells its states with their events as they come, and ends with its output", async () => {
  const folder = machines();
  folder.open("held");
  const { code, stdout, stderr } = await folder.pawl(...run("quick", "--input", '{"by": "Ada"}'));
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ by: "Ada", note: "looked at" });
  const told = [
    /^run quick-1 of quick started; .*\n {2}pawl run review\.ts --id quick-1 --export quick$/m,
    /^\d\d:\d\d:\d\d {2}look~\d+ \(held\) started$/m,
    /^\d\d:\d\d:\d\d {2}begins → draft$/m,
    /^\d\d:\d\d:\d\d {2}look~\d+ done$/m,
    /^\d\d:\d\d:\d\d {2}look is done → waiting$/m,
    /^\d\d:\d\d:\d\d {2}action notify was performed$/m,
    /^ +waits for an event: APPROVE, reject\.\*, or after 800ms at [\d: -]+$/m,
    /^\d\d:\d\d:\d\d {2}after 800ms → approved$/m,
  ];
  const places = told.map((line) => stderr.search(line));
  expect(places).not.toContain(-1);
  expect(places).toEqual(places.toSorted((a, b) => a - b));
});

test("a machine that waits for an event says for which, keeps running until a signal, and goes on by the same command", async () => {
  const folder = machines();
  folder.open("held");
  const command = folder.start(...run("patient"));
  await command.printed("waits for an event: APPROVE, reject.*\n");
  command.kill("SIGTERM");
  const { code, stderr } = await command.ended;
  expect(code).toBe(143);
  expect(stderr.match(/waits for an event/g)).toHaveLength(1);
  expect(stderr).toMatch(/closed; the same command goes on with it\n {2}pawl run review\.ts --id patient-1 --export patient\n$/);
  const again = folder.start(...run("patient"));
  await again.printed("run patient-1 of patient: it was in waiting\n");
  await again.printed("waits for an event");
  again.kill("SIGTERM");
  expect((await again.ended).stderr).not.toContain("begins");
  await withRun(folder, "patient", (run) => run.send({ type: "APPROVE" }));
  expect(await folder.pawl(...run("patient"))).toMatchObject({ code: 0, stdout: '{\n  "by": "nobody",\n  "note": "looked at"\n}\n' });
});

test("with --json a machine's run is JSON lines: the run, what happens, what it waits for, its result", async () => {
  const folder = machines();
  folder.open("held");
  const lines = jsonLines((await folder.pawl(...run("quick", "--json"))).stdout);
  expect(lines[0]).toMatchObject({ type: "run", kind: "machine", workflow: "quick", isContinued: false });
  expect(lines.filter(({ type }) => type === "machine.turned").map(({ event, value }) => [event, value])).toEqual([
    ["xstate.init", "draft"],
    ["xstate.done.actor.look", "waiting"],
    ["xstate.after.800.quick.waiting", "approved"],
  ]);
  expect(lines.find(({ type }) => type === "waiting")).toMatchObject({
    events: ["APPROVE", "reject.*"],
    timers: [{ event: "xstate.after.800.quick.waiting" }],
  });
  expect(lines.at(-1)).toMatchObject({ type: "result", status: "completed", output: { note: "looked at" } });
});

test("a machine that fails ends with 1, and nothing that its error says controls the terminal", async () => {
  const { code, stdout, stderr } = await machines().pawl(...run("failing"));
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toContain('PAWL_RUN_FAILED run "failing-1" failed: no such [31m model\n');
  expect(stderr).not.toContain("\u001B");
});

test("the options of a machine hold: an input that does not fit is refused", async () => {
  const folder = machines();
  folder.open("held");
  expect(await folder.pawl(...run("checked"))).toMatchObject({ code: 2, stderr: expect.stringContaining("PAWL_INPUT_INVALID") as string });
  expect((await folder.pawl(...run("checked", "--input", '{"by": "Bea"}'))).code).toBe(0);
});

test("an id of a workflow's run is none of a machine's, and the other way round", async () => {
  const folder = machines();
  folder.open("held");
  folder.write("held.yaml", HELD);
  await folder.pawl("run", "held.yaml", "--id", "quick-1");
  expect(await folder.pawl(...run("quick"))).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('run "quick-1" belongs to workflow "pipeline"') as string,
  });
  await folder.pawl(...run("failing"));
  const other = await folder.pawl("run", "held.yaml", "--id", "failing-1");
  expect(other).toMatchObject({ code: 2, stderr: expect.stringContaining('run "failing-1" belongs to machine "failing"') as string });
  expect((await folder.pawl("run", "review.ts", "--export", "quick", "--id", "failing-1")).stderr).toContain("PAWL_RUN_CONFLICT");
});

test("show tells a machine's state, what it waits for, its actors with their timers, and its history in words", async () => {
  const folder = machines();
  folder.open("held");
  const command = folder.start(...run("review", "--input", '{"by": "Ada"}'));
  await command.printed("waits for an event");
  const { stdout } = await folder.pawl("show", "review-1", "--history");
  expect(stdout).toMatch(/^run +review-1\nmachine +review\nstatus +running\n/);
  expect(stdout).toMatch(/^state +waiting\nwaits +for an event: APPROVE, reject\.\*, or after 1h00m at /m);
  expect(stdout).toMatch(/^input +\{"by":"Ada"\}$/m);
  expect(stdout).toMatch(/\nACTOR +STATUS +STATE +LOGIC +TIMERS\nmachine~1 +running +waiting\n {2}kid~\d+ +running +asleep +kid +after 1h00m at [\d: -]+\n/);
  expect(stdout).toMatch(/\n\d+ +[\d-]+ [\d:]+ +look is done → waiting\n/);
  expect(stdout).toMatch(/\n\d+ +[\d-]+ [\d:]+ +kid~\d+: begins → asleep\n/);
  const shown = JSON.parse((await folder.pawl("show", "review-1", "--json")).stdout) as { actors: object[]; nodes?: unknown };
  expect(shown).toMatchObject({ kind: "machine", state: "waiting", wakeAt: expect.any(Number) as number, waitingFor: { events: ["APPROVE", "reject.*"] } });
  expect(shown.actors).toMatchObject([
    { key: "machine~1", context: { by: "Ada" } },
    { src: "kid", parent: "machine~1", timers: [{ policy: "deadline" }] },
  ]);
  expect(shown.nodes).toBeUndefined();
  expect(await folder.pawl("graph", "review-1")).toMatchObject({ code: 2, stderr: expect.stringContaining("PAWL_NOT_A_WORKFLOW") as string });
});

test("a run that was set aside shows why", async () => {
  const folder = machines();
  await folder.pawl(...run("failing"));
  folder.open("held");
  const command = folder.start(...run("patient"));
  await command.printed("waits for an event");
  command.kill("SIGKILL");
  await command.ended;
  const store = openSqliteStore(join(folder.path, ".pawl/pawl.db"), { mustExist: false });
  for (const { id } of await store.readEpochs()) await store.closeEpoch(id);
  const epoch = await store.openEpoch(Date.now(), "{}");
  await store.claimRun(epoch, "patient-1", Date.now());
  await store.quarantine(epoch, "patient-1", "its rows are damaged", Date.now());
  await store.close();
  expect((await folder.pawl("show", "patient-1")).stdout).toMatch(
    /^run +patient-1\nmachine +patient\nstatus +quarantined\n(?:.*\n)*reason +its rows are damaged\n/,
  );
  expect((await folder.pawl("ls")).stdout).toMatch(/^patient-1 +quarantined +patient /m);
  expect(await folder.pawl(...run("patient"))).toMatchObject({ code: 1, stderr: expect.stringContaining("PAWL_RUN_QUARANTINED") as string });
  expect(jsonLines((await folder.pawl("inspect", "patient-1", "--json")).stdout).at(-1)).toMatchObject({ snapshot: { status: "error", value: "waiting" } });
});

test("ls has a column for states when there are machines, and none when there are not", async () => {
  const folder = machines();
  folder.open("held");
  folder.write("held.yaml", HELD);
  await folder.pawl("run", "held.yaml", "--id", "r-1");
  expect((await folder.pawl("ls")).stdout).toMatch(/^RUN +STATUS +WORKFLOW +STARTED +TOOK\n/);
  await folder.pawl(...run("quick"));
  const { stdout } = await folder.pawl("ls");
  expect(stdout).toMatch(/^RUN +STATUS +STATE +WORKFLOW +STARTED +TOOK\nquick-1 +completed +approved +quick .*\nr-1 +completed +pipeline /);
  expect(JSON.parse((await folder.pawl("ls", "--json")).stdout)).toMatchObject([
    { id: "quick-1", kind: "machine", state: "approved" },
    { id: "r-1", kind: "workflow" },
  ]);
});

test("watch follows a machine of another process to its end", async () => {
  const folder = machines();
  await folder.start(...run("quick")).printed("begins");
  const watching = folder.start("watch", "quick-1");
  await watching.printed("run quick-1 of quick: it was in draft\n");
  folder.open("held");
  const { code, stdout, stderr } = await watching.ended;
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ by: "nobody", note: "looked at" });
  expect(stderr).toMatch(/look is done → waiting\n.*after 800ms → approved\n/s);
  expect(stderr).not.toContain("begins");
});

test("on a terminal the state, the actors and what is waited for stand below the lines", async () => {
  const folder = machines();
  folder.open("held");
  const command = folder.startOnTerminal(24, ...run("review"));
  await command.printed("waits for an event");
  await command.printed("(in ");
  command.type("\u0003");
  const { code, stdout } = await command.ended;
  expect(code).toBe(130);
  const plain = stdout.replace(new RegExp(`${ESCAPE}\\[[?\\d;]*[A-Za-z]`, "g"), "");
  expect(plain).toMatch(/look is done → waiting\r\n/);
  expect(plain).toMatch(
    /state waiting\r\n {2}kid~\d+ \(kid\) asleep begins\r\nwaits for an event: APPROVE, reject\.\*, or after 1h00m at [\d: -]+ \(in (?:1h00m|59m\d\ds)\)\r\n/,
  );
});

test("inspect --json prints the messages of a run that has ended, and of a workflow's, too", async () => {
  const folder = machines();
  folder.open("held");
  folder.write("held.yaml", HELD);
  await folder.pawl(...run("quick"));
  await folder.pawl("run", "held.yaml", "--id", "r-1");
  const { code, stdout } = await folder.pawl("inspect", "quick-1", "--json");
  expect(code).toBe(0);
  const lines = jsonLines(stdout);
  expect(lines.at(-1)).toMatchObject({ type: "@xstate.snapshot", sessionId: "quick-1", snapshot: { status: "done", value: "approved" } });
  expect(stdout).not.toContain("looked at");
  expect((await folder.pawl("inspect", "quick-1", "--json", "--context")).stdout).toContain("looked at");
  expect(createMachine(JSON.parse(lines[0]!["definition"] as string) as never).id).toBe("quick");
  expect(jsonLines((await folder.pawl("inspect", "r-1", "--json")).stdout).some(({ sessionId }) => sessionId === "r-1/held")).toBe(true);
});

test("inspect serves a run that another process executes, under an address with a token, until it is stopped", async () => {
  const folder = machines();
  folder.open("held");
  await folder.start(...run("patient")).printed("waits for an event");
  const inspecting = folder.start("inspect", "patient-1");
  await inspecting.printed("Ctrl-C ends it");
  const url = inspecting.stdout.trim();
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]{43}$/);
  expect(inspecting.stderr).toContain("contexts are left out");
  expect(await (await fetch(url)).text()).toContain("Run patient-1 of patient");
  expect(jsonLines(await (await fetch(url.replace("/?", "/messages?"))).text()).at(-1)).toMatchObject({ snapshot: { status: "active", value: "waiting" } });
  expect((await fetch(url.replace(/token=.*/, "token=x"))).status).toBe(403);
  inspecting.kill("SIGINT");
  expect((await inspecting.ended).code).toBe(130);
  const { port } = new URL(url);
  await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();
});

test("inspect of a run that is not there, or on a port that is none, is told", async () => {
  const folder = machines();
  folder.open("held");
  await folder.pawl(...run("failing"));
  expect(await folder.pawl("inspect", "absent")).toMatchObject({ code: 5, stdout: "" });
  expect((await folder.pawl("inspect", "failing-1", "--port", "99999")).stderr).toContain("It must be a whole number from 0 to 65535.");
});
