/**
 * Health of several workers on one store: when each looks, what others see of it, and who is told.
 */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { z } from "zod";
import { type HealthCheck, type HealthStatus, type RunNotice, agent, open, parseWorkflow } from "../../src/index.ts";
import { FRESH_MS } from "../../src/run/health.ts";
import { inShort } from "../../src/run/health-sources.ts";
import { held } from "../sim/held-agent.ts";
import { MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";
import { replacing } from "../sim/process.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const AFTER_TROUBLE_MS = 60_000;

/** A check that counts how often it is asked, and says what it is told to. */
function counting() {
  const state = { status: "HEALTHY" as HealthStatus, asked: 0 };
  const check: HealthCheck = () => (state.asked++, { status: state.status });
  return { state, health: { checks: { link: check } } };
}

test("it is looked after a warning of a node, a stage or a run, and after a notice of a stall; at most once a minute, and then for all since", async () => {
  const room = new MachineRoom();
  const { state, health } = counting();
  const slow = anyAgent("slow", never, { timeout: "2h" });
  const timeout = 7_200_000;
  const warned = [
    anyWorkflow("node", (wf) => void wf.node("a", slow, {}, { warnAfter: "10s" }), { timeout }),
    anyWorkflow("stage", (wf) => void wf.stage("s", { warnAfter: "10s" }, () => wf.node("a", slow, {})), { timeout }),
    anyWorkflow("run", (wf) => void wf.node("a", slow, {}), { timeout, warnAfter: "10s" } as never),
  ];
  const { pawl } = await room.boot(warned, { health });
  for (const flow of warned) {
    const before = state.asked;
    const run = await room.settled(pawl.start(flow, { id: flow.name, input: {} }));
    await room.clock.advance(9_000);
    expect(state.asked, flow.name).toBe(before);
    await room.clock.advance(2_000);
    expect(state.asked, flow.name).toBe(before + 1);
    await room.settled(run.cancel());
    await room.clock.advance(AFTER_TROUBLE_MS);
  }
  const before = state.asked;
  for (let n = 0; n < 5; n++) {
    await room.settled(pawl.start(warned[0]!, { id: `again-${n}`, input: {} }));
    await room.clock.advance(5_000);
  }
  expect(state.asked - before, "the first is looked at at once").toBe(1);
  await room.clock.advance(AFTER_TROUBLE_MS);
  expect(state.asked - before, "all others with one more look").toBe(2);
  await room.settled(pawl.close());
  const notify = (): void => {};
  await room.boot([anyWorkflow("quiet", (wf) => void wf.node("a", slow, {}), { timeout })], { health, notify, stallAfter: "20s" }).then(async (other) => {
    await room.clock.advance(AFTER_TROUBLE_MS);
    const looks = state.asked;
    await room.settled(
      other.pawl.start(
        anyWorkflow("quiet", (wf) => void wf.node("a", slow, {}), { timeout }),
        { id: "q", input: {} },
      ),
    );
    await room.clock.advance(AFTER_TROUBLE_MS);
    expect(state.asked - looks).toBe(1);
  });
});

test("who takes the runs of a worker that died looks how it is; each worker looks for itself", async () => {
  const room = new MachineRoom();
  const flow = anyWorkflow("flow", (wf) => void wf.node("a", anyAgent("slow", never, { timeout: "2h" }), {}), { timeout: 7_200_000 });
  const [one, other] = [counting(), counting()];
  const first = await room.boot([flow], { health: one.health });
  const second = await room.boot([flow], { health: other.health });
  await room.settled(first.pawl.start(flow, { id: "r", input: {} }));
  await room.clock.advance(10_000);
  expect([one.state.asked, other.state.asked]).toEqual([0, 0]);
  first.kill();
  await room.clock.advance(5_000);
  expect([one.state.asked, other.state.asked], "the one that is there").toEqual([0, 1]);
  expect((await second.pawl.workers()).map(({ health }) => health?.status)).toEqual(["HEALTHY"]);
});

test("every process sees how each worker found itself last, until that worker is gone; not more often than it changes", async () => {
  const room = new MachineRoom();
  const [one, other] = [counting(), counting()];
  let beats = 0;
  const first = await room.boot([], { health: one.health, wrap: (store) => replacing(store, { beat: (...given) => (beats++, store.beat(...given)) }) });
  const client = await room.boot([], { execute: false });
  const seen = async () => (await client.pawl.workers()).map(({ health }) => health?.checks["link"]?.status);
  expect(await seen()).toEqual([undefined]);
  one.state.status = "DEGRADED";
  await room.settled(first.pawl.health());
  await room.clock.settle();
  expect(await seen()).toEqual(["DEGRADED"]);
  const before = beats;
  for (let n = 0; n < 20; n++) await room.settled(first.pawl.health());
  expect(beats).toBe(before);
  one.state.status = "HEALTHY";
  await room.settled(first.pawl.health());
  await room.clock.settle();
  expect(await seen()).toEqual(["HEALTHY"]);
  const [{ health: at } = { health: undefined }] = await client.pawl.workers();
  await room.clock.advance(AFTER_TROUBLE_MS);
  await room.settled(first.pawl.health());
  await room.clock.settle();
  expect((await client.pawl.workers())[0]!.health!.at - at!.at, "a new look is told once a minute, though nothing changed").toBe(AFTER_TROUBLE_MS);
  const second = await room.boot([], { health: other.health });
  other.state.status = "CRITICAL";
  await room.settled(second.pawl.health());
  await room.clock.settle();
  expect(await seen()).toEqual(["HEALTHY", "CRITICAL"]);
  first.kill();
  expect(await seen()).toEqual(["CRITICAL"]);
  await room.settled(client.pawl.health());
  expect(await seen(), "who executes nothing is no worker").toEqual(["CRITICAL"]);
});

test("what others see is small, whatever a check gives", () => {
  const odd: Record<string, unknown> = { big: 5n };
  odd["self"] = odd;
  const found = (status: HealthStatus, details: Record<string, unknown> = {}) => ({ status, details, recommendations: ["x".repeat(9_000)], tookMs: 1 });
  const many = Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`check-${n}`, found("HEALTHY")]));
  const checks = { ...many, odd: found("WARNING", odd), long: found("FAILED", { text: "y".repeat(9_000) }), fine: found("CRITICAL", { left: 3 }) };
  const report = inShort({ at: 1, status: "FAILED", checks, recommendations: Array.from({ length: 99 }, () => "z".repeat(9_000)) });
  expect(Object.keys(report.checks).slice(0, 3), "the worst first").toEqual(["long", "fine", "odd"]);
  expect(report.checks["fine"]!.details).toEqual({ left: 3 });
  expect([report.checks["odd"]!.details, report.checks["long"]!.details]).toEqual([{}, {}]);
  expect(JSON.stringify(report).length).toBeLessThan(25_000);
});

test("people are told of no progress, of many that wait, and of memory and store that disagree; of each worker once", async () => {
  const room = new MachineRoom();
  const stuck = anyWorkflow("stuck", (wf) => void wf.node("a", anyAgent("stuck", never, { timeout: "9h" }), {}), { timeout: 40_000_000 });
  const { agent: busy, calls } = held({}, "busy");
  const wide = anyWorkflow("wide", (wf) => void wf.node("a", busy, {}), { timeout: 40_000_000 });
  const heard: RunNotice[] = [];
  const notify = (notice: RunNotice): void => void heard.push(notice);
  let isWrong = false;
  const first = await room.boot([stuck], {
    notify,
    stallAfter: "2m",
    wrap: (store) =>
      replacing(store, { readRun: async (id) => store.readRun(id).then((row) => row && { ...row, commitNo: row.commitNo + (isWrong ? 1 : 0) }) }),
  });
  const second = await room.boot([wide], { notify, maxActiveRuns: 1, maxConcurrentAttempts: 1 });
  const told = (type: string, code?: string) => heard.filter((notice) => notice.type === type && (code === undefined || notice.code === code));
  await room.settled(first.pawl.start(stuck, { id: "s", input: {} }));
  await room.clock.advance(200_000);
  expect(told("run.stalled")).toMatchObject([{ runId: "s", message: expect.stringMatching(/^nothing was committed for \d+ s$/) as string }]);
  await room.settled(Promise.all(Array.from({ length: 1_001 }, (_, n) => second.pawl.start(wide, { id: `w${n}`, input: {} }))));
  await room.clock.advance(300_000);
  expect(calls()).toHaveLength(1);
  expect(told("health")).toMatchObject([
    { code: "WARNING", message: expect.stringMatching(/^worker 2 is WARNING, and was HEALTHY: queue WARNING; start another worker/) as string },
  ]);
  isWrong = true;
  await room.clock.advance(70_000);
  isWrong = false;
  expect(told("health", "CRITICAL")).toMatchObject([
    { message: expect.stringMatching(/^worker 1 is CRITICAL, and was HEALTHY: consistency CRITICAL; see `pawl doctor`/) as string },
  ]);
});

test("in a document a node asks for its agent's own check or one by its name, and a stage for all of its nodes", async () => {
  const room = new MachineRoom();
  let status: HealthStatus = "CRITICAL";
  const model = agent({
    name: "model",
    input: z.any(),
    output: z.any(),
    retry: { maxAttempts: 9, initialInterval: FRESH_MS, backoffCoefficient: 1, jitter: "none" },
    healthCheck: () => ({ status }),
    run: () => 1,
  });
  const flow = await parseWorkflow(DOCUMENT, { agents: [model] });
  const { pawl } = await room.boot([flow], { health: { checks: { link: () => ({ status }), disk2: () => ({ status: "HEALTHY" as const }) } } });
  const run = await room.settled(pawl.start(flow, { id: "r", input: {} }));
  await room.clock.advance(1_000);
  const states = async () => Object.fromEntries((await run.nodes()).map(({ id, status: of }) => [id, of]));
  expect(await states()).toEqual({ own: "backingOff", named: "backingOff", staged: "backingOff", free: "completed", other: "completed" });
  status = "HEALTHY";
  await room.clock.advance(2 * FRESH_MS);
  expect(new Set(Object.values(await states()))).toEqual(new Set(["completed"]));
});

const DOCUMENT = `
name: flow
stages:
  risky: { healthCheck: link }
nodes:
  own: { agent: model, healthCheck: true }
  named: { agent: model, healthCheck: link }
  staged: { agent: model, stage: risky }
  free: { agent: model }
  other: { agent: model, stage: risky, healthCheck: disk2 }
`;

test("services that the work depends on are looked at by checks of one's own: a working tree, an address", async () => {
  const path = join(temporaryFolder().path, "tree");
  const run = promisify(execFile);
  await run("git", ["init", "-q", path]);
  let code = 200;
  const server = createServer((_, response) => response.writeHead(code).end()).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/zen`;
  const git: HealthCheck = async ({ signal }) => {
    const { stdout } = await run("git", ["-C", path, "status", "--porcelain"], { signal });
    const changed = stdout.split("\n").filter((line) => line !== "").length;
    return changed === 0 ? { status: "HEALTHY" } : { status: "WARNING", details: { changed }, recommendations: ["commit what was changed"] };
  };
  const github: HealthCheck = async ({ signal }) => {
    const { ok, status } = await fetch(address, { signal });
    return ok ? { status: "HEALTHY" } : { status: "CRITICAL", details: { status } };
  };
  await using pawl = await open(`${path}.db`, { health: { checks: { git, github: { check: github, timeout: "2s" } } } });
  expect((await pawl.health()).checks).toMatchObject({ git: { status: "HEALTHY" }, github: { status: "HEALTHY" } });
  await writeFile(join(path, "new.txt"), "x");
  code = 503;
  expect(await pawl.health()).toMatchObject({
    checks: { git: { status: "WARNING", details: { changed: 1 } }, github: { status: "CRITICAL", details: { status: 503 } } },
    recommendations: expect.arrayContaining(["commit what was changed"]) as string[],
  });
  server.close().closeAllConnections();
  await new Promise((resolve) => server.once("close", resolve));
  expect((await pawl.health()).checks["github"]!.status, "nobody answers there").toBe("FAILED");
});
