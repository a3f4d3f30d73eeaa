/**
 * Workers that share circuit breakers on one store, with time and every write in the hands of a test. Nothing here knows
 * what a breaker should do.
 */
import type { Clock } from "../../src/clock.ts";
import type { BreakerPolicy } from "../../src/define/breaker.ts";
import { type Admission, Breakers } from "../../src/run/breakers.ts";
import type { BreakerTransition } from "../../src/run/breaker-row.ts";
import { SharedRows } from "../../src/run/shared-rows.ts";
import { SteadyTime } from "../../src/run/steady-time.ts";
import type { Amendment } from "../../src/store/shared-record.ts";
import { MemoryStore } from "../../src/store/memory.ts";

/** What becomes of a write: the process may die around it, or not learn what became of it. */
export type WriteFault = "none" | "unknownApplied" | "unknownLost" | "diesApplied" | "diesLost";

/** Time that passes when it is told to, at once. */
export class HandClock implements Clock {
  #timeMs = 0;
  #timers: { readonly dueAt: number; readonly callback: () => void }[] = [];
  wallOffsetMs = 1_000_000;

  now(): number {
    return this.#timeMs + this.wallOffsetMs;
  }

  mono(): number {
    return this.#timeMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { dueAt: this.#timeMs + delayMs, callback };
    this.#timers.push(timer);
    return () => (this.#timers = this.#timers.filter((other) => other !== timer));
  }

  soon(callback: () => void): void {
    this.after(0, callback);
  }

  /** The next timer fires, if it is due by then; answers whether one did. */
  step(until: number): boolean {
    const next = this.#timers.filter(({ dueAt }) => dueAt <= until).sort((a, b) => a.dueAt - b.dueAt)[0];
    this.#timeMs = Math.max(this.#timeMs, next?.dueAt ?? until);
    if (next === undefined) return false;
    this.#timers = this.#timers.filter((other) => other !== next);
    next.callback();
    return true;
  }
}

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export interface BreakerWorker {
  readonly epoch: number;
  readonly shared: SharedRows;
  readonly breakers: Breakers;
  readonly heard: string[];
  readonly transitions: BreakerTransition[];
}

export class BreakerRoom {
  readonly clock = new HandClock();
  readonly store = new MemoryStore();
  readonly policies: readonly BreakerPolicy[];
  workers: BreakerWorker[] = [];
  /** What becomes of the next write. */
  fault: WriteFault = "none";
  #turns = 0;

  constructor(...policies: readonly BreakerPolicy[]) {
    this.policies = policies;
  }

  async boot(policies = this.policies): Promise<BreakerWorker> {
    const { clock, store } = this;
    const time = new SteadyTime(clock);
    const epoch = await store.openEpoch(clock.now(), "");
    const shared = new SharedRows(store, silent, { epoch: () => epoch, wantsWrite: () => {} });
    const breakers = new Breakers(shared, { steadyNow: () => time.now(), epoch: () => epoch, clock, log: silent });
    const worker: BreakerWorker = { epoch, shared, breakers, heard: [], transitions: [] };
    breakers.onChange((name) => worker.heard.push(name));
    breakers.onTransition((transition) => worker.transitions.push(transition));
    await shared.refresh();
    for (const policy of policies) breakers.declare(policy);
    this.workers.push(worker);
    await this.pump();
    return worker;
  }

  /** One worker after the other: who does what comes next in a scene that is played by one and by several. */
  get next(): BreakerWorker {
    return this.workers[this.#turns++ % this.workers.length]!;
  }

  /** The process dies; its epoch is closed. */
  async kill(worker: BreakerWorker): Promise<void> {
    this.workers = this.workers.filter((other) => other !== worker);
    worker.breakers.stop();
    await this.store.closeEpoch(worker.epoch);
  }

  /** What the worker has to write is written, once. */
  async write(worker: BreakerWorker): Promise<void> {
    const fault = this.fault;
    this.fault = "none";
    const amendments = worker.shared.take();
    if (!fault.endsWith("Lost")) await this.store.amend(amendments);
    else await this.#tryOut(amendments);
    if (fault.startsWith("dies")) await this.kill(worker);
    else if (fault === "none") worker.shared.written();
    else worker.shared.notWritten();
  }

  /** A transaction that is rolled back. */
  async #tryOut(amendments: readonly Amendment[]): Promise<void> {
    const rows = new Map((await this.store.readShared()).map(({ key, body }) => [key, body]));
    const epochs = (await this.store.readEpochs()).map(({ id }) => id);
    for (const { key, amend } of amendments) amend(rows.get(key), (epoch) => epochs.includes(epoch));
  }

  /** All that is to be written is, and everybody sees it. */
  async pump(): Promise<void> {
    for (let worker = this.#dirty(); worker !== undefined; worker = this.#dirty()) {
      await this.write(worker);
      for (const other of this.workers) if (other !== worker) await other.shared.refresh();
    }
  }

  #dirty(): BreakerWorker | undefined {
    return this.workers.find(({ shared }) => shared.isDirty);
  }

  /** Time passes; what falls due is done and written at its instant. */
  async pass(ms: number): Promise<void> {
    const until = this.clock.mono() + ms;
    while (this.clock.step(until)) await this.pump();
  }

  /** Whether a call may be made, once what was asked for is answered. */
  async admit(worker: BreakerWorker, name: string, timeoutMs?: number): Promise<Admission> {
    const first = worker.breakers.admit(name, timeoutMs);
    if (first !== "asks") return first;
    await this.pump();
    return this.workers.includes(worker) ? worker.breakers.admit(name, timeoutMs) : "no";
  }
}
