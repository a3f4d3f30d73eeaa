/**
 * Health: what each check finds at its bounds, that no check can hold anything up, who is told, and work that waits for it.
 */
import { join } from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";
import { type CheckResult, type HealthCheck, type HealthStatus, type ProcessFacts, type RunNotice, agent, open, workflow } from "../../src/index.ts";
import { FRESH_MS, type HealthSources } from "../../src/run/health.ts";
import { noFacts } from "../../src/process-facts.ts";
import { CPU_BOUNDS, DISK_BOUNDS, LOOP_BOUNDS, MEMORY_BOUNDS, QUEUE_BOUNDS, STORE_BOUNDS, ownChecks } from "../../src/watch/own-checks.ts";
import { MachineRoom, anyAgent, anyWorkflow, deferred, never } from "../sim/machine-room.ts";
import { replacing } from "../sim/process.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { IDLE_WORKER } from "./idle-worker.ts";

const LEVELS: readonly HealthStatus[] = ["WARNING", "DEGRADED", "CRITICAL"];
const well: CheckResult = { status: "HEALTHY" };
const is =
  (status: HealthStatus): HealthCheck =>
  () => ({ status });

/** The check of this name, in a process of which these facts hold. */
async function found(
  name: string,
  facts: Partial<ProcessFacts>,
  more: { queued?: number; readMs?: number; commitMs?: number; runs?: string[] } = {},
): Promise<CheckResult> {
  let now = 0;
  const sources: HealthSources = {
    isExecuting: true,
    worker: () => ({ ...IDLE_WORKER, attemptsQueued: more.queued ?? 0 }),
    readStore: () => Promise.resolve((now += more.readMs ?? 0)),
    disagreeing: () => more.runs ?? [],
    looked: () => {},
    changed: () => Promise.resolve(),
  };
  const checks = ownChecks({ ...noFacts, ...facts }, { mono: () => now, takeSlowestCommitMs: () => more.commitMs ?? 0 }, sources);
  now += 1_000;
  return checks[name]!({ signal: new AbortController().signal });
}

test("each check of the process changes at its bounds, and says what to do", async () => {
  for (const [i, status] of LEVELS.entries()) {
    const memory = (share: number) => ({ residentBytes: share * 1_000, heapUsedBytes: 0, heapLimitBytes: 1, totalBytes: 1_000 });
    const heap = (share: number) => ({ residentBytes: 0, heapUsedBytes: share * 1_000, heapLimitBytes: 1_000, totalBytes: 1 });
    const delay = (p99Ms: number) => ({ meanMs: 0, p99Ms, maxMs: p99Ms });
    const disk = (freeBytes: number) => () => Promise.resolve({ freeBytes, totalBytes: 2 ** 40 });
    let asked = 0;
    const cpu = (share: number) => () => asked++ * share * 2_000;
    const at = async (by: number): Promise<HealthStatus[]> => [
      (await found("memory", { memory: () => memory(MEMORY_BOUNDS[i]! - by / 1_000) })).status,
      (await found("memory", { memory: () => heap(MEMORY_BOUNDS[i]! - by / 1_000) })).status,
      (await found("eventLoop", { loopDelay: () => delay(LOOP_BOUNDS[i]! - by) })).status,
      (await found("disk", { disk: disk(DISK_BOUNDS[i]! + by) })).status,
      (await found("queue", {}, { queued: QUEUE_BOUNDS[i]! - by })).status,
      (await found("store", {}, { readMs: STORE_BOUNDS[i]! - by })).status,
      (await found("store", {}, { commitMs: STORE_BOUNDS[i]! - by })).status,
      ((asked = 0), (await found("cpu", { cores: 2, cpuMs: cpu(CPU_BOUNDS[i]! - by / 1_000) })).status),
    ];
    expect(new Set(await at(0)), status).toEqual(new Set([status]));
    expect(new Set(await at(1)), `below ${status}`).toEqual(new Set([["HEALTHY", ...LEVELS][i]]));
  }
  const { recommendations } = await found("queue", {}, { queued: 1_000 });
  expect(recommendations).toEqual([expect.stringContaining("start another worker")]);
  expect(await found("consistency", {}, { runs: ["r"] })).toMatchObject({ status: "CRITICAL", details: { runs: ["r"] } });
  const ample = { disk: () => Promise.resolve({ freeBytes: 9 * 2 ** 30, totalBytes: 20 * 2 ** 30 }) };
  expect((await found("disk", ample)).status).toBe("HEALTHY");
});

test("a check that throws, hangs or answers nonsense is a result; the others answer, and the report is the worst of them", async () => {
  const room = new MachineRoom();
  let aborted = false;
  const checks = {
    fine: { check: () => ({ status: "WARNING" as const, details: { left: 3 }, recommendations: ["order more"] }), timeout: 1_000 },
    throws: () => {
      throw new Error("no route");
    },
    hangs: { check: ({ signal }: { signal: AbortSignal }) => (signal.addEventListener("abort", () => (aborted = true)), never()), timeout: 2_000 },
    odd: () => ({ status: "ok" }) as never,
  };
  const { pawl } = await room.boot([], { health: { checks } });
  const report = await room.settled(pawl.health());
  expect(report.status).toBe("FAILED");
  expect(report.checks["fine"]).toMatchObject({ status: "WARNING", details: { left: 3 }, recommendations: ["order more"] });
  expect(report.checks["throws"]).toMatchObject({ status: "FAILED", details: { error: "no route" } });
  expect(report.checks["hangs"]).toMatchObject({ status: "FAILED", details: { error: "it did not answer within 2000 ms" }, tookMs: 2_000 });
  expect(report.checks["odd"]).toMatchObject({ status: "FAILED", details: { error: "it answered without a status" } });
  expect(Object.keys(report.checks).slice(0, 7)).toEqual(["cpu", "memory", "eventLoop", "disk", "store", "queue", "consistency"]);
  expect(report.recommendations).toEqual(["order more"]);
  expect(aborted).toBe(true);
  expect(await pawl.metricsText()).toContain('pawl_health{check="hangs"} 4\n');
  for (const wrong of [{ checks: { a: 5 as never } }, { checks: { "a b": () => well } }, { every: "soon" as never }])
    await expect(room.boot([], { health: wrong })).rejects.toMatchObject({ code: "PAWL_INVALID_VALUE" });
});

test("it is looked every 5 minutes while something runs, after trouble and after a recovery; people hear what changes", async () => {
  const room = new MachineRoom();
  let [status, asked]: [HealthStatus, number] = ["HEALTHY", 0];
  const health = { checks: { link: () => (asked++, { status, recommendations: ["mend the link"] }) } };
  const stays = anyWorkflow("stays", (wf) => void wf.node("a", anyAgent("stays", never, { timeout: "1h" }), {}), { timeout: 7_200_000 });
  const fails = anyWorkflow(
    "fails",
    (wf) =>
      void wf.node(
        "a",
        anyAgent("broken", () => Promise.reject(new Error("no")), { retry: { maxAttempts: 1 } }),
        {},
      ),
  );
  const heard: RunNotice[] = [];
  const notify = (notice: RunNotice): void => void (notice.type === "health" && heard.push(notice));
  const first = await room.boot([stays, fails], { health, notify });
  await room.clock.advance(1_000_000);
  expect(asked, "nothing runs").toBe(0);
  await room.settled(first.pawl.start(stays, { id: "s", input: {} }));
  await room.clock.advance(301_000);
  expect({ asked, heard }).toEqual({ asked: 1, heard: [] });
  for (status of ["DEGRADED", "DEGRADED", "CRITICAL", "HEALTHY"] as const) await room.clock.advance(300_000);
  expect(heard.map(({ code }) => code)).toEqual(["DEGRADED", "CRITICAL", "HEALTHY"]);
  expect(heard[0]).toMatchObject({
    type: "health",
    runId: "",
    id: expect.stringMatching(/^health:\d+:1$/) as string,
    message: expect.stringMatching(/link DEGRADED; mend the link$/) as string,
  });
  const before = asked;
  for (const id of ["f1", "f2"]) {
    await room.settled(first.pawl.start(fails, { id, input: {} }));
    await room.settled((await first.pawl.run(id)).ended());
    await room.clock.settle();
  }
  expect(asked - before, "once for both").toBe(1);
  first.kill();
  await room.boot([stays, fails], { health, notify });
  await room.clock.advance(10_000);
  expect(asked - before, "after the recovery").toBe(2);
});

test("an attempt whose check is CRITICAL or FAILED fails of resource and is tried again; others go on", async () => {
  const room = new MachineRoom();
  let [status, asked, worked]: [HealthStatus, number, number] = ["CRITICAL", 0, 0];
  const checked = agent({
    name: "checked",
    input: z.any(),
    output: z.any(),
    retry: { maxAttempts: 10, initialInterval: FRESH_MS, backoffCoefficient: 1, jitter: "none" },
    healthCheck: () => (asked++, { status, details: { error: "no quota" } }),
    run: () => ++worked,
  });
  const flow = anyWorkflow("flow", (wf) => {
    wf.map("each", [1, 2, 3], checked, () => ({}), { healthCheck: true });
    wf.node("free", checked, {});
    wf.stage("risky", { healthCheck: "link" }, () =>
      wf.node(
        "linked",
        anyAgent("linked", () => 1),
        {},
      ),
    );
  });
  const { pawl } = await room.boot([flow], { health: { checks: { link: () => well } } });
  const run = await room.settled(pawl.start(flow, { id: "r", input: {} }));
  await room.clock.advance(1_000);
  expect({ worked, asked }, "one node asks nobody; three ask once").toEqual({ worked: 1, asked: 1 });
  const node = (await run.nodes()).find(({ id }) => id === "each[0]")!;
  expect(node).toMatchObject({
    status: "backingOff",
    failure: { kind: "resource", code: "PAWL_UNHEALTHY", message: 'the health check "checked" says CRITICAL (no quota)' },
  });
  status = "DEGRADED";
  await room.settled(run.result());
  expect({ worked, asked }).toEqual({ worked: 4, asked: 2 });
});

test("a check that is not there fails the attempt for good, and what is wrong in a definition is refused", async () => {
  const room = new MachineRoom();
  const plain = anyAgent("plain", () => 1);
  const flow = anyWorkflow("flow", (wf) => void wf.node("a", plain, {}, { healthCheck: "nobody" }));
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: {} }));
  await room.settled(run.ended());
  expect((await run.nodes())[0]).toMatchObject({ attempt: 1, failure: { kind: "configuration", code: "PAWL_HEALTH_CHECK_MISSING" } });
  for (const healthCheck of [true, "a b", 5 as never] as const)
    expect(() => anyWorkflow("w", (wf) => void wf.node("a", plain, {}, { healthCheck }))).toThrow(expect.objectContaining({ code: "PAWL_INVALID_VALUE" }));
});

test("pre-flight: a run is recorded only when nothing that its workflow needs is unwell", async () => {
  const room = new MachineRoom();
  let status: HealthStatus = "FAILED";
  const model = agent({ name: "model", input: z.any(), output: z.any(), healthCheck: () => ({ status, recommendations: ["renew the key"] }), run: () => 1 });
  const inner = anyWorkflow("inner", (wf) => void wf.node("a", model, {}));
  const flow = anyWorkflow("flow", (wf) => {
    wf.run("inner", inner, {});
    wf.node(
      "b",
      anyAgent("b", () => 1),
      {},
      { healthCheck: "link" },
    );
  });
  const { pawl } = await room.boot([flow], { health: { checks: { link: is("CRITICAL") } } });
  const refused = await room.settled(pawl.start(flow, { id: "r", input: {}, preflight: true })).catch((error: unknown) => error);
  expect(refused).toMatchObject({
    code: "PAWL_UNHEALTHY",
    status: 503,
    message: "nothing was started: agent model is FAILED; link is CRITICAL",
    next: "renew the key",
    data: [
      { check: "agent model", status: "FAILED" },
      { check: "link", status: "CRITICAL" },
    ],
  });
  expect(await room.store.readRun("r")).toBeUndefined();
  status = "HEALTHY";
  await room.clock.advance(FRESH_MS);
  await expect(room.settled(pawl.start(flow, { id: "r", input: {}, preflight: true }))).rejects.toMatchObject({
    message: "nothing was started: link is CRITICAL",
  });
  await room.settled(pawl.start(flow, { id: "r", input: {} }));
  await room.settled(pawl.start(flow, { id: "r", input: {}, preflight: true }));
});

test("when memory and store disagree about a run it is said, until they agree", async () => {
  const room = new MachineRoom();
  const gate = deferred<void>();
  const stays = anyWorkflow(
    "stays",
    (wf) =>
      void wf.node(
        "a",
        anyAgent("stays", () => gate.promise, { timeout: "1h" }),
        {},
      ),
    { timeout: 7_200_000 },
  );
  const { pawl } = await room.boot([stays], {
    // what somebody has done to the file
    wrap: (store) =>
      replacing(store, { readRun: async (id) => store.readRun(id).then((row) => row && { ...row, commitNo: row.commitNo + (isWrong ? 1 : 0) }) }),
  });
  let isWrong = false;
  await room.settled(pawl.start(stays, { id: "r", input: {} }));
  const look = async () => {
    await room.settled(pawl.reconcile());
    await room.clock.advance(100);
    return (await room.settled(pawl.health())).checks["consistency"];
  };
  expect(await look()).toMatchObject({ status: "HEALTHY" });
  isWrong = true;
  expect(await look()).toMatchObject({ status: "CRITICAL", details: { runs: ["r"] } });
  isWrong = false;
  expect(await look()).toMatchObject({ status: "HEALTHY" });
  gate.resolve();
});

test("a real process tells of all that it has, and one that executes nothing of the disk and the store", async () => {
  const file = join(temporaryFolder().path, "pawl.db");
  const flow = workflow(
    { name: "flow", input: z.object({}) },
    (wf) => wf.node("a", agent({ name: "a", input: z.object({}), output: z.number(), run: () => 1 }), {}).result,
  );
  await using pawl = await open(file, { workflows: [flow] });
  await (await pawl.start(flow, { input: {} })).result();
  await using client = await open(file, { execute: false });
  expect(Object.keys((await client.health()).checks)).toEqual(["disk", "store"]);
  const { checks } = await pawl.health();
  expect(checks["disk"]!.details).toMatchObject({ freeBytes: expect.any(Number) as number });
  expect(checks["memory"]!.details["residentBytes"]).toBeGreaterThan(1_000_000);
  expect(checks["eventLoop"]!.details["p99Ms"]).toBeGreaterThanOrEqual(0);
});
