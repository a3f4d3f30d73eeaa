/**
 * Random DAGs on one store that several simulated workers and a client share, while workers die, hang, close and come
 * back, held against the model. What is checked at each step: no write of a worker that is not the run's owner is
 * accepted; no agent runs before its dependencies settled durably; no node whose completion is durable runs again, but in
 * a worker that was stopped meanwhile and has not noticed.
 */
import { isDeepStrictEqual } from "node:util";
import type { Run } from "../../src/index.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import { type Commit, NOBODY, type Outcome, type RunRecord, type Store } from "../../src/store/store.ts";
import { SimClock } from "./clock.ts";
import { type DagSpec, expectedOf, workflowOf } from "./dag.ts";
import { SimProcess } from "./process.ts";

/** Something that happens to a worker, or is asked of a run by the client. */
export type Deed = { readonly atMs: number } & (
  | { readonly kind: "kill" | "close"; readonly worker: number; readonly awayMs: number }
  | { readonly kind: "stop"; readonly worker: number; readonly awayMs: number }
  /** Dies at its next group of commits, before or after that is written; or is stopped with it on its way to the store. */
  | { readonly kind: "crashBefore" | "crashAfter" | "stopBefore"; readonly worker: number; readonly awayMs: number }
  | { readonly kind: "cancel"; readonly run: number }
  | { readonly kind: "pause"; readonly run: number; readonly forMs: number }
  | { readonly kind: "jump"; readonly byMs: number }
);

export interface SharedPlot {
  readonly specs: readonly DagSpec[];
  readonly workers: number;
  readonly seed: number;
  readonly deeds: readonly Deed[];
  /** Who starts the runs: the client, or the first worker. */
  readonly startedBy: "client" | "worker";
  readonly wrap?: (store: Store) => Store;
}

export interface SharedEnding {
  /** How many runs went from one worker to another. */
  readonly moves: number;
  readonly fenced: number;
  readonly calls: number;
}

class Violation extends Error {}

type Flow = ReturnType<typeof workflowOf>;

interface Slot {
  process: SimProcess | undefined;
  lives: number;
  wasStopped: boolean;
  crash: "crashBefore" | "crashAfter" | "stopBefore" | undefined;
  crashAwayMs: number;
}

const END_MS = 3_600_000;

export class SharedWorld {
  readonly #plot: SharedPlot;
  readonly #clock = new SimClock();
  readonly #store = new MemoryStore();
  readonly #slots: Slot[] = [];
  readonly #violations: string[] = [];
  readonly #owners = new Map<string, number>();
  readonly #settled = new Map<string, string>();
  readonly #cancelled = new Set<number>();
  #client!: SimProcess;
  #failure: unknown;
  #moves = 0;
  #fenced = 0;
  #calls = 0;

  constructor(plot: SharedPlot) {
    this.#plot = plot;
  }

  /** Plays the plot to its end. Throws when it ends otherwise than the model says. */
  async play(): Promise<SharedEnding> {
    const { specs, workers, deeds } = this.#plot;
    this.#client = this.#process(-1, false);
    let isOver = false;
    const story = async (): Promise<void> => {
      await this.#client.boot();
      for (let worker = 0; worker < workers; worker++) {
        this.#slots.push({ process: undefined, lives: 0, wasStopped: false, crash: undefined, crashAwayMs: 0 });
        await this.#boot(worker);
      }
      const runs = await Promise.all(specs.map((_, index) => this.#start(index)));
      for (const deed of deeds) this.#clock.after(deed.atMs, () => this.#do(deed, runs));
      for (const run of runs) await run.ended();
      for (const [index, run] of runs.entries()) await this.#compare(index, run);
      isOver = true;
    };
    story().catch((error: unknown) => (this.#failure ??= error));
    await this.#clock.until(() => isOver || this.#failure !== undefined || this.#violations.length > 0, END_MS);
    if (this.#violations.length > 0) throw new Violation(this.#violations.join("; "));
    if (this.#failure !== undefined) throw this.#failure;
    for (const { process } of this.#slots) process?.kill();
    this.#client.kill();
    return { moves: this.#moves, fenced: this.#fenced, calls: this.#calls };
  }

  async #start(index: number): Promise<Run<unknown>> {
    const by = this.#plot.startedBy === "client" ? this.#client : this.#slots[0]!.process!;
    const [id, flow] = [`run${index}`, this.#flows(-1)[index]!];
    await by.pawl.start(by === this.#client ? flow : this.#flows(0)[index]!, { id, input: { start: 1 } });
    return this.#client.pawl.run(id);
  }

  // ---- workers

  #flows(worker: number): Flow[] {
    return this.#plot.specs.map((spec, index) => workflowOf(spec, () => this.#hostOf(worker, index), `random${index}`));
  }

  #hostOf(worker: number, index: number): ReturnType<Parameters<typeof workflowOf>[1]> {
    const slot = this.#slots[worker];
    const process = slot?.process;
    return {
      called: (node) => {
        if (slot === undefined || process === undefined || !process.isAlive || process !== slot.process) return false;
        this.#calls++;
        this.#checkCall(slot, index, node);
        return true;
      },
      later: (delayMs, callback) => void process?.clock.after(delayMs, callback),
    };
  }

  #checkCall(slot: Slot, index: number, node: number): void {
    const statusOf = (of: number): string => this.#settled.get(`run${index}/n${of}`) ?? "";
    if (statusOf(node) === "completed" && !slot.wasStopped) this.#violations.push(`run${index}: n${node} ran although its completion was durable`);
    const { reads, after } = this.#plot.specs[index]![node]!;
    for (const dependency of [...reads, ...after])
      if (!["completed", "skipped"].includes(statusOf(dependency))) this.#violations.push(`run${index}: n${node} ran before n${dependency} had settled`);
  }

  async #boot(worker: number): Promise<void> {
    const slot = this.#slots[worker]!;
    slot.lives++;
    slot.wasStopped = false;
    slot.process = this.#process(worker, true);
    await slot.process.boot();
  }

  #process(worker: number, execute: boolean): SimProcess {
    const slot = this.#slots[worker];
    const process: SimProcess = new SimProcess({
      clock: this.#clock,
      store: this.#store,
      seed: this.#plot.seed + worker * 1_000 + (slot?.lives ?? 0),
      workflows: this.#flows(worker),
      execute,
      fault: () => this.#crashOf(worker),
      onApplied: (group, outcomes) => this.#applied(group, outcomes),
      wrap: (store) => this.#watched(this.#plot.wrap?.(store) ?? store),
    });
    return process;
  }

  #crashOf(worker: number): "crashBefore" | "crashAfter" | undefined {
    const slot = this.#slots[worker];
    const crash = slot?.crash;
    if (slot === undefined || crash === undefined) return undefined;
    slot.crash = undefined;
    if (crash === "stopBefore") this.#stop(slot, slot.crashAwayMs);
    else this.#clock.after(slot.crashAwayMs, () => this.#again(worker));
    return crash === "stopBefore" ? undefined : crash;
  }

  /** Sees who owns which run, by the claims alone. */
  #watched(store: Store): Store {
    const taken = (records: readonly RunRecord[]): void => {
      for (const { id, epoch } of records) {
        if (this.#owners.has(id) && this.#owners.get(id) !== epoch) this.#moves++;
        this.#owners.set(id, epoch);
      }
    };
    return new Proxy(store, {
      get: (inner, method: keyof Store) => {
        const call = inner[method] as (...values: unknown[]) => Promise<unknown>;
        if (method !== "claim" && method !== "claimRun") return call;
        return async (...values: unknown[]) => {
          const answer = (await call.apply(inner, values)) as RunRecord[] | RunRecord | undefined;
          taken(answer === undefined ? [] : Array.isArray(answer) ? answer : [answer]);
          return answer;
        };
      },
    });
  }

  #applied(group: readonly Commit[], outcomes: readonly Outcome[]): void {
    group.forEach((commit, i) => {
      if (outcomes[i] === "fenced") this.#fenced++;
      if (outcomes[i] !== "committed") return;
      const owner = this.#owners.get(commit.runId);
      if (commit.from === 0) this.#owners.set(commit.runId, commit.epoch);
      else if (owner !== undefined && owner !== commit.epoch && owner !== NOBODY)
        this.#violations.push(`a write of epoch ${commit.epoch} to ${commit.runId} was accepted, which epoch ${owner} owns`);
      for (const { key, status } of commit.actors) this.#settled.set(`${commit.runId}/${key}`, status);
    });
  }

  // ---- deeds

  #do(deed: Deed, runs: readonly Run<unknown>[]): void {
    if (deed.kind === "jump") this.#clock.wallOffsetMs += deed.byMs;
    else if (deed.kind === "cancel") this.#cancel(deed.run % runs.length, runs);
    else if (deed.kind === "pause") this.#pause(deed.run % runs.length, runs, deed.forMs);
    else this.#harm(deed, deed.worker % this.#plot.workers);
  }

  #harm({ kind, awayMs }: Extract<Deed, { worker: number }>, worker: number): void {
    const slot = this.#slots[worker]!;
    const { process } = slot;
    if (process === undefined || !process.isAlive || process.isStopped) return;
    if (kind === "crashBefore" || kind === "crashAfter" || kind === "stopBefore") [slot.crash, slot.crashAwayMs] = [kind, awayMs];
    else if (kind === "stop") this.#stop(slot, awayMs);
    else if (kind === "kill") {
      process.kill();
      this.#clock.after(awayMs, () => this.#again(worker));
    } else {
      slot.process = undefined;
      const closed = process.pawl.close({ graceMs: 3_000 });
      closed.then(() => this.#clock.after(awayMs, () => this.#again(worker))).catch((error: unknown) => (this.#failure ??= error));
    }
  }

  #stop(slot: Slot, awayMs: number): void {
    const { process } = slot;
    slot.wasStopped = true;
    process!.stop();
    this.#clock.after(awayMs, () => process!.goOn());
  }

  #again(worker: number): void {
    this.#boot(worker).catch((error: unknown) => (this.#failure ??= error));
  }

  #cancel(index: number, runs: readonly Run<unknown>[]): void {
    this.#cancelled.add(index);
    this.#ask(runs[index]!.cancel());
  }

  /** To resume a run that was cancelled would be to continue it. */
  #pause(index: number, runs: readonly Run<unknown>[], forMs: number): void {
    this.#ask(runs[index]!.pause());
    this.#clock.after(forMs, () => this.#cancelled.has(index) || this.#ask(runs[index]!.resume()));
  }

  /** Nobody may be there to answer, and the run may have ended. */
  #ask(asked: Promise<void>): void {
    asked.catch((error: unknown) => {
      const { code } = error as { code?: string };
      if (!["PAWL_SEND_PENDING", "PAWL_RUN_ENDED", "PAWL_RUN_NOT_RETRYABLE"].includes(code ?? "")) this.#failure ??= error;
    });
  }

  // ---- the end

  async #compare(index: number, run: Run<unknown>): Promise<void> {
    const view = await run.status();
    const commits = await Array.fromAsync(run.history(), ({ commitNo }) => commitNo);
    if (!commits.every((commitNo, i) => commitNo === i + 1)) this.#violations.push(`${run.id}: its history is ${commits.join(" ")}`);
    if (this.#cancelled.has(index) && view.status === "cancelled") return;
    const expected = expectedOf(this.#plot.specs[index]!);
    if (view.status !== expected.status) return void this.#violations.push(`${run.id} is ${view.status}, not ${expected.status}`);
    for (const [i, node] of (await run.nodes()).entries())
      if (node.status !== expected.nodes[i]!.status || node.attempt !== expected.nodes[i]!.attempt)
        this.#violations.push(
          `${run.id}: ${node.id} is ${node.status} after ${node.attempt}, not ${expected.nodes[i]!.status} after ${expected.nodes[i]!.attempt}`,
        );
    const values = (view.output as { values: unknown[] } | undefined)?.values;
    const wanted = expected.status === "completed" ? expected.nodes.map(({ value }) => value) : undefined;
    if (!isDeepStrictEqual(values, wanted)) this.#violations.push(`${run.id}: its output is ${JSON.stringify(values)}`);
  }
}
