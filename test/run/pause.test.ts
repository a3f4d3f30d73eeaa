/**
 * A pause of a workflow: no attempt starts, running ones go on, timers only queue, and time does not count; through crashes too.
 */
import { expect, test } from "vitest";
import type { Run } from "../../src/run/handle.ts";
import { readReply } from "../../src/run/requests.ts";
import { type Commit, WAITS_FOR_EVENT } from "../../src/store/store.ts";
import { MachineRoom, anyAgent, anyWorkflow, deferred, never } from "../sim/machine-room.ts";

const typesOf = async (run: Run<unknown>): Promise<string[]> => (await Array.fromAsync(run.history())).flatMap(({ events }) => events.map(({ type }) => type));
const statusesOf = async (run: Run<unknown>): Promise<Record<string, string>> => Object.fromEntries((await run.nodes()).map(({ id, status }) => [id, status]));

test("while a run is paused no attempt starts and running ones go on; the resume starts what waits", async () => {
  const room = new MachineRoom();
  const first = deferred<string>();
  const calls: string[] = [];
  const slow = anyAgent("slow", () => first.promise);
  const quick = anyAgent("quick", (name: string) => (calls.push(name), name));
  const flow = anyWorkflow("flow", (wf) => {
    const one = wf.node("one", slow, {});
    const two = wf.node("two", quick, "two", { after: [one] });
    return wf.node("three", quick, "three", { after: [two] }).result;
  });
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(10);
  await room.settled(run.pause());
  expect(await run.status()).toMatchObject({ status: "paused", terminated: false });
  expect(await statusesOf(run)).toEqual({ one: "running", two: "waiting", three: "waiting" });
  first.resolve("done");
  await room.clock.advance(60_000);
  expect(calls).toEqual([]);
  expect(await statusesOf(run)).toEqual({ one: "completed", two: "queued", three: "waiting" });
  expect((await room.store.readRun("r"))!.wakeAt).toBe(WAITS_FOR_EVENT);
  await room.settled(run.resume());
  expect(await room.settled(run.result())).toBe("three");
  expect(calls).toEqual(["two", "three"]);
  const types = await typesOf(run);
  expect(types.filter((type) => type.startsWith("run."))).toEqual(["run.started", "run.paused", "run.recovered", "run.resumed", "run.completed"]);
});

test("a pause of a paused run and a resume of a running one are answered, and change nothing", async () => {
  const room = new MachineRoom();
  const flow = anyWorkflow("flow", (wf) => wf.node("one", anyAgent("hangs", never), {}).result);
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  await room.settled(run.resume());
  await room.settled(run.pause());
  await room.settled(run.pause());
  await room.settled(run.resume());
  await room.settled(run.resume());
  expect((await typesOf(run)).filter((type) => type.startsWith("run."))).toEqual(["run.started", "run.paused", "run.resumed"]);
});

test("a run whose last attempt ends while it is paused ends", async () => {
  for (const fails of [false, true]) {
    const room = new MachineRoom();
    const last = deferred<string>();
    const slow = anyAgent("slow", () => last.promise, { retry: { maxAttempts: 1 } });
    const flow = anyWorkflow("flow", (wf) => wf.node("one", slow, {}).result);
    const { pawl } = await room.boot([flow]);
    const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
    await room.clock.advance(10);
    await room.settled(run.pause());
    if (fails) last.reject(new Error("no"));
    else last.resolve("yes");
    expect(await room.settled(run.ended())).toMatchObject(fails ? { status: "failed" } : { status: "completed", output: "yes" });
  }
});

test("backoffs that end while a run is paused only queue their nodes, in the order of their instants, also when it left memory", async () => {
  for (const isKilled of [false, true]) {
    const room = new MachineRoom();
    const calls: string[] = [];
    const tried = (name: string, waitMs: number) =>
      anyAgent(
        name,
        (_, { attempt }) => {
          calls.push(`${name}${attempt}`);
          if (attempt === 1) throw new Error("not yet");
          return name;
        },
        { retry: { initialInterval: waitMs, maxInterval: waitMs, jitter: "none" } },
      );
    const agents = [tried("late", 30_000), tried("early", 10_000), tried("latest", 300_000)];
    const flow = anyWorkflow("flow", (wf) => agents.map((agent) => wf.node(agent.name, agent, {}).result));
    const boot = () => room.boot([flow], { maxConcurrentAttempts: 1 });
    let process = await boot();
    let run = await room.settled(process.pawl.start(flow, { id: "r", input: 1 }));
    await room.clock.advance(100);
    await room.settled(run.pause());
    await room.clock.advance(60_000);
    if (isKilled) {
      process.kill();
      process = await boot();
      run = (await process.pawl.run("r")) as typeof run;
    }
    await room.clock.advance(60_000);
    expect(calls).toEqual(["late1", "early1", "latest1"]);
    expect((await room.store.readRun("r"))!.wakeAt).toBe(WAITS_FOR_EVENT);
    await room.settled(run.resume());
    await room.clock.advance(10);
    expect(calls.slice(3)).toEqual(["early2", "late2"]);
    expect(await room.settled(run.result())).toEqual(["late", "early", "latest"]);
  }
});

test("the timeout of a run does not count the time in which it is paused", async () => {
  const room = new MachineRoom();
  const last = deferred<string>();
  const slow = anyAgent("slow", () => last.promise, { timeout: "1d" });
  const flow = anyWorkflow("flow", (wf) => wf.node("one", slow, {}).result, { timeout: 60_000 });
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(40_000);
  await room.settled(run.pause());
  await room.clock.advance(3_600_000);
  await room.settled(run.resume());
  await room.clock.advance(19_000);
  expect(await run.status()).toMatchObject({ status: "running" });
  await room.clock.advance(2_000);
  expect(await run.status()).toMatchObject({ status: "timedOut" });
});

test("a paused run comes back paused from a crash at each of its commits, and starts nothing until it is resumed", async () => {
  const crashes = [];
  for (let crashAt = 1; crashAt < 40; crashAt++) {
    for (const fault of ["crashBefore", "crashAfter"] as const) {
      const room = new MachineRoom();
      const calls: string[] = [];
      let isPaused = false;
      const startedWhilePaused: string[] = [];
      const gate = deferred<void>();
      const agent = anyAgent("agent", async (name: string) => {
        calls.push(name);
        if (isPaused) startedWhilePaused.push(name);
        if (name === "a") await gate.promise;
        return name;
      });
      const flow = anyWorkflow("flow", (wf) => {
        const [a, b] = [wf.node("a", agent, "a"), wf.node("b", agent, "b")];
        return [wf.node("c", agent, "c", { after: [a, b] }).result, wf.node("d", agent, "d", { after: [a] }).result];
      });
      let groups = 0;
      const boot = () => room.boot([flow], { fault: () => (++groups === crashAt ? fault : undefined) });
      let process = await boot();
      /** Does something in whatever process lives. */
      const alive = async (work: (run: Run<unknown>) => Promise<unknown>): Promise<void> => {
        for (;;) {
          if (!process.isAlive) process = await boot();
          const lived = process;
          let isDone = false;
          const done = lived.pawl
            .start(flow, { id: "r", input: 1 })
            .then(work)
            .then(() => (isDone = true));
          done.catch(() => {});
          await room.clock.until(() => isDone || !lived.isAlive);
          if (isDone) return;
        }
      };
      await alive(() => Promise.resolve());
      await room.clock.advance(10);
      await alive((run) => run.pause());
      isPaused = true;
      gate.resolve();
      await room.clock.advance(5_000);
      await alive(async (run) => expect(await run.status()).toMatchObject({ status: "paused" }));
      process.kill();
      process = await boot();
      await room.clock.advance(5_000);
      if (!process.isAlive) {
        process = await boot();
        await room.clock.advance(5_000);
      }
      expect(await room.store.readRun("r")).toMatchObject({ status: "paused", wakeAt: WAITS_FOR_EVENT });
      await alive(async (run) => expect(Object.values(await statusesOf(run))).not.toContain("running"));
      isPaused = false;
      await alive((run) => run.resume());
      await alive((run) => run.result());
      expect(startedWhilePaused).toEqual([]);
      expect(new Set(calls)).toEqual(new Set(["a", "b", "c", "d"]));
      if (groups >= crashAt) crashes.push(crashAt);
    }
    if (!crashes.includes(crashAt)) break;
  }
  expect(crashes.length).toBeGreaterThan(10);
  expect(crashes.length).toBeLessThan(78);
});

test("a paused run can be cancelled, and says when that was at once", async () => {
  for (const now of [false, true]) {
    const room = new MachineRoom();
    const flow = anyWorkflow("flow", (wf) => wf.node("one", anyAgent("hangs", never), {}).result);
    const commits: Commit[] = [];
    const { pawl } = await room.boot([flow], { onApplied: (group) => void commits.push(...group) });
    const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
    await room.settled(run.pause());
    await room.settled(run.cancel({ now }));
    expect(await run.status()).toMatchObject({ status: "cancelled", terminated: now });
    expect(await statusesOf(run)).toEqual({ one: "cancelled" });
    expect(commits.flatMap(({ answers = [] }) => answers.map(({ body }) => readReply(body)))).toContainEqual({ done: true, commitNo: expect.any(Number) });
  }
});
