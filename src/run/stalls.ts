/**
 * Runs that do not move: this worker has them, they have work to do, and nothing was committed for long. Lengths are
 * counted while this process looks, so that neither a night without a worker nor a clock that jumps is a stall.
 */
import type { Clock } from "../clock.ts";
import type { Log } from "../define/agent.ts";
import type { RunRecord, Store } from "../store/store.ts";
import type { Health } from "./health.ts";
import type { Meter } from "./metering.ts";
import { stallNotice } from "./notice.ts";
import type { Worker } from "./worker.ts";

const LOOK_EVERY_MAX_MS = 30_000;
const PAGE = 1_000;
const WORKING: ReadonlySet<string> = new Set(["running", "compensating"]);

interface Silence {
  readonly commitNo: number;
  readonly since: number;
  readonly isTold: boolean;
}

export interface StallSeams {
  readonly clock: Clock;
  readonly log: Log;
  readonly meter?: Meter | undefined;
  /** Is told that something is wrong. */
  readonly health?: Pick<Health, "troubled"> | undefined;
}

export class Stalls {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #meter: Meter | undefined;
  readonly #health: Pick<Health, "troubled"> | undefined;
  readonly #worker: Worker;
  readonly #stallAfterMs: number;
  #silences = new Map<string, Silence>();
  #cancelLook: (() => void) | undefined;
  #isStopped = false;

  constructor(store: Store, { clock, log, meter, health }: StallSeams, worker: Worker, stallAfterMs: number) {
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
    this.#meter = meter;
    this.#health = health;
    this.#worker = worker;
    this.#stallAfterMs = stallAfterMs;
  }

  begin(): void {
    const look = (): Promise<void> => this.#look().catch((error: unknown) => this.#log.warn({ error }, "runs that stall will be looked for again"));
    if (!this.#isStopped && this.#worker.stopped === undefined)
      this.#cancelLook = this.#clock.after(Math.min(LOOK_EVERY_MAX_MS, this.#stallAfterMs / 4), () => void look().then(() => this.begin()));
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelLook?.();
  }

  async #look(): Promise<void> {
    const silences = new Map<string, Silence>();
    for (let after = "", page: RunRecord[] = []; ; after = page.at(-1)!.id) {
      page = await this.#worker.read((store) => store.readyRuns(this.#worker.epoch, after, PAGE));
      for (const run of page) if (this.#isWorking(run)) silences.set(run.id, await this.#lookAt(run));
      if (page.length < PAGE || this.#isStopped) break;
    }
    this.#silences = silences;
  }

  /** A run that waits for a run of its own is as alive as that one. */
  #isWorking({ id, status }: RunRecord): boolean {
    return WORKING.has(status) && this.#worker.runs.get(id)?.waitsForChild !== true;
  }

  async #lookAt(run: RunRecord): Promise<Silence> {
    const now = this.#clock.mono();
    const known = this.#silences.get(run.id);
    if (known?.commitNo !== run.commitNo) return { commitNo: run.commitNo, since: now, isTold: false };
    if (known.isTold || now - known.since < this.#stallAfterMs) return known;
    await this.#store.addNotice(stallNotice(run, now - known.since, this.#clock.now()));
    this.#meter?.stalled();
    this.#health?.troubled();
    return { ...known, isTold: true };
  }
}
