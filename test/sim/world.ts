/**
 * One run of a random DAG in a simulated world, through crashes and faults of the store, held against the model.
 * What is checked at each step: no agent runs before its dependencies settled durably, none whose completion is durable,
 * and no attempt whose failure is.
 */
import { isDeepStrictEqual } from "node:util";
import { MemoryStore } from "../../src/store/memory.ts";
import type { ActorRecord, Store } from "../../src/store/store.ts";
import type { RunView, NodeView } from "../../src/run/view.ts";
import type { Run } from "../../src/run/handle.ts";
import { SimClock } from "./clock.ts";
import { type DagSpec, type Expected, expectedOf, workflowOf } from "./dag.ts";
import { type Fault, SimProcess } from "./process.ts";

export interface Plot {
  readonly spec: DagSpec;
  readonly seed: number;
  /** Faults of the first, second, … process: what happens to which group of commits. */
  readonly faults?: readonly ((group: number) => Fault | undefined)[];
  /** After so many ms of its life the first, second, … process is closed. */
  readonly closeAfterMs?: readonly (number | undefined)[];
  /** After so many ms the run is cancelled. */
  readonly cancelAfterMs?: number;
  readonly wrap?: (store: Store) => Store;
}

export interface Ending {
  readonly groups: number;
  readonly processes: number;
  readonly calls: number;
}

class Violation extends Error {}

function violate(what: string): never {
  throw new Violation(what);
}

/** Plays the plot to its end. Throws when it ends otherwise than the model says. */
export async function play(plot: Plot): Promise<Ending> {
  const clock = new SimClock();
  const store = new MemoryStore();
  const settled = new Map<string, string>();
  const failedAttempts = new Map<string, number>();
  const violations: string[] = [];
  let current!: SimProcess;
  let calls = 0;
  let isCancelled = false;
  const workflow = workflowOf(plot.spec, () => {
    const process = current;
    return {
      called: (index, { attempt }) => {
        if (!process.isAlive) return false;
        calls++;
        if (isCancelled) violations.push(`n${index} ran after the cancel was on the disk`);
        if (attempt <= (failedAttempts.get(`n${index}`) ?? 0)) violations.push(`n${index} ran attempt ${attempt} although its failure was durable`);
        if (settled.get(`n${index}`) === "completed") violations.push(`n${index} ran although its completion was durable`);
        for (const dependency of [...plot.spec[index]!.reads, ...plot.spec[index]!.after]) {
          if (!["completed", "skipped"].includes(settled.get(`n${dependency}`) ?? "")) violations.push(`n${index} ran before n${dependency} had settled`);
        }
        return true;
      },
      later: (delayMs, callback) => void process.clock.after(delayMs, callback),
    };
  });
  let groups = 0;
  for (let life = 0; ; life++) {
    if (life > 20) violate("it never ends");
    const process: SimProcess = new SimProcess({
      clock,
      store,
      seed: plot.seed + life,
      workflows: [workflow],
      fault: plot.faults?.[life] ?? (() => undefined),
      onApplied: (group, outcomes) => group.forEach((commit, i) => outcomes[i] === "committed" && commit.actors.forEach(noteRow)),
      ...(plot.wrap !== undefined && { wrap: plot.wrap }),
    });
    current = process;
    const ended = await live(process, workflow, plot.closeAfterMs?.[life]);
    groups += process.groups;
    if (violations.length > 0) violate(violations.join("; "));
    if (ended === undefined) continue;
    if (ended.run.status !== "cancelled" || plot.cancelAfterMs === undefined) compare(expectedOf(plot.spec), ended.run, ended.nodes);
    await shut(process, clock);
    return { groups, processes: life + 1, calls };
  }

  function noteRow({ key, status, body }: ActorRecord): void {
    settled.set(key, status);
    if (status === "backingOff") failedAttempts.set(key, (JSON.parse(body) as { attempt: number }).attempt);
  }

  /** One life of a process: undefined when it died or was closed before the run ended. */
  async function live(process: SimProcess, flow: typeof workflow, closeAfterMs: number | undefined): Promise<{ run: RunView; nodes: NodeView[] } | undefined> {
    let ended: { run: RunView; nodes: NodeView[] } | undefined;
    let failure: unknown;
    let isClosed = false;
    const story = async (): Promise<void> => {
      await process.boot();
      if (closeAfterMs !== undefined) process.clock.after(closeAfterMs, () => void process.pawl.close({ graceMs: 3_000 }).then(() => (isClosed = true)));
      const run = await startUntilThere(process, flow);
      if (plot.cancelAfterMs !== undefined) process.clock.after(plot.cancelAfterMs, () => void cancel(run).catch((error: unknown) => (failure ??= error)));
      const view = await run.ended();
      ended = { run: view, nodes: await run.nodes() };
    };
    story().catch((error: unknown) => (failure = error));
    await clock.until(() => !process.isAlive || ended !== undefined || isClosed || (failure !== undefined && !isClosing(failure)));
    if (failure !== undefined && process.isAlive && !isClosing(failure)) throw failure;
    return process.isAlive && !isClosed ? ended : undefined;
  }

  async function cancel(run: Run<unknown>): Promise<void> {
    await run.cancel();
    const { status } = await run.status();
    if (status === "running") violations.push("a cancel resolved and the run is running");
    isCancelled = status === "cancelled";
  }
}

/** What a process answers that is being closed. */
function isClosing(error: unknown): boolean {
  return (error as { code?: string }).code === "PAWL_CLOSED";
}

/** A start that a full disk refused is tried again, as a user would. */
async function startUntilThere(process: SimProcess, workflow: ReturnType<typeof workflowOf>): Promise<Run<{ values: (number | undefined)[] }>> {
  for (;;) {
    try {
      return await process.pawl.start(workflow, { id: "run", input: { start: 1 } });
    } catch (error) {
      if ((error as { code?: string }).code !== "PAWL_STORE_FULL") throw error;
      await new Promise<void>((resolve) => process.clock.after(1_000, resolve));
    }
  }
}

function compare(expected: Expected, run: RunView, nodes: readonly NodeView[]): void {
  if (run.status !== expected.status) violate(`the run is ${run.status}, not ${expected.status}`);
  if (run.degraded !== expected.degraded && run.status === "completed") violate(`degraded is ${run.degraded}`);
  nodes.forEach((node, i) => {
    const want = expected.nodes[i]!;
    if (node.status !== want.status) violate(`${node.id} is ${node.status}, not ${want.status}`);
    if (node.attempt !== want.attempt) violate(`${node.id} took ${node.attempt} attempts, not ${want.attempt}`);
  });
  const values = (run.output as { values: unknown[] } | undefined)?.values;
  const wanted = expected.status === "completed" ? expected.nodes.map(({ value }) => value) : undefined;
  if (!isDeepStrictEqual(values, wanted)) violate(`the output is ${JSON.stringify(values)}, not ${JSON.stringify(wanted)}`);
}

async function shut(process: SimProcess, clock: SimClock): Promise<void> {
  let isShut = false;
  void process.pawl.close({ graceMs: 1 }).then(() => (isShut = true));
  await clock.until(() => isShut);
  if (process.fatal !== undefined) throw process.fatal;
}
