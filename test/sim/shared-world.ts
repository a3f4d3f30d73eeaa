/**
 * Random DAGs on one store that several simulated workers and a client share, while workers die, hang, close and come
 * back, held against the model. What is checked at each step: no write of a worker that is not the run's owner is
 * accepted; no agent runs before its dependencies settled durably; no node whose completion is durable runs again, but in
 * a worker that was stopped meanwhile and has not noticed; no attempt is called again while who called it is there.
 */
import { isDeepStrictEqual } from "node:util";
import type { Run } from "../../src/index.ts";
import type { Store } from "../../src/store/store.ts";
import { type DagSpec, expectedOf, workflowOf } from "./dag.ts";
import type { SimProcess } from "./process.ts";
import { type Harm, SharedWorkers, type Slot } from "./shared-workers.ts";

/** Something that happens to a worker, or is asked of a run by the client. */
export type Deed =
  | Harm
  | { readonly atMs: number; readonly kind: "cancel"; readonly run: number }
  | { readonly atMs: number; readonly kind: "pause"; readonly run: number; readonly forMs: number }
  | { readonly atMs: number; readonly kind: "jump"; readonly byMs: number };

export interface SharedPlot {
  readonly specs: readonly DagSpec[];
  readonly workers: number;
  readonly seed: number;
  readonly deeds: readonly Deed[];
  /** Who starts the runs: the client, or the first worker. */
  readonly startedBy: "client" | "worker";
  readonly wrap?: (store: Store) => Store;
  readonly endMs?: number;
}

export interface SharedEnding {
  /** How many runs went from one worker to another. */
  readonly moves: number;
  readonly fenced: number;
  readonly calls: number;
}

type Flow = ReturnType<typeof workflowOf>;

export class SharedWorld {
  readonly #plot: SharedPlot;
  readonly #workers: SharedWorkers;
  readonly #settled = new Map<string, string>();
  readonly #cancelled = new Set<number>();
  /** How often each run was asked to pause. */
  readonly #pauses = new Map<number, number>();
  /** Who made each call last. */
  readonly #callers = new Map<string, { readonly slot: Slot; readonly process: SimProcess }>();
  #calls = 0;

  constructor(plot: SharedPlot) {
    this.#plot = plot;
    this.#workers = new SharedWorkers({
      workers: plot.workers,
      seed: plot.seed,
      workflows: (worker) => this.#flows(worker),
      wrap: plot.wrap,
      endMs: plot.endMs,
      onCommitted: ({ runId, actors }) => actors.forEach(({ key, status }) => this.#settled.set(`${runId}/${key}`, status)),
    });
  }

  /** Plays the plot to its end. Throws when it ends otherwise than the model says. */
  async play(): Promise<SharedEnding> {
    const { specs, deeds } = this.#plot;
    await this.#workers.play(async () => {
      const runs = await Promise.all(specs.map((_, index) => this.#start(index)));
      this.#workers.harm(deeds.filter((deed) => "worker" in deed));
      for (const deed of deeds) if (!("worker" in deed)) this.#workers.clock.after(deed.atMs, () => this.#do(deed, runs));
      for (const run of runs) await run.ended();
      for (const [index, run] of runs.entries()) await this.#compare(index, run);
    });
    const { moves, fenced } = this.#workers;
    return { moves, fenced, calls: this.#calls };
  }

  async #start(index: number): Promise<Run<unknown>> {
    const { client, slots } = this.#workers;
    const options = { id: `run${index}`, input: { start: 1 } };
    if (this.#plot.startedBy === "client") await client.pawl.start(this.#flows(-1)[index]!, options);
    else await slots[0]!.process!.pawl.start(this.#flows(0)[index]!, options);
    return client.pawl.run(options.id);
  }

  // ---- workers

  #flows(worker: number): Flow[] {
    return this.#plot.specs.map((spec, index) => workflowOf(spec, () => this.#hostOf(worker, index), `random${index}`));
  }

  #hostOf(worker: number, index: number): ReturnType<Parameters<typeof workflowOf>[1]> {
    const slot = this.#workers.slots[worker];
    const process = slot?.process;
    return {
      called: (node, { attempt }) => {
        if (slot === undefined || process === undefined || !process.isAlive || process !== slot.process) return false;
        this.#calls++;
        this.#checkCall(slot, index, node);
        this.#checkRepeated(slot, process, `run${index}: attempt ${attempt} of n${node}`);
        return true;
      },
      later: (delayMs, callback) => void process?.clock.after(delayMs, callback),
    };
  }

  #checkCall(slot: Slot, index: number, node: number): void {
    const { violations } = this.#workers;
    const statusOf = (of: number): string => this.#settled.get(`run${index}/n${of}`) ?? "";
    if (statusOf(node) === "completed" && !slot.wasStopped) violations.push(`run${index}: n${node} ran although its completion was durable`);
    const { reads, after } = this.#plot.specs[index]![node]!;
    for (const dependency of [...reads, ...after])
      if (!["completed", "skipped"].includes(statusOf(dependency))) violations.push(`run${index}: n${node} ran before n${dependency} had settled`);
  }

  /** Whoever made a call before must have left: it is dead, closed, or was taken for dead. */
  #checkRepeated(slot: Slot, process: SimProcess, call: string): void {
    const before = this.#callers.get(call);
    this.#callers.set(call, { slot, process });
    if (before !== undefined && before.process.isAlive && before.slot.process === before.process && !before.slot.wasStopped)
      this.#workers.violations.push(`${call} was called again although who had called it was there`);
  }

  // ---- what is asked

  #do(deed: Exclude<Deed, Harm>, runs: readonly Run<unknown>[]): void {
    if (deed.kind === "jump") this.#workers.clock.wallOffsetMs += deed.byMs;
    else if (deed.kind === "cancel") this.#cancel(deed.run % runs.length, runs);
    else this.#pause(deed.run % runs.length, runs, deed.forMs);
  }

  #cancel(index: number, runs: readonly Run<unknown>[]): void {
    this.#cancelled.add(index);
    this.#ask(runs[index]!.cancel());
  }

  /** To resume a run that was cancelled would be to continue it. */
  #pause(index: number, runs: readonly Run<unknown>[], forMs: number): void {
    this.#pauses.set(index, (this.#pauses.get(index) ?? 0) + 1);
    this.#ask(runs[index]!.pause());
    this.#workers.clock.after(forMs, () => this.#cancelled.has(index) || this.#ask(runs[index]!.resume()));
  }

  /** Nobody may be there to answer, and the run may have ended. */
  #ask(asked: Promise<void>): void {
    asked.catch((error: unknown) => {
      const { code } = error as { code?: string };
      if (!["PAWL_SEND_PENDING", "PAWL_RUN_ENDED", "PAWL_RUN_NOT_RETRYABLE"].includes(code ?? "")) this.#workers.fails(error);
    });
  }

  // ---- the end

  async #compare(index: number, run: Run<unknown>): Promise<void> {
    const view = await run.status();
    const history = await Array.fromAsync(run.history());
    const commits = history.map(({ commitNo }) => commitNo);
    const pauses = history.flatMap(({ events }) => events).filter(({ type }) => type === "run.paused").length;
    if (pauses > (this.#pauses.get(index) ?? 0)) this.#workers.violations.push(`${run.id}: it was paused ${pauses} times, but not asked to so often`);
    if (!commits.every((commitNo, i) => commitNo === i + 1)) this.#workers.violations.push(`${run.id}: its history is ${commits.join(" ")}`);
    if (this.#cancelled.has(index) && view.status === "cancelled") return;
    const expected = expectedOf(this.#plot.specs[index]!);
    if (view.status !== expected.status) return void this.#workers.violations.push(`${run.id} is ${view.status}, not ${expected.status}`);
    for (const [i, node] of (await run.nodes()).entries())
      if (node.status !== expected.nodes[i]!.status || node.attempt !== expected.nodes[i]!.attempt)
        this.#workers.violations.push(
          `${run.id}: ${node.id} is ${node.status} after ${node.attempt}, not ${expected.nodes[i]!.status} after ${expected.nodes[i]!.attempt}`,
        );
    const values = (view.output as { values: unknown[] } | undefined)?.values;
    const wanted = expected.status === "completed" ? expected.nodes.map(({ value }) => value) : undefined;
    if (!isDeepStrictEqual(values, wanted)) this.#workers.violations.push(`${run.id}: its output is ${JSON.stringify(values)}`);
  }
}
