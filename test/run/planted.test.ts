/**
 * A test of the tests: protections are taken away and bugs planted, one at a time, and the simulation must notice each.
 */
import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { Attempt } from "../../src/run/attempt.ts";
import { nodeChart, workflowChart } from "../../src/run/charts.ts";
import { DagRun } from "../../src/run/dag-run.ts";
import { Progress } from "../../src/run/progress.ts";
import { Results } from "../../src/run/results.ts";
import type { Commit, Outcome, Store } from "../../src/store/store.ts";
import { dagSpec } from "../sim/dag.ts";
import { type Fault, replacing } from "../sim/process.ts";
import { type Plot, play } from "../sim/world.ts";

const PLOTS_MAX = 400;
const fault = fc.constantFrom<Fault | undefined>(undefined, undefined, "crashBefore", "crashAfter", "unknownApplied", "unknownLost", "full");
const plots = fc.record({ spec: dagSpec(8), seed: fc.nat(), lives: fc.array(fc.array(fault, { maxLength: 10 }), { maxLength: 3 }) });

/** How many random plots it takes until the simulation notices; undefined if it never does. */
async function hunt(wrap?: Plot["wrap"]): Promise<number | undefined> {
  const sample = fc.sample(plots, { numRuns: PLOTS_MAX, seed: 20_260_101 });
  for (const [i, { spec, seed, lives }] of sample.entries()) {
    const faults = lives.map((life) => (group: number) => life[group - 1]);
    const noticed = await play({ spec, seed, faults, ...(wrap !== undefined && { wrap }) }).then(
      () => false,
      () => true,
    );
    if (noticed) return i + 1;
  }
  return undefined;
}

afterEach(() => vi.restoreAllMocks());

const storeBugs: Record<string, (store: Store) => Store> = {
  "a commit is acknowledged before it is durable (no fsync)": (store) => {
    let held: readonly Commit[] = [];
    return replacing(store, {
      commit: async (group) => {
        if (held.length > 0) await store.commit(held);
        held = group;
        return group.map(() => "committed");
      },
    });
  },
  "an unknown outcome is taken for committed": (store) =>
    replacing(store, { commit: async (group) => (await store.commit(group)).map((outcome): Outcome => (outcome === "unknown" ? "committed" : outcome)) }),
  "a full disk loses what was waiting": (store) =>
    replacing(store, { commit: async (group) => (await store.commit(group)).map((outcome): Outcome => (outcome === "full" ? "committed" : outcome)) }),
  "a commit is torn: the run's row without its nodes": (store) =>
    replacing(store, { commit: (group) => store.commit(group.map((commit) => (commit.from === 2 ? { ...commit, actors: [] } : commit))) }),
  "unfinished runs of a dead worker are not taken over": (store) => replacing(store, { claim: async () => [], claimRun: async () => undefined }),
  "runs that sleep are not woken": (store) => replacing(store, { dueRuns: async () => ({ due: [], nextAt: null }) }),
  "rows of nodes are overlooked at recovery": (store) =>
    replacing(store, {
      readActorRange: async (...range) => (await store.readActorRange(...range)).filter(({ status }) => status !== "completed"),
    }),
};

for (const [bug, wrap] of Object.entries(storeBugs)) {
  test(`noticed: ${bug}`, async () => {
    expect(await hunt(wrap)).toBeDefined();
  });
}

const engineBugs: Record<string, () => void> = {
  "agents are called before the commit that grants them": () => {
    const { takeCommit, committed } = DagRun.prototype;
    vi.spyOn(DagRun.prototype, "takeCommit").mockImplementation(function (this: DagRun, epoch) {
      const commit = takeCommit.call(this, epoch);
      committed.call(this);
      this.commitNo--;
      this.inFlight = true;
      return commit;
    });
  },
  "a failed node's dependents start all the same": () => {
    const { settle } = Progress.prototype;
    vi.spyOn(Progress.prototype, "settle").mockImplementation(function (this: Progress, index, status) {
      settle.call(this, index, status === "failed" ? "skipped" : status);
    });
  },
  "a node that others wait for is released twice": () => {
    const { release } = Progress.prototype;
    vi.spyOn(Progress.prototype, "release").mockImplementation(function (this: Progress, index) {
      release.call(this, index);
      release.call(this, index);
    });
  },
  "results that have to be read back are forgotten": () => {
    const { resolve } = Results.prototype;
    vi.spyOn(Results.prototype, "resolve").mockImplementation(function (this: Results, template) {
      return resolve.call(this, template);
    });
  },
  "attempts are counted anew after a crash": () => {
    const restore = nodeChart.restore.bind(nodeChart);
    vi.spyOn(nodeChart, "restore").mockImplementation((value, context) => restore(value, { ...context, attempt: 0 }));
  },
  "a restored run takes itself for done": () => {
    const restore = workflowChart.restore.bind(workflowChart);
    vi.spyOn(workflowChart, "restore").mockImplementation((value, context) => restore(value === "running" ? "collecting" : value, context));
  },
  "failures that could pass are not tried again": () => {
    const { perform } = Attempt.prototype;
    vi.spyOn(Attempt.prototype, "perform").mockImplementation(function (this: Attempt, agent, input) {
      return perform.call(this, agent, input, ["timeout", "transient"]);
    });
  },
};

for (const [bug, plant] of Object.entries(engineBugs)) {
  test(`noticed: ${bug}`, async () => {
    plant();
    expect(await hunt()).toBeDefined();
  });
}

test("without a planted bug nothing is noticed", async () => {
  expect(await hunt()).toBeUndefined();
}, 120_000);
