/**
 * A test of the tests: bugs are planted in what failures lead to, in undoing, overrides and retries, one at a time, and random
 * plots must notice each.
 */
import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { nodeChart, workflowChart } from "../../src/run/charts.ts";
import { DagRows } from "../../src/run/dag-rows.ts";
import { EditedInputs } from "../../src/run/edited-inputs.ts";
import { EventNodes } from "../../src/run/event-nodes.ts";
import { Failures } from "../../src/run/failures.ts";
import { LiveNodes } from "../../src/run/live-nodes.ts";
import { Progress } from "../../src/run/progress.ts";
import { Results } from "../../src/run/results.ts";
import { Unwinding } from "../../src/run/unwinding.ts";
import { playGoverned } from "../sim/governed.ts";
import { deed, lives, permits, round, undoableSpec } from "../sim/governed-plots.ts";
import { steady } from "../sim/shapes.ts";

const isLong = process.env["PAWL_CASES"] === "long";
const PLOTS_MAX = isLong ? 1_500 : 20;
/** It takes more plots until these are noticed. */
const RARE: ReadonlySet<string> = new Set([
  "a cancel overlooks what runs and could be undone",
  "what runs is not waited for when the run is unwound",
  "events go on being awaited when the run is unwound",
  "a terminated run is undone",
  "a run is undone though its cancel said not to",
  "an edited input is forgotten by a crash",
  "a run in which an alternative took over is not degraded",
  "no row says that an attempt which can be undone has begun",
  "a node whose outcome is set stays in the queue",
  "a node that is passed over counts as failed",
  "an alternative begins with the attempts of those before it",
]);
const plots = fc.record({
  spec: undoableSpec(4).map(steady),
  seed: fc.nat(),
  permits,
  deeds: fc.array(deed, { maxLength: 3 }),
  rounds: fc.array(round, { maxLength: 2 }),
  faults: lives(10, "crashBefore", "crashAfter"),
});

/** How many random plots it takes until one notices; undefined if none does. */
async function hunt(): Promise<number | undefined> {
  for (const [i, plot] of fc.sample(plots, { numRuns: PLOTS_MAX, seed: 20_261_121 }).entries()) {
    const noticed = await playGoverned(plot).then(
      () => false,
      () => true,
    );
    if (noticed) return i + 1;
  }
  return undefined;
}

afterEach(() => vi.restoreAllMocks());

/** The method does something else; it is given the one that it replaces. */
function replaced<T extends object>(of: T, method: keyof T, by: (original: any) => unknown): () => void {
  return () => {
    const original = of[method];
    vi.spyOn(of, method as never).mockImplementation(by(original) as never);
  };
}

/** The events that a chart is told are others. */
function told(chart: { turn: any }, change: (snapshot: any, event: any) => any): () => void {
  return replaced(chart, "turn", (turn) => (snapshot: any, event: any) => turn.call(chart, snapshot, change(snapshot, event)));
}

const nothing = (): (() => void) => () => {};
const ended = (change: (values: any[]) => any[] | undefined): (() => void) =>
  replaced(
    Unwinding.prototype,
    "ended",
    (original) =>
      function (this: unknown, ...values: any[]) {
        const changed = change(values);
        if (changed !== undefined) original.apply(this, changed);
      },
  );

const bugs: Record<string, () => void> = {
  "what was done is undone in the order in which it ended": ended(([node, status, attempt, failure, commitNo]) => [node, status, attempt, failure, -commitNo]),
  "the node that failed is not undone itself": ended((values) => (values[1] === "failed" ? undefined : values)),
  "what was cut off is taken for not done": ended((values) => (values[1] === "cancelled" ? undefined : values)),
  "what nobody has called is undone": ended(([node, status, attempt, ...more]) => [node, status, Math.max(1, attempt), ...more]),
  "a compensation that failed counts as done": replaced(
    Unwinding.prototype,
    "undone",
    (original) =>
      function (this: unknown, of: number) {
        original.call(this, of, true);
      },
  ),
  "what was undone before a crash is undone again": replaced(Unwinding.prototype, "undone", nothing),
  "compensations are not told the result": replaced(
    Results.prototype,
    "undoInput",
    (original) =>
      function (this: unknown, ...values: unknown[]) {
        return { ...original.apply(this, values), result: undefined };
      },
  ),
  "compensations are not told why": replaced(
    Results.prototype,
    "undoInput",
    (original) =>
      function (this: unknown, of: unknown, _: unknown, loaded: unknown) {
        return original.call(this, of, undefined, loaded);
      },
  ),
  "a cancel overlooks what runs and could be undone": () => vi.spyOn(LiveNodes.prototype, "haveUndo", "get").mockReturnValue(false),
  "what runs is not waited for when the run is unwound": replaced(
    Progress.prototype,
    "stop",
    (original) =>
      function (this: unknown) {
        original.call(this, false);
      },
  ),
  "events go on being awaited when the run is unwound": replaced(EventNodes.prototype, "cancel", nothing),
  "a terminated run is undone": told(workflowChart, (_, event) => (event.type === "run.terminate" ? { type: "run.cancel", undoes: true } : event)),
  "a run is undone though its cancel said not to": told(workflowChart, (_, event) => (event.type === "run.cancel" ? { ...event, undoes: true } : event)),
  "a run that is unwound after a failure ends as cancelled": told(workflowChart, (snapshot, event) => {
    if (event.type === "supervisor.unwound") snapshot.context.unwinds = "cancelled";
    return event;
  }),
  "an edited input is forgotten by a crash": replaced(EditedInputs.prototype, "restore", nothing),
  "a run in which an alternative took over is not degraded": replaced(
    Failures.prototype,
    "note",
    (original) =>
      function (this: unknown, node: unknown, status: unknown, failure: unknown) {
        original.call(this, node, status, failure, 0);
      },
  ),
  "no row says that an attempt which can be undone has begun": replaced(
    DagRows.prototype,
    "granted",
    (original) =>
      function (this: unknown, actor: any) {
        original.call(this, { ...actor, node: { ...actor.node, compensate: undefined } });
      },
  ),
  "a node whose outcome is set stays in the queue": replaced(Progress.prototype, "withdraw", nothing),
  "a node that is passed over counts as failed": told(nodeChart, (_, event) => (event.outcome === "skipped" ? { ...event, outcome: "failed" } : event)),
  "an alternative begins with the attempts of those before it": replaced(nodeChart, "turn", (turn) => (snapshot: any, event: any) => {
    const result = turn.call(nodeChart, snapshot, event);
    if (result.snapshot.context.alternative > 0) result.snapshot.context.attemptsBefore = 0;
    return result;
  }),
};

test("without a bug nothing is noticed", async () => {
  expect(await hunt()).toBeUndefined();
}, 240_000);

test.each(Object.entries(bugs).filter(([name]) => isLong || !RARE.has(name)))(
  "%s: noticed",
  async (name, plant) => {
    plant();
    const plotsNeeded = await hunt();
    console.log(`${name}: ${plotsNeeded}`);
    expect(plotsNeeded).toBeDefined();
  },
  120_000,
);
