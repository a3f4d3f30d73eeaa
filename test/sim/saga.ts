/**
 * Random workflows whose nodes can be undone, in a simulated world: who is called when, and what must be true of it, whatever
 * dies when.
 */
import fc from "fast-check";
import { AgentError, workflow } from "../../src/index.ts";
import { z } from "zod";
import type { NodeView, RunView } from "../../src/run/view.ts";
import type { HistoryEntry } from "../../src/run/history.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import { SimClock } from "./clock.ts";
import { anyAgent } from "./machine-room.ts";
import { type Fault, SimProcess } from "./process.ts";

/** What an agent does each time that it is called. */
const ACTS = ["ok", "slow", "fails", "hangs", "deaf"] as const;
type Act = (typeof ACTS)[number];

export interface SagaNode {
  readonly act: Act;
  readonly after: readonly number[];
  /** What takes over from it, if anything does. */
  readonly alternative: Act | undefined;
  readonly onFail: "block" | "skip" | "compensate";
  /** How its compensation goes; undefined when it has none. */
  readonly undo: "ok" | "slow" | "fails" | undefined;
}

export type SagaSpec = readonly SagaNode[];

export const sagaSpec: fc.Arbitrary<SagaSpec> = fc
  .array(
    fc.record({
      act: fc.constantFrom<Act>("ok", "ok", "ok", "slow", "slow", "fails", "hangs", "deaf"),
      after: fc.array(fc.nat(6), { maxLength: 2 }),
      alternative: fc.constantFrom<Act | undefined>(undefined, undefined, "ok", "fails", "hangs"),
      onFail: fc.constantFrom("block", "skip", "compensate", "compensate"),
      undo: fc.constantFrom("ok", "ok", "slow", "fails", undefined),
    }),
    { minLength: 1, maxLength: 7 },
  )
  .map((nodes) => nodes.map((node, i) => ({ ...node, after: [...new Set(node.after.filter((other) => other < i))] })));

export interface SagaPlot {
  readonly spec: SagaSpec;
  readonly seed: number;
  readonly faults?: readonly ((group: number) => Fault | undefined)[];
  readonly cancelAfterMs?: number | undefined;
}

/** A call, as the world outside sees it. */
interface Call {
  readonly node: number;
  readonly isUndo: boolean;
}

const TIMEOUT_MS = 5_000;

/** Plays it to its end. Throws when something was not as it must be. Answers how many groups of commits there were. */
export async function playSaga(plot: SagaPlot): Promise<{ readonly groups: number; readonly processes: number; readonly undone: number }> {
  const [clock, store] = [new SimClock(), new MemoryStore()];
  const calls: Call[] = [];
  let current!: SimProcess;
  const flow = flowOf(
    plot.spec,
    (call) => current.isAlive && calls.push(call),
    () => current,
  );
  let groups = 0;
  for (let life = 0; life < 20; life++) {
    current = new SimProcess({ clock, store, seed: plot.seed + life, workflows: [flow], fault: plot.faults?.[life] ?? (() => undefined) });
    const ended = await live(current, clock, flow, plot.cancelAfterMs);
    groups += current.groups;
    if (ended === undefined) continue;
    check(plot, calls, ended);
    current.kill();
    return { groups, processes: life + 1, undone: calls.filter(({ isUndo }) => isUndo).length };
  }
  throw new Error("it never ends");
}

function flowOf(spec: SagaSpec, called: (call: Call) => void, process: () => SimProcess): ReturnType<typeof workflow> {
  const perform = (act: Act | "slow", signal: AbortSignal): unknown => {
    const { clock } = process();
    if (act === "fails") throw new AgentError("no", { kind: "critical" });
    if (act === "slow" || act === "deaf") return new Promise((resolve) => clock.after(act === "deaf" ? 1_500 : 300, () => resolve("late")));
    if (act === "hangs") return new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("stopped"))));
    return "done";
  };
  return workflow({ name: "saga", input: z.any() }, (wf) => {
    const nodes: { readonly id: string; readonly result: unknown }[] = [];
    for (const [node, { act, after, alternative, onFail, undo }] of spec.entries()) {
      const options = { timeout: TIMEOUT_MS, retry: { maxAttempts: 1 } };
      const of = (name: string, what: Act): ReturnType<typeof anyAgent> =>
        anyAgent(name, (_, { signal }) => (called({ node, isUndo: false }), perform(what, signal)), options);
      const undoing = anyAgent("undo", (_, { signal }) => (called({ node, isUndo: true }), perform(undo!, signal)), options);
      nodes.push(
        wf.node(
          `n${node}`,
          of("act", act),
          {},
          {
            after: after.map((other) => nodes[other]) as never,
            onFail: alternative === undefined ? onFail : { use: of("alternative", alternative), onFail },
            ...(undo !== undefined && { compensate: undoing }),
          },
        ),
      );
    }
    return "end";
  }) as never;
}

interface Ended {
  readonly run: RunView;
  readonly nodes: readonly NodeView[];
  readonly history: readonly HistoryEntry[];
}

/** One life of a process: undefined when it died before the run ended. */
async function live(process: SimProcess, clock: SimClock, flow: ReturnType<typeof workflow>, cancelAfterMs: number | undefined): Promise<Ended | undefined> {
  let ended: Ended | undefined;
  let failure: unknown;
  const story = async (): Promise<void> => {
    await process.boot();
    const run = await process.pawl.start(flow, { id: "run", input: 1 });
    if (cancelAfterMs !== undefined) process.clock.after(cancelAfterMs, () => void run.cancel().catch((error: unknown) => (failure = error)));
    await run.ended();
    ended = { run: await run.status(), nodes: await run.nodes(), history: await Array.fromAsync(run.history()) };
  };
  story().catch((error: unknown) => (failure = error));
  await clock.until(() => !process.isAlive || ended !== undefined || failure !== undefined);
  if (failure !== undefined && process.isAlive) throw failure;
  return process.isAlive ? ended : undefined;
}

// ---- what must be true

function check({ spec, cancelAfterMs }: SagaPlot, calls: readonly Call[], { run, nodes, history }: Ended): void {
  const events = history.flatMap(({ commitNo, events }) => events.map((event) => ({ ...event, commitNo })));
  const unwindsAt = events.find(({ type }) => type === "run.compensating")?.commitNo;
  const wrong = (what: string): never => {
    throw new Error(`${what}; calls ${calls.map(({ node, isUndo }) => `${isUndo ? "-" : ""}${node}`).join(" ")}; run ${run.status}`);
  };
  const indexOf = (id: string | undefined): number => Number(id!.slice(1));
  const cause = events.find(({ type, node }) => type === "node.failed" && spec[indexOf(node)]!.onFail === "compensate");
  if (unwindsAt === undefined) {
    if (cause !== undefined && run.status !== "cancelled") wrong(`${cause.node} failed and nothing was undone`);
    if (calls.some(({ isUndo }) => isUndo)) wrong("something was undone and nobody asked for it");
    return;
  }
  if (cause === undefined && cancelAfterMs === undefined) wrong("it was unwound for nothing");
  if (run.status !== (cause !== undefined && cause.commitNo <= unwindsAt ? "failed" : "cancelled")) wrong("it ended as something else");
  if (events.some(({ type, commitNo }) => type === "node.started" && commitNo > unwindsAt)) wrong("something was started while it was unwound");
  const completed = events.filter(({ type }) => type === "node.completed").map(({ node, commitNo }) => ({ index: indexOf(node), commitNo }));
  const firstUndos = [...new Set(calls.filter(({ isUndo }) => isUndo).map(({ node }) => node))];
  for (const { index } of completed) if (spec[index]!.undo !== undefined && !firstUndos.includes(index)) wrong(`n${index} was done and not undone`);
  for (const index of firstUndos) if (!calls.some(({ node, isUndo }) => node === index && !isUndo)) wrong(`n${index} was undone and never done`);
  const order = firstUndos.filter((index) => completed.some((done) => done.index === index));
  const wanted = completed
    .toSorted((a, b) => b.commitNo - a.commitNo || b.index - a.index)
    .map(({ index }) => index)
    .filter((index) => order.includes(index));
  if (order.join() !== wanted.join()) wrong(`undone in the order ${order.join(" ")}, not ${wanted.join(" ")}`);
  const own = cause === undefined ? undefined : indexOf(cause.node);
  if (own !== undefined && spec[own]!.undo !== undefined && firstUndos[0] !== own) wrong(`n${own} failed and was not undone first`);
  const called = new Set(calls.filter(({ isUndo }) => !isUndo).map(({ node }) => node));
  for (const { id, status } of nodes)
    if (status === "cancelled" && called.has(indexOf(id)) && spec[indexOf(id)]!.undo !== undefined) wrong(`${id} may have done something and was not undone`);
  const failed = nodes.filter(({ status }) => status === "compensationFailed").map(({ id }) => id);
  if (failed.some((id) => spec[indexOf(id)]!.undo !== "fails")) wrong(`${failed.join()} could not be undone`);
  if (run.compensationFailed.toSorted().join() !== failed.toSorted().join() || run.compensated !== (failed.length === 0))
    wrong("the run says something else of what was undone");
  for (const { id, status } of nodes) if (firstUndos.includes(indexOf(id)) !== status.startsWith("compens")) wrong(`${id} is ${status}`);
}
