/**
 * Scenes with maps, loops and choices in which something was wrong once.
 */
import { expect, test } from "vitest";
import { fork, planFork } from "../../src/run/fork.ts";
import type { WorkflowForkPlan } from "../../src/run/fork-plan.ts";
import { retryRun } from "../../src/run/reopen.ts";
import type { NodeView } from "../../src/run/view.ts";
import { seededRandom } from "../../src/testing/seeded-random.ts";
import { MachineRoom, anyAgent, anyWorkflow } from "../sim/machine-room.ts";

const echo = anyAgent("echo", (input: unknown) => input);
const statuses = (nodes: readonly NodeView[]): string => nodes.map(({ id, status }) => `${id} ${status}`).join(", ");

class Room extends MachineRoom {
  readonly flow;

  constructor(define: Parameters<typeof anyWorkflow>[1]) {
    super();
    this.flow = anyWorkflow("flow", define);
  }

  async ended(input: unknown, id = "old"): Promise<NodeView[]> {
    const { pawl, kill } = { ...(await this.booted()) };
    const run = await this.settled(pawl.start(this.flow, { id, input }));
    await this.settled(run.ended());
    const nodes = await run.nodes();
    kill();
    return nodes;
  }

  async booted(): Promise<{ pawl: Awaited<ReturnType<MachineRoom["boot"]>>["pawl"]; kill: () => void }> {
    const process = await this.boot([this.flow]);
    return { pawl: process.pawl, kill: () => process.kill() };
  }

  /** A fork, when it has ended. */
  async forked(options: { from: string; set?: Record<string, unknown> }): Promise<{ output: unknown; nodes: NodeView[] }> {
    const { id } = await fork({ store: this.store, clock: this.clock, random: seededRandom(1) }, "old", { id: "new", ...options });
    const { pawl } = await this.booted();
    const run = await this.settled(pawl.run(id));
    const { output } = await this.settled(run.ended());
    return { output, nodes: await run.nodes() };
  }
}

test("a member that waits for a failed node is not blocked before its choice is made: if it is not taken, others go on", async () => {
  const room = new Room((wf) => {
    const first = wf.node("first", echo, {});
    const list = wf.map("list", first.result, echo, () => ({}));
    const way = wf.route("way", first.result.way, { a: () => ({ id: wf.node("member", echo, { of: list.result }).id }) });
    return wf.node("after", echo, { of: way.result }, { after: [{ id: "member" } as never] }).result;
  });
  expect(statuses(await room.ended({}))).toBe("first completed, list failed, way completed, member notTaken, after completed");
});

test("members of a choice that cannot be made are blocked by what the choice is blocked by", async () => {
  const bad = anyAgent("bad", () => Promise.reject(new Error("bad")), { retry: { maxAttempts: 1 } });
  const room = new Room((wf) => {
    const first = wf.node("first", bad, {});
    wf.when("good", first.result.good, () => wf.node("member", echo, {}).result);
    return {};
  });
  expect((await room.ended({})).map(({ upstreamFailures }) => upstreamFailures)).toEqual([[], ["first"], ["first"]]);
});

test("items of a map are told of the skipped nodes that the map waits for", async () => {
  const bad = anyAgent("bad", () => Promise.reject(new Error("bad")), { retry: { maxAttempts: 1 } });
  const told: unknown[] = [];
  const listens = anyAgent("listens", (_, { upstreamFailures }) => told.push(upstreamFailures.map(({ nodeId }) => nodeId)));
  const room = new Room((wf) => {
    const first = wf.node("first", bad, {}, { onFail: "skip" });
    wf.map("map", [1, 2], listens, () => ({}), { after: [first] });
    return {};
  });
  await room.ended({});
  expect(told).toEqual([["first"], ["first"]]);
});

test("a result that is set in a way that is not taken changes nothing of how choices are made", async () => {
  const room = new Room((wf) => {
    const first = wf.node("first", echo, { yes: true, no: false });
    const outer = wf.when("outer", first.result.yes, () => {
      const inner = wf.when("inner", first.result.no, () => wf.node("left", echo, {}).result);
      return wf.node("member", echo, { of: inner.result, n: 1 }).result.n;
    });
    return outer.result;
  });
  await room.ended({});
  const { output, nodes } = await room.forked({ from: "left", set: { "left.result": 5 } });
  expect(output).toBe(1);
  expect(statuses(nodes)).toBe("first completed, outer completed, inner completed, left completed, member completed");
});

test("all members of a choice that runs again do, also those of a choice of which one was found to run again before", async () => {
  const room = new Room((wf) => {
    const outer = wf.when("outer", wf.input.yes, () => {
      const before = wf.node("before", echo, {});
      return wf.when("inner", wf.input.yes, () => {
        wf.node("behind", echo, {}, { after: [before] });
        return wf.node("beside", echo, {}).result;
      }).result;
    });
    return outer.result;
  });
  await room.ended({ yes: true });
  const plan = (await planFork(room.store, "old", { from: "outer" })) as WorkflowForkPlan;
  expect(plan.runsAgain).toEqual(["outer", "before", "inner", "behind", "beside"]);
});

test("a run can be forked from the round of a loop that is under way: it is seen, though it has no row yet", async () => {
  const room: Room = new Room(
    (wf) =>
      wf.repeat(
        "loop",
        anyAgent("slow", () => new Promise((resolve) => room.clock.after(1_000, () => resolve(1)))),
        {},
        { max: 3 },
      ).result,
  );
  const { pawl, kill } = await room.booted();
  const run = await room.settled(pawl.start(room.flow, { id: "old", input: {} }));
  await room.clock.advance(1_500);
  expect(statuses(await run.nodes())).toBe("loop running, loop[0] completed, loop[1] running");
  kill();
  const plan = (await planFork(room.store, "old", { from: "loop[1]" })) as WorkflowForkPlan;
  expect([plan.keeps.map(({ node }) => node), plan.runsAgain]).toEqual([["loop[0]"], ["loop", "loop[1]"]]);
  await expect(planFork(room.store, "old", { from: "loop[2]" })).rejects.toMatchObject({ code: "PAWL_INVALID_VALUE" });
  expect((await room.forked({ from: "loop[1]" })).output).toBe(1);
});

test("a choice whose result is set is not made: its members are not taken, and others go on with what was set", async () => {
  const room = new Room((wf) => {
    const choice = wf.when("choice", wf.input.yes, () => wf.node("member", echo, {}).result);
    return wf.node("end", echo, { of: choice.result }).result;
  });
  await room.ended({ yes: true });
  const { output, nodes } = await room.forked({ from: "choice", set: { "choice.result": 5 } });
  expect(output).toEqual({ of: 5 });
  expect(statuses(nodes)).toBe("choice completed, member notTaken, end completed");
});

test("items that are runs of their own, retried all at once, keep to the map's concurrency", async () => {
  let [now, most, isFixed] = [0, 0, false];
  const room: Room = new Room((wf) => {
    const slow = anyAgent(
      "slow",
      () => {
        most = Math.max(most, ++now);
        return new Promise((resolve, reject) => room.clock.after(1_000, () => (now--, isFixed ? resolve(1) : reject(new Error("no")))));
      },
      { retry: { maxAttempts: 1 } },
    );
    return wf.map(
      "map",
      [1, 2, 3],
      anyWorkflow("inner", (inner) => inner.node("n", slow, {}).result),
      () => ({}),
      { concurrency: 1 },
    ).result;
  });
  await room.ended({});
  [most, isFixed] = [0, true];
  await retryRun(room.store, "old", { at: room.clock.now() });
  const { pawl } = await room.booted();
  expect((await room.settled((await room.settled(pawl.run("old"))).ended())).output).toEqual([1, 1, 1]);
  expect(most).toBe(1);
});

test("a member that is blocked when its choice is made does not block those of ways that are not taken", async () => {
  const room = new MachineRoom();
  const bad = anyAgent("bad", () => Promise.reject(new Error("no")), { retry: { maxAttempts: 1 } });
  const echo = anyAgent("echo", (input) => input);
  const flow = anyWorkflow("flow", (wf) => {
    const failing = wf.node("failing", bad, {});
    const way = wf.node("way", echo, wf.input);
    let reader: { readonly result: unknown } | undefined;
    let out: { readonly id: string; readonly result: unknown } | undefined;
    const choice = wf.route("choice", way.result as any, {
      a: () => void (reader = wf.node("reader", echo, failing.result)),
      b: () => void (out = wf.node("out", echo, reader!.result as never)),
    });
    wf.node("last", echo, 1, { after: [out as never] });
    return choice.result;
  });
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: "a" }));
  await room.settled(run.ended());
  expect(Object.fromEntries((await run.nodes()).map(({ id, status }) => [id, status]))).toMatchObject({
    reader: "blocked",
    out: "notTaken",
    last: "completed",
  });
});
