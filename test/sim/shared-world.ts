/**
 * Random workflows on one store that several simulated workers and a client share, while workers die, hang, close and come
 * back, held against what is expected of them. What is checked at each step: no write of a worker that is not the run's owner
 * is accepted; no attempt is called again while who called it is there. What else is to hold its cast says.
 */
import type { Commit } from "../../src/store/store.ts";
import type { Run, Startable } from "../../src/index.ts";
import type { Pawl } from "../../src/run/pawl.ts";
import type { Store } from "../../src/store/store.ts";
import type { SimProcess } from "./process.ts";
import { type Harm, SharedWorkers, type Slot } from "./shared-workers.ts";

/** Something that happens to a worker, or is asked of a run by the client. */
export type Deed =
  | Harm
  | { readonly atMs: number; readonly kind: "cancel"; readonly run: number }
  | { readonly atMs: number; readonly kind: "pause"; readonly run: number; readonly forMs: number }
  | { readonly atMs: number; readonly kind: "jump"; readonly byMs: number };

export interface SharedPlot {
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

/** A worker as agents of its definitions see it that are called now. */
export interface Host {
  /** An agent is called for this. Answers whether the worker that called it is there, and was there all the time. */
  called(what: string): "gone" | "here" | "stopped";
  later(delayMs: number, callback: () => void): void;
}

/** The runs of a world, and what must come of them. */
export interface Cast {
  /** How many there are; run `i` is called `run<i>`. */
  readonly size: number;
  /** What a worker is given; `host` is it. */
  flows(host: () => Host): readonly Startable[];
  /** Starts a run with definitions that it gave this host: they are registered with it. */
  start(pawl: Pawl, host: () => Host, index: number, id: string): Promise<unknown>;
  /** They have been started; this is the client's view of them. */
  started?(runs: readonly Run<unknown>[], workers: SharedWorkers): void;
  committed(commit: Commit): void;
  /** What is wrong with a run that has ended. */
  compare(index: number, run: Run<unknown>, wasCancelled: boolean): Promise<string[]>;
  readonly violations: readonly string[];
}

/** Plays the plot to its end. Throws when it ends otherwise than the cast says. */
export function playShared(plot: SharedPlot, cast: Cast): Promise<SharedEnding> {
  return new SharedWorld(plot, cast).play();
}

class SharedWorld {
  readonly #plot: SharedPlot;
  readonly #cast: Cast;
  readonly #workers: SharedWorkers;
  readonly #cancelled = new Set<number>();
  /** How often each run was asked to pause. */
  readonly #pauses = new Map<number, number>();
  /** Who made each call last. */
  readonly #callers = new Map<string, { readonly slot: Slot; readonly process: SimProcess }>();
  #calls = 0;

  constructor(plot: SharedPlot, cast: Cast) {
    this.#plot = plot;
    this.#cast = cast;
    this.#workers = new SharedWorkers({
      workers: plot.workers,
      seed: plot.seed,
      workflows: (worker) => cast.flows(() => this.#hostOf(worker)),
      wrap: plot.wrap,
      endMs: plot.endMs,
      onCommitted: (commit) => {
        cast.committed(commit);
        this.#workers.violations.push(...cast.violations);
      },
    });
  }

  async play(): Promise<SharedEnding> {
    const { deeds } = this.#plot;
    await this.#workers.play(async () => {
      const runs = await Promise.all(Array.from({ length: this.#cast.size }, (_, index) => this.#start(index)));
      this.#cast.started?.(runs, this.#workers);
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
    const [worker, { pawl }] = this.#plot.startedBy === "client" ? [-1, client] : [0, slots[0]!.process!];
    await this.#cast.start(pawl, () => this.#hostOf(worker), index, `run${index}`);
    return client.pawl.run(`run${index}`);
  }

  // ---- workers

  #hostOf(worker: number): Host {
    const slot = this.#workers.slots[worker];
    const process = slot?.process;
    return {
      called: (what) => {
        if (slot === undefined || process === undefined || !process.isAlive || process !== slot.process) return "gone";
        this.#calls++;
        this.#checkRepeated(slot, process, what);
        return slot.wasStopped ? "stopped" : "here";
      },
      later: (delayMs, callback) => void process?.clock.after(delayMs, callback),
    };
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
    const history = await Array.fromAsync(run.history());
    const commits = history.map(({ commitNo }) => commitNo);
    const pauses = history.flatMap(({ events }) => events).filter(({ type }) => type === "run.paused").length;
    if (pauses > (this.#pauses.get(index) ?? 0)) this.#workers.violations.push(`${run.id}: it was paused ${pauses} times, but not asked to so often`);
    if (!commits.every((commitNo, i) => commitNo === i + 1)) this.#workers.violations.push(`${run.id}: its history is ${commits.join(" ")}`);
    if (this.#workers.isRightlySetAside(run.id)) return;
    this.#workers.violations.push(...(await this.#cast.compare(index, run, this.#cancelled.has(index))), ...this.#cast.violations);
  }
}
