/**
 * A cancel reaches all that a run has set going, and waits for no agent longer than it must.
 */
import { expect, test } from "vitest";
import type { CancelOptions, Run } from "../../src/run/handle.ts";
import type { Startable } from "../../src/run/startable.ts";
import type { Fault } from "../sim/process.ts";
import { MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";

const TIMEOUT_MS = 60_000;

/** A node that ignores that it is aborted, behind one that was done; with what undoes them. */
class Deaf extends MachineRoom {
  readonly undone: string[] = [];
  readonly #undo = anyAgent("undo", (_, { nodeId }) => this.undone.push(nodeId));
  readonly inner = anyWorkflow("inner", (wf) => this.deaf(wf, true));
  readonly outer = anyWorkflow("outer", (wf) => wf.run("child", this.inner, {}).result);

  deaf(wf: Parameters<Parameters<typeof anyWorkflow>[1]>[0], isUndone: boolean): void {
    const compensate = isUndone ? { compensate: this.#undo } : {};
    const done = wf.node(
      "done",
      anyAgent("done", () => 1),
      {},
      compensate,
    );
    wf.node("deaf", anyAgent("deaf", never), done.result, { ...compensate, timeout: TIMEOUT_MS });
  }

  async played(flow: Startable, fault?: (group: number) => Fault | undefined): Promise<Run<unknown>> {
    const { pawl } = await this.boot([flow, this.inner], fault === undefined ? {} : { fault });
    const run = await this.settled(pawl.start(flow, { id: "r", input: 1 }));
    await this.clock.advance(100);
    return run as Run<unknown>;
  }
}

test("an agent that ignores its signal holds up no run where nothing is undone", async () => {
  for (const options of [{}, { now: true }, { compensate: false }] as const) {
    const room = new Deaf();
    const flow = anyWorkflow("flow", (wf) => room.deaf(wf, options.compensate === false));
    const run = await room.played(flow);
    const before = room.clock.mono();
    await room.settled(run.cancel(options));
    expect([room.clock.mono() - before, (await run.status()).status, room.undone]).toEqual([0, "cancelled", []]);
  }
});

test("where something is undone, its end is waited for as long as an attempt may take, and no longer", async () => {
  const room = new Deaf();
  const run = await room.played(anyWorkflow("flow", (wf) => room.deaf(wf, true)));
  const { startedAt } = (await run.nodes()).find(({ id }) => id === "deaf")!;
  await room.settled(run.cancel());
  expect([room.clock.now() - startedAt!, (await run.status()).status, room.undone]).toEqual([TIMEOUT_MS, "cancelled", ["deaf[undo]", "done[undo]"]]);
});

const WAYS: readonly (readonly [CancelOptions, string[], object])[] = [
  [{}, ["deaf[undo]", "done[undo]"], { terminated: false, compensated: true }],
  [{ compensate: false }, [], { terminated: false, compensated: false }],
  [{ now: true }, [], { terminated: true, compensated: false }],
];

test.each(WAYS)("a run of its own is cancelled as the run that it belongs to: %j", async (options, undone, view) => {
  for (const isFromElsewhere of [false, true]) {
    const room = new Deaf();
    const run = await room.played(room.outer);
    const asked = isFromElsewhere ? await room.settled((await room.boot([], { execute: false })).pawl.run("r")) : run;
    await room.settled(asked.cancel(options));
    await room.clock.advance(2 * TIMEOUT_MS);
    expect((await run.status()).status).toBe("cancelled");
    const child = await room.settled((await room.boot([], { execute: false })).pawl.run("r/child"));
    expect(await child.status()).toMatchObject({ status: "cancelled", ...view });
    expect(room.undone).toEqual(undone);
  }
});

test("a run of its own is undone, or is not, as it was said, whatever commit the worker dies at", async () => {
  for (const [options, undone] of WAYS)
    for (let group = 5; group < 14; group++) {
      const room = new Deaf();
      const worker = await room.boot([room.outer, room.inner], { fault: (now) => (now === group ? "crashAfter" : undefined) });
      void worker.pawl.start(room.outer, { id: "r", input: 1 }).catch(() => {});
      await room.clock.advance(100);
      const web = await room.boot([], { execute: false });
      const run = await room.settled(web.pawl.run("r"));
      const asked = run.cancel(options).catch(() => {});
      await room.clock.advance(100);
      await room.boot([room.outer, room.inner]);
      await room.settled(asked);
      await room.clock.advance(3 * TIMEOUT_MS);
      const child = await room.store.readRun("r/child");
      expect([(await run.status()).status, child?.status], `group ${group}`).toEqual(["cancelled", "cancelled"]);
      expect([...new Set(room.undone)].toSorted(), `group ${group}`).toEqual(undone);
    }
});
