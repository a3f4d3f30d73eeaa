/**
 * What random workflows that are undone, overridden and taken up again have found, each as a scene of its own.
 */
import { expect, test } from "vitest";
import type { Store } from "../../src/store/store.ts";
import { replacing } from "../sim/process.ts";
import { MachineRoom, anyAgent, anyWorkflow, deferred, never } from "../sim/machine-room.ts";

const ONCE = { retry: { maxAttempts: 1 } } as const;
const bad = anyAgent("bad", () => Promise.reject(new Error("no")), ONCE);
const good = anyAgent("good", () => "done");
const stuck = anyAgent("stuck", never, ONCE);

/** What was undone, in order. */
function undoer(): { readonly undo: ReturnType<typeof anyAgent>; readonly undone: string[] } {
  const undone: string[] = [];
  return { undone, undo: anyAgent("undo", (_, { nodeId }) => void undone.push(nodeId.replace("[undo]", ""))) };
}

test("a node whose own run was about to start when the run is unwound holds nothing up", async () => {
  const room = new MachineRoom();
  const { undo, undone } = undoer();
  const inner = anyWorkflow("inner", (wf) => wf.node("work", stuck, 1).result);
  const flow = anyWorkflow("flow", (wf) => {
    wf.run("own", inner, 1, { compensate: undo });
    return wf.node("bad", bad, 1, { onFail: "compensate" }).result;
  });
  const { pawl } = await room.boot([flow, inner]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  expect(await room.settled(run.ended())).toMatchObject({ status: "failed", compensated: true });
  expect(undone).toEqual(["own"]);
});

test("a cancel from another process asks once, however long it takes to undo what was done", async () => {
  const room = new MachineRoom();
  const gate = deferred<void>();
  const slowly = anyAgent("slowly", () => gate.promise);
  const flow = anyWorkflow("flow", (wf) => {
    const first = wf.node("first", good, 1, { compensate: slowly });
    return wf.node("second", stuck, 1, { after: [first], timeout: "1s" }).result;
  });
  const worker = await room.boot([flow]);
  await room.settled(worker.pawl.start(flow, { id: "r", input: 1 }));
  const { pawl } = await room.boot([], { execute: false });
  const run = await room.settled(pawl.run("r"));
  const cancelled = run.cancel();
  await room.clock.advance(20_000);
  expect(await run.status()).toMatchObject({ status: "compensating" });
  expect((await run.status()).commitNo).toBeLessThan(8);
  gate.resolve();
  await room.settled(cancelled);
  expect(await run.status()).toMatchObject({ status: "cancelled", compensated: true });
});

test("a loop whose round somebody passes over is passed over, too, whatever its failures would lead to", async () => {
  for (const onFail of ["block", "compensate"] as const) {
    const room = new MachineRoom();
    const flow = anyWorkflow("flow", (wf) => {
      const loop = wf.repeat("loop", stuck, 1, { max: 3, onFail });
      return wf.node("next", good, { loop: loop.result }).result;
    });
    const { pawl } = await room.boot([flow]);
    const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
    await room.clock.advance(10);
    await room.settled(run.override("loop[0]", "skip"));
    expect(await room.settled(run.ended())).toMatchObject({ status: "completed", degraded: true, output: "done" });
    expect((await run.nodes()).map(({ id, status }) => [id, status])).toEqual([
      ["loop", "skipped"],
      ["loop[0]", "skipped"],
      ["next", "completed"],
    ]);
  }
});

test("an attempt that a crash cut off may have done something: it is undone, though it has not run again", async () => {
  const room = new MachineRoom();
  const { undo, undone } = undoer();
  const flow = anyWorkflow("flow", (wf) => wf.node("paid", stuck, 1, { compensate: undo }).result);
  const first = await room.boot([flow]);
  const begun = await room.settled(first.pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(10);
  await room.settled(begun.pause());
  first.kill();
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.run("r"));
  await room.settled(run.cancel());
  expect(await run.status()).toMatchObject({ status: "cancelled", compensated: true });
  expect(undone).toEqual(["paid"]);
});

test("no node of a run that was terminated while nobody had it is shown as one that runs", async () => {
  const room = new MachineRoom();
  const { z } = await import("zod");
  const flow = anyWorkflow("flow", (wf) => [wf.event("asked", z.any()).result, wf.map("all", wf.input.list, stuck, (item) => item).result]);
  const first = await room.boot([flow]);
  await room.settled(first.pawl.start(flow, { id: "r", input: { list: [1] } }));
  await room.clock.advance(10);
  first.kill();
  const { pawl } = await room.boot([], { execute: false });
  const run = await room.settled(pawl.run("r"));
  await room.settled(run.cancel({ now: true }));
  expect((await run.nodes()).map(({ id, status }) => [id, status])).toEqual([
    ["asked", "cancelled"],
    ["all", "cancelled"],
    ["all[0]", "cancelled"],
  ]);
});

test("in a run that has ended, too, the outcome of a node whose branch was not taken cannot be set", async () => {
  const room = new MachineRoom();
  const flow = anyWorkflow("flow", (wf) => {
    wf.when(
      "choice",
      wf.input.yes,
      () => null,
      () => wf.node("other", good, 1).result,
    );
    return wf.node("bad", bad, 1).result;
  });
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: { yes: true } }));
  await room.settled(run.ended());
  await expect(room.settled(run.override("other", "skip"))).rejects.toMatchObject({ code: "PAWL_NODE_SETTLED", data: { status: "notTaken" } });
});

test("a node that is given up when its run has ended unwinds it, as while it ran", async () => {
  const room = new MachineRoom();
  const { undo, undone } = undoer();
  const flow = anyWorkflow("flow", (wf) => {
    const first = wf.node("first", good, 1, { compensate: undo });
    return wf.node("second", stuck, 1, { after: [first], onFail: "compensate" }).result;
  });
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(10);
  await room.settled(run.cancel({ now: true }));
  await room.settled(run.override("second", "fail"));
  expect(await room.settled(run.ended())).toMatchObject({ status: "failed", compensated: true, failure: { node: "second" } });
  expect(undone).toEqual(["first"]);
});

test("a cancel that comes when only the output is to be put together has what was done undone", async () => {
  const room = new MachineRoom();
  const { undo, undone } = undoer();
  let isStuck = true;
  const once = anyAgent("once", () => (isStuck ? never() : "late"));
  const flow = anyWorkflow("flow", (wf) => {
    const first = wf.node("first", good, 1, { compensate: undo });
    return [first.result, wf.node("second", once, 1, { after: [first] }).result];
  });
  const before = await room.boot([flow]);
  await room.settled(before.pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(10);
  before.kill();
  isStuck = false;
  const slowly = (store: Store): Store =>
    replacing(store, {
      readActors: async (...of) => {
        await new Promise<void>((resolve) => room.clock.after(100, resolve));
        return store.readActors(...of);
      },
    });
  let isReading = false;
  const second = await room.boot([flow], {
    wrap: slowly,
    onApplied: (group) => {
      isReading ||= group.some(({ actors }) => actors.some(({ key, status }) => key === "second" && status === "completed"));
    },
  });
  const run = await room.settled(second.pawl.run("r"));
  await room.clock.until(() => isReading);
  await room.settled(run.cancel());
  expect(await room.settled(run.ended())).toMatchObject({ status: "cancelled", compensated: true });
  expect(undone).toEqual(["first"]);
});

test("a result that somebody sets is no alternative's: the run is not degraded, also not after a crash", async () => {
  for (const crashes of [false, true]) {
    const room = new MachineRoom();
    let isStuck = true;
    const last = anyAgent("last", () => (isStuck ? never() : "end"));
    const flow = anyWorkflow("flow", (wf) => {
      const first = wf.node("first", bad, 1, { onFail: { use: stuck } });
      return wf.node("last", last, first.result).result;
    });
    let process = await room.boot([flow]);
    const begun = await room.settled(process.pawl.start(flow, { id: "r", input: 1 }));
    await room.clock.advance(10);
    await room.settled(begun.override("first", { result: "set" }));
    isStuck = false;
    if (crashes) {
      process.kill();
      process = await room.boot([flow]);
    } else await room.settled(begun.override("last", { result: "end" }));
    const run = await room.settled(process.pawl.run("r"));
    expect(await room.settled(run.ended())).toMatchObject({ status: "completed", degraded: false, output: "end" });
  }
});

test("an attempt that is asked to stop is waited for no longer than its timeout, from its grant", async () => {
  const room = new MachineRoom();
  const { undo } = undoer();
  const later = anyAgent("later", () => new Promise((_, reject) => room.clock.after(7_000, () => reject(new Error("no")))), ONCE);
  const flow = anyWorkflow("flow", (wf) => {
    wf.node("deaf", stuck, 1, { timeout: "10s", compensate: undo });
    return wf.node("bad", later, 1, { onFail: "compensate" }).result;
  });
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  const begunAt = room.clock.mono();
  await room.settled(run.ended());
  expect(room.clock.mono() - begunAt).toBe(10_000);
});

test("what ended in one commit is undone in the reverse order of the definition, items among the other nodes", async () => {
  const room = new MachineRoom();
  const { undo, undone } = undoer();
  const flow = anyWorkflow("flow", (wf) => {
    const all = wf.map("all", wf.input.list, good, (item) => item, { compensate: undo });
    const one = wf.node("one", good, 1, { compensate: undo });
    return wf.node("bad", bad, 1, { after: [all, one], onFail: "compensate" }).result;
  });
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: { list: [1, 2] } }));
  await room.settled(run.ended());
  expect(undone).toEqual(["one", "all[1]", "all[0]"]);
});

test("a retry of a node whose attempts are runs begins with its own workflow again, and has all its attempts", async () => {
  const room = new MachineRoom();
  const calls: string[] = [];
  let isFixed = false;
  const work = anyAgent("work", () => (calls.push("own"), isFixed && calls.length > 4 ? "own" : Promise.reject(new Error("no"))), ONCE);
  const inner = anyWorkflow("inner", (wf) => wf.node("work", work, 1).result);
  const other = anyAgent("other", () => (calls.push("other"), Promise.reject(new Error("no"))), ONCE);
  const retry = { maxAttempts: 2, initialInterval: "1s" } as const;
  const flow = anyWorkflow("flow", (wf) => wf.run("own", inner, 1, { retry, onFail: { use: other } }).result);
  const { pawl } = await room.boot([flow, inner]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  await room.settled(run.ended());
  expect(calls).toEqual(["own", "own", "other"]);
  isFixed = true;
  await room.settled(run.retry());
  expect(await room.settled(run.ended())).toMatchObject({ status: "completed", degraded: false, output: "own" });
  expect(calls).toEqual(["own", "own", "other", "own", "own"]);
});

test("a run of its own that goes on when its process died is told to end, and its end is waited for before anything is undone", async () => {
  for (const isFound of ["cut off while the run is unwound", "not gone on with yet when the run is cancelled"]) {
    const room = new MachineRoom();
    const { undo, undone } = undoer();
    const slowly = anyAgent("slowly", async (_, { nodeId }) => {
      await new Promise<void>((resolve) => room.clock.after(1_000, resolve));
      undone.push(nodeId);
    });
    const inner = anyWorkflow("inner", (wf) => {
      const first = wf.node("first", good, 1, { compensate: slowly });
      return wf.node("second", stuck, 1, { after: [first], timeout: "1s" }).result;
    });
    const flow = anyWorkflow("flow", (wf) => {
      const before = wf.node("before", good, 1, { compensate: undo });
      return wf.run("own", inner, 1, { after: [before] }).result;
    });
    const isUnwinding = isFound.startsWith("cut off");
    let mayDie = false;
    const worker = await room.boot([flow, inner], {
      fault: (_, commits) => (mayDie && commits.some(({ runId, run }) => runId === "r" && run.status === "compensating") ? "crashAfter" : undefined),
    });
    const begun = await room.settled(worker.pawl.start(flow, { id: "r", input: 1 }));
    await room.clock.advance(100);
    mayDie = true;
    if (isUnwinding) void begun.cancel().catch(() => {});
    else await room.settled(begun.pause());
    if (isUnwinding) await room.clock.until(() => !worker.isAlive);
    else worker.kill();
    const { pawl } = await room.boot([flow, inner]);
    const run = await room.settled(pawl.run("r"));
    if (!isUnwinding) await room.settled(run.cancel());
    expect(await room.settled(run.ended()), isFound).toMatchObject({ status: "cancelled", compensated: true });
    expect(undone, isFound).toEqual(["first[undo]", "before"]);
    expect(await room.settled((await pawl.run("r/own")).status())).toMatchObject({ status: "cancelled", compensated: true });
  }
});
