/**
 * An operator sets how a group ends, or a node that has failed or is blocked while its run goes on: what it is made of ends with
 * it, and what follows is the same whoever dies meanwhile.
 */
import { expect, test } from "vitest";
import type { Run } from "../../src/run/handle.ts";
import type { OverrideOutcome } from "../../src/run/override.ts";
import type { NodeView, RunView } from "../../src/run/view.ts";
import type { Fault, SimProcess } from "../sim/process.ts";
import { MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";

const echo = anyAgent("echo", (given: unknown) => given ?? "nothing");
const settledWell = ["completed", "skipped", "failed"] as const;
const OUTCOMES: readonly OverrideOutcome[] = [{ result: ["set"] }, "skip", "fail"];

/** Groups of each kind, each with a part that runs for ever, one that has failed, and one that has not begun. */
class Groups extends MachineRoom {
  readonly aborted: string[] = [];
  readonly #part = anyAgent("part", (given: unknown, { nodeId, signal }) => {
    if (given === "ends") return "ended";
    if (given === "fails") throw Object.assign(new Error("no"), { name: "NoError" });
    signal.addEventListener("abort", () => this.aborted.push(nodeId));
    return never();
  });
  readonly #undo = anyAgent("undo", () => "undone");
  readonly inner = anyWorkflow("inner", (wf) => wf.node("deep", anyAgent("deep", never), wf.input).result);
  readonly flow = anyWorkflow(
    "groups",
    (wf) => {
      const retry = { maxAttempts: 1 };
      const items = wf.map("items", ["ends", "hangs", "fails", "waits"], this.#part, (item) => item, { concurrency: 2, retry });
      const loop = wf.repeat("loop", this.#part, "ends", { next: () => "hangs", until: (last) => last.never, max: 5 });
      const choice = wf.when(
        "choice",
        true,
        () => {
          const one = wf.node("one", this.#part, "hangs", { compensate: this.#undo });
          const many = wf.map("many", ["hangs"], this.#part, (item) => item);
          const called = wf.event("called", echo.output);
          wf.node("two", echo, { one: one.result, many: many.result, called: called.result });
          return one.result;
        },
        () => wf.node("other", echo, 1).result,
      );
      const child = wf.run("child", this.inner, {});
      for (const node of [items, loop, choice, child]) wf.node(`after-${node.id}`, echo, { given: node.result });
    },
    { timeout: 10_000_000 },
  );

  async played(fault?: (group: number) => Fault | undefined): Promise<{ process: SimProcess; run: Run<unknown> }> {
    const process = await this.boot([this.flow, this.inner], fault === undefined ? {} : { fault });
    const run = await this.settled(process.pawl.start(this.flow, { id: "r", input: 1 }));
    await this.clock.advance(10);
    return { process, run };
  }
}

/** How the nodes stand, by their ids. */
async function standing(run: Run<unknown>): Promise<Record<string, string>> {
  return Object.fromEntries((await run.nodes()).map(({ id, status }: NodeView) => [id, status]));
}

/** How the parts of each group stand, before anything is set and after. */
const BEFORE = { items: "blocked", "items[0]": "completed", "items[1]": "running", "items[2]": "failed", "items[3]": "running" };

const LEFT: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  items: { "items[0]": "completed", "items[1]": "notTaken", "items[2]": "notTaken", "items[3]": "notTaken" },
  loop: { "loop[0]": "completed", "loop[1]": "notTaken" },
  choice: { one: "notTaken", many: "notTaken", "many[0]": "notTaken", called: "notTaken", two: "notTaken", other: "notTaken" },
  child: {},
};
const GIVEN_UP: typeof LEFT = {
  items: { "items[0]": "completed", "items[1]": "failed", "items[2]": "failed", "items[3]": "failed" },
  loop: { "loop[0]": "completed", "loop[1]": "failed" },
  choice: { one: "failed", many: "failed", "many[0]": "failed", called: "failed", two: "blocked", other: "notTaken" },
  child: {},
};
const ABORTED: Readonly<Record<string, readonly string[]>> = { items: ["items[1]", "items[3]"], loop: ["loop[1]"], choice: ["many[0]", "one"], child: [] };

test.each(Object.keys(LEFT))("%s ends as it is told, with all that it is made of; after a crash it stands the same", async (id) => {
  for (const [i, outcome] of OUTCOMES.entries()) {
    const room = new Groups();
    const { run, process } = await room.played();
    expect(await standing(run)).toMatchObject(BEFORE);
    await room.settled(run.override(id, outcome, { by: "ana" }));
    await room.clock.advance(10);
    const nodes = await standing(run);
    expect(nodes).toMatchObject({ [id]: settledWell[i], ...(outcome === "fail" ? GIVEN_UP : LEFT)[id] });
    expect(nodes[`after-${id}`]).toBe(outcome === "fail" ? "blocked" : "completed");
    expect(room.aborted.toSorted()).toEqual(ABORTED[id]);
    if (outcome !== "fail") expect(await run.nodeResult(`after-${id}`)).toEqual({ given: outcome === "skip" ? undefined : ["set"] });
    if (typeof outcome === "object") expect(await run.nodeResult(id)).toEqual(["set"]);
    if (id === "child") expect((await room.store.readRun("r/child"))!.status).toBe("cancelled");
    await expect(room.settled(run.override(id, "skip"))).rejects.toMatchObject(
      outcome === "fail" ? { name: "none" } : { code: "PAWL_NODE_SETTLED", data: { overridden: { by: "ana" } } },
    ).catch((error: unknown) => (outcome === "fail" ? undefined : Promise.reject(error)));
    if (outcome === "fail") continue;
    process.kill();
    const { pawl } = await room.boot([room.flow, room.inner]);
    const again = await room.settled(pawl.run("r"));
    await room.clock.advance(10);
    expect(await standing(again)).toEqual(nodes);
  }
});
