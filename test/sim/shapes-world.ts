/**
 * One run of a random workflow in a simulated world, through crashes and faults of the store, closings, pauses and a cancel,
 * held against the model. Whoever sends events sends them again, under the same ids, until each was answered.
 */
import type { Workflow } from "../../src/define/workflow.ts";
import type { Run } from "../../src/run/handle.ts";
import type { NodeView, RunView } from "../../src/run/view.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import type { Store } from "../../src/store/store.ts";
import { SimClock } from "./clock.ts";
import { type Fault, SimProcess } from "./process.ts";
import { EVENT_TIMEOUT_MS, INPUT, OTHER_IDS, type Spec, awaitedRuns } from "./shapes.ts";
import { compareRun, consistentWhenCut } from "./shapes-compare.ts";
import { indexOf, isCall } from "./shapes-model.ts";
import { Senders } from "./shapes-senders.ts";
import { ShapeWatch } from "./shapes-watch.ts";
import { type Flows, flowsOf } from "./shapes-workflow.ts";

export interface ShapePlot {
  readonly spec: Spec;
  readonly seed: number;
  /** Faults of the first, second, … process: what happens to which group of commits. */
  readonly faults?: readonly ((group: number) => Fault | undefined)[];
  /** After so many ms of its life the first, second, … process is closed. */
  readonly closeAfterMs?: readonly (number | undefined)[];
  readonly cancelAfterMs?: number | undefined;
  readonly pauses?: readonly { readonly atMs: number; readonly forMs: number }[];
  readonly permits?: number | undefined;
  /** The longest time in which the run could work. */
  readonly timeoutMs?: number | undefined;
  /** At these instants somebody looks at its nodes. */
  readonly looksAtMs?: readonly number[];
  readonly wrap?: (store: Store) => Store;
}

export interface ShapeEnding {
  readonly groups: number;
  readonly processes: number;
  readonly status: string;
  readonly statuses: readonly string[];
}

interface Ended {
  readonly run: RunView;
  readonly nodes: NodeView[];
}

const LIVES_MAX = 20;
/** A full disk, or one that does not answer, may delay what is due by so much. */
const LATE_MS = 10_000;
/** What a run is asked that has ended, or a process that is being closed. */
const HARMLESS: ReadonlySet<string> = new Set(["PAWL_CLOSED", "PAWL_RUN_ENDED", "PAWL_RUN_NOT_RETRYABLE", "PAWL_SEND_PENDING"]);

/** Plays the plot to its end. Throws when it ends otherwise than the model says. */
export function playShapes(plot: ShapePlot): Promise<ShapeEnding> {
  return new World(plot).play();
}

class World {
  readonly #plot: ShapePlot;
  readonly #clock = new SimClock();
  readonly #store = new MemoryStore();
  readonly #watch: ShapeWatch;
  readonly #flows: Flows;
  readonly #senders: Senders;
  #process!: SimProcess;
  #life = 0;
  /** How often each attempt was called, and in which lives. */
  readonly #calls = new Map<string, number[]>();
  #groups = 0;
  #isCancelled = false;
  /** How many processes were closed. */
  #closes = 0;

  constructor(plot: ShapePlot) {
    this.#plot = plot;
    this.#watch = new ShapeWatch(() => plot.spec);
    this.#senders = new Senders(plot.spec);
    this.#flows = flowsOf(
      [plot.spec],
      () => plot.spec,
      () => {
        const process = this.#process;
        return {
          called: (call) => {
            if (!process.isAlive) return false;
            this.#count(`${call.id} ${call.attempt}`, call.keptBy);
            this.#watch.called(call);
            if (this.#isCancelled && call.keptBy === `run/${call.id}`) this.#watch.violations.push(`${call.id} ran after the cancel was on the disk`);
            return true;
          },
          undoing: () => process.isAlive,
          stepped: (call, key) => process.isAlive && this.#watch.stepped(call, key),
          kept: (call, key) => process.isAlive && this.#watch.kept(call, key),
          later: (delayMs, callback) => void process.clock.after(delayMs, callback),
        };
      },
      { runMs: plot.timeoutMs },
    );
  }

  #count(attempt: string, where: string): void {
    const lives = this.#calls.get(attempt) ?? [];
    this.#calls.set(attempt, lives);
    if (lives.includes(this.#life)) this.#watch.violations.push(`${where} was called twice by one process for ${attempt}`);
    lives.push(this.#life);
  }

  async play(): Promise<ShapeEnding> {
    for (let life = 0; life < LIVES_MAX; life++) {
      this.#life = life;
      const ended = await this.#live(life);
      this.#groups += this.#process.groups;
      if (ended === undefined) continue;
      const { spec, cancelAfterMs, timeoutMs } = this.#plot;
      const { status } = ended.run;
      if ((status === "cancelled" && cancelAfterMs !== undefined) || (status === "timedOut" && timeoutMs !== undefined)) {
        consistentWhenCut(spec, ended.nodes, this.#watch, "run");
        await this.#cancelReachesAll();
      } else {
        compareRun(spec, ended.run, ended.nodes, this.#watch);
        this.#compareCalls(ended.nodes);
        this.#checkTimeouts(ended.nodes);
      }
      this.#watch.violations.push(...this.#senders.contradictions(this.#watch, "run", this.#isCalm && life === 0));
      this.#check();
      await this.#shut();
      return { groups: this.#groups, processes: life + 1, status, statuses: ended.nodes.map((node) => node.status) };
    }
    throw new Error("it never ends");
  }

  /** Nothing happens to it but what its spec says. */
  get #isCalm(): boolean {
    const { faults = [], closeAfterMs = [], pauses = [], cancelAfterMs, timeoutMs } = this.#plot;
    return faults.length + closeAfterMs.length + pauses.length === 0 && cancelAfterMs === undefined && timeoutMs === undefined;
  }

  /** Each attempt was called, and none beyond; by a process that lived on once only. In peace maps use all the room that they have. */
  #compareCalls(nodes: readonly NodeView[]): void {
    const { spec, permits } = this.#plot;
    const calling = nodes.filter(({ id }) => isCall(spec, id));
    const wanted = calling.flatMap(({ id, attempt }) => Array.from({ length: attempt }, (_, i) => `${id} ${i + 1}`));
    if ([...this.#calls.keys()].toSorted().join() !== wanted.toSorted().join())
      this.#watch.violations.push(`called were ${[...this.#calls.keys()].join()}, not ${wanted.join()}`);
    if (!this.#isCalm || permits !== undefined) return;
    for (const { id, items } of nodes) {
      const node = spec[indexOf(id)]!;
      if (node.kind !== "map" || !items) continue;
      const room = Math.min(node.concurrency ?? items, items);
      if (this.#watch.most.get(`run/${id}`) !== room)
        this.#watch.violations.push(`${id} had ${this.#watch.most.get(`run/${id}`)} items under way, not ${room}`);
    }
  }

  /** The time in which an event may come is as long as it was said to be, also through crashes. */
  #checkTimeouts(nodes: readonly NodeView[]): void {
    if (this.#plot.pauses !== undefined) return;
    for (const { id, failure, startedAt = 0, endedAt = 0 } of nodes) {
      const awaitedMs = endedAt - startedAt;
      if (failure?.code === "PAWL_EVENT_TIMEOUT" && (awaitedMs < EVENT_TIMEOUT_MS || awaitedMs > EVENT_TIMEOUT_MS + LATE_MS))
        this.#watch.violations.push(`${id} was awaited for ${awaitedMs} ms`);
    }
  }

  /** Also runs of its own have ended some time later, whatever dies meanwhile. */
  async #cancelReachesAll(): Promise<void> {
    await this.#clock.advance(100_000);
    if (!this.#process.isAlive || this.#closes > 0) {
      this.#process.kill();
      this.#process = this.#born(LIVES_MAX);
      void this.#process.boot();
      await this.#clock.advance(200_000);
    }
    for (const { id, status } of await this.#store.listRuns({ limit: 1_000 }))
      if (status === "running" || status === "pending") this.#watch.violations.push(`${id} is ${status} long after the cancel`);
  }

  #check(): void {
    if (this.#watch.violations.length > 0) throw new Error(this.#watch.violations.join("; "));
  }

  #born(life: number): SimProcess {
    const { seed, faults, wrap, permits } = this.#plot;
    return new SimProcess({
      clock: this.#clock,
      store: this.#store,
      seed: seed + life,
      workflows: this.#flows.all,
      fault: faults?.[life] ?? (() => undefined),
      onApplied: (group, outcomes) => group.forEach((commit, i) => outcomes[i] === "committed" && this.#watch.committed(commit)),
      ...(wrap !== undefined && { wrap }),
      ...(permits !== undefined && { maxConcurrentAttempts: permits }),
    });
  }

  /** One life of a process: undefined when it died or was closed before the run ended. */
  async #live(life: number): Promise<Ended | undefined> {
    const process = (this.#process = this.#born(life));
    let ended: Ended | undefined;
    let failure: unknown;
    let isClosed = false;
    const fails = (error: unknown): void => {
      const { code } = error as { code?: string };
      if (!HARMLESS.has(code ?? "")) failure ??= error;
    };
    const story = async (): Promise<void> => {
      await process.boot();
      const after = this.#plot.closeAfterMs?.[life];
      if (after !== undefined) process.clock.after(after, () => void (this.#closes++, process.pawl.close({ graceMs: 3_000 })).then(() => (isClosed = true)));
      const run = await this.#start(process);
      this.#senders.sendAll(run, process.clock, fails);
      this.#disturb(process, run, fails);
      const view = await run.ended();
      ended = { run: view, nodes: await run.nodes() };
    };
    story().catch(fails);
    await this.#clock.until(() => !process.isAlive || ended !== undefined || isClosed || failure !== undefined || this.#watch.violations.length > 0);
    this.#check();
    if (failure !== undefined && process.isAlive) throw failure;
    return process.isAlive && !isClosed ? ended : undefined;
  }

  /** A start that a full disk refused is tried again, as a user would. Those that are waited for are there before. */
  async #start(process: SimProcess): Promise<Run<unknown>> {
    const { other, mains } = this.#flows;
    const start = async (flow: Workflow, id: string, input: unknown): Promise<Run<unknown>> => {
      for (;;) {
        try {
          return await process.pawl.start(flow, { id, input });
        } catch (error) {
          if ((error as { code?: string }).code !== "PAWL_STORE_FULL") throw error;
          await new Promise<void>((resolve) => process.clock.after(1_000, resolve));
        }
      }
    };
    for (const which of awaitedRuns(this.#plot.spec)) await start(other, OTHER_IDS[which], { which });
    return start(mains[0]!, "run", INPUT);
  }

  /** In the first life the run is paused; in any it is cancelled, so long after the start of the world. */
  #disturb(process: SimProcess, run: Run<unknown>, fails: (error: unknown) => void): void {
    const { pauses = [], looksAtMs = [], cancelAfterMs } = this.#plot;
    const { clock } = process;
    const at = (ms: number, act: () => Promise<unknown>): void => void clock.after(ms - clock.mono(), () => void act().catch(fails));
    for (const { atMs, forMs } of pauses) {
      at(atMs, () => run.pause());
      at(atMs + forMs, () => (this.#isCancelled ? Promise.resolve() : resumed(run)));
    }
    for (const atMs of looksAtMs) if (atMs >= clock.mono()) at(atMs, () => this.#look(run));
    if (cancelAfterMs === undefined) return;
    at(cancelAfterMs, async () => {
      await run.cancel();
      const { status } = await run.status();
      if (status === "running") this.#watch.violations.push("a cancel resolved and the run is running");
      this.#isCancelled = status === "cancelled";
    });
  }

  /** What had ended is seen so. */
  async #look(run: Run<unknown>): Promise<void> {
    const before = this.#plot.spec.map((_, index) => this.#watch.row("run", `n${index}`)?.status);
    const nodes = new Map((await run.nodes()).map((node) => [node.id, node.status]));
    before.forEach((status, index) => {
      const seen = nodes.get(`n${index}`);
      if (status !== undefined && status !== seen && ["completed", "skipped", "failed"].includes(status))
        this.#watch.violations.push(`n${index} is seen as ${seen}, and was ${status}`);
    });
  }

  async #shut(): Promise<void> {
    let isShut = false;
    void this.#process.pawl.close({ graceMs: 1 }).then(() => (isShut = true));
    await this.#clock.until(() => isShut || !this.#process.isAlive);
    if (this.#process.fatal !== undefined) throw this.#process.fatal;
  }
}

/** To resume a run that was cancelled would be to continue it. */
async function resumed(run: Run<unknown>): Promise<void> {
  if ((await run.status()).status === "paused") await run.resume();
}
