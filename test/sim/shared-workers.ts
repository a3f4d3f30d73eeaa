/**
 * Several simulated workers and a client on one store, to which things happen: they die, hang, close and come back. It
 * watches at each step that no write of a worker is accepted that is not the run's owner.
 */
import type { Schedule, Startable } from "../../src/index.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import { type Commit, NOBODY, type Outcome, type RunRecord, SUSPICIONS_MAX, type Store } from "../../src/store/store.ts";
import { SimClock } from "./clock.ts";
import { SimProcess } from "./process.ts";

/** Something that happens to a worker. */
export type Harm = { readonly atMs: number; readonly worker: number; readonly awayMs: number } & {
  /** The last three: dies at its next group of commits, before or after that is written; or is stopped with it on its way. */
  readonly kind: "kill" | "close" | "stop" | "crashBefore" | "crashAfter" | "stopBefore";
};

export interface Slot {
  process: SimProcess | undefined;
  lives: number;
  wasStopped: boolean;
  crash: "crashBefore" | "crashAfter" | "stopBefore" | undefined;
  crashAwayMs: number;
}

export interface SharedOptions {
  readonly workers: number;
  readonly seed: number;
  /** What a worker is given; -1 is the client. */
  readonly workflows: (worker: number) => readonly Startable[];
  /** What each worker is given, too. */
  readonly schedules?: readonly Schedule[];
  readonly wrap?: ((store: Store) => Store) | undefined;
  readonly onCommitted?: (commit: Commit) => void;
  /** It takes too long when it has not ended by then. Default an hour. */
  readonly endMs?: number | undefined;
}

const END_MS = 3_600_000;

export class Violation extends Error {}

export class SharedWorkers {
  readonly clock = new SimClock();
  readonly store = new MemoryStore();
  readonly slots: Slot[] = [];
  readonly violations: string[] = [];
  /** How many runs went from one worker to another. */
  moves = 0;
  fenced = 0;
  client!: SimProcess;
  readonly #options: SharedOptions;
  readonly #owners = new Map<string, number>();
  /** How often each run was claimed since it was last cleared of suspicion. */
  readonly #suspected = new Map<string, number>();
  readonly #setAside = new Set<string>();
  /** How many workers died or hung. */
  #lost = 0;
  #failure: unknown;

  constructor(options: SharedOptions) {
    this.#options = options;
  }

  /** Opens everything, plays the story and answers when it has ended. Throws the first violation or failure. */
  async play(story: () => Promise<void>): Promise<void> {
    let isOver = false;
    const whole = async (): Promise<void> => {
      this.client = this.#process(-1);
      await this.client.boot();
      for (let worker = 0; worker < this.#options.workers; worker++) {
        this.slots.push({ process: undefined, lives: 0, wasStopped: false, crash: undefined, crashAwayMs: 0 });
        await this.#boot(worker);
      }
      await story();
      isOver = true;
    };
    whole().catch((error: unknown) => this.fails(error));
    await this.clock.until(() => isOver || this.#failure !== undefined || this.violations.length > 0, this.#options.endMs ?? END_MS);
    if (this.violations.length > 0) throw new Violation(this.violations.join("; "));
    if (this.#failure !== undefined) throw this.#failure;
    for (const { process } of this.slots) process?.kill();
    this.client.kill();
  }

  fails(error: unknown): void {
    this.#failure ??= error;
  }

  async #boot(worker: number): Promise<void> {
    const slot = this.slots[worker]!;
    slot.lives++;
    slot.wasStopped = false;
    slot.process = this.#process(worker);
    await slot.process.boot();
  }

  #process(worker: number): SimProcess {
    return new SimProcess({
      clock: this.clock,
      store: this.store,
      seed: this.#options.seed + worker * 1_000 + (this.slots[worker]?.lives ?? 0),
      workflows: this.#options.workflows(worker),
      execute: worker >= 0,
      ...(worker >= 0 && { schedules: this.#options.schedules ?? [] }),
      fault: () => this.#crashOf(worker),
      onApplied: (group, outcomes) => this.#applied(group, outcomes),
      wrap: (store) => this.#watched(this.#options.wrap?.(store) ?? store),
    });
  }

  #crashOf(worker: number): "crashBefore" | "crashAfter" | undefined {
    const slot = this.slots[worker];
    const crash = slot?.crash;
    if (slot === undefined || crash === undefined) return undefined;
    slot.crash = undefined;
    this.#lost++;
    if (crash === "stopBefore") this.#stop(slot, slot.crashAwayMs);
    else this.clock.after(slot.crashAwayMs, () => this.#again(worker));
    return crash === "stopBefore" ? undefined : crash;
  }

  /** Sees who owns which run, by the claims alone. */
  #watched(store: Store): Store {
    const taken = (records: readonly RunRecord[]): void => {
      for (const { id, epoch } of records) {
        if (this.#owners.has(id) && this.#owners.get(id) !== epoch) this.moves++;
        this.#owners.set(id, epoch);
        this.#suspected.set(id, (this.#suspected.get(id) ?? 0) + 1);
      }
    };
    return new Proxy(store, {
      get: (inner, method: keyof Store) => {
        const call = inner[method] as (...values: unknown[]) => Promise<unknown>;
        if (method === "quarantine") {
          return (epoch: number, id: string, ...more: [reason: string, at: number]) => {
            if ((this.#suspected.get(id) ?? 0) > SUSPICIONS_MAX && this.#lost >= SUSPICIONS_MAX) this.#setAside.add(id);
            return inner.quarantine(epoch, id, ...more);
          };
        }
        if (method === "absolve") {
          return async (epoch: number, runIds: readonly string[]) => {
            await inner.absolve(epoch, runIds);
            for (const id of runIds) this.#suspected.delete(id);
          };
        }
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
      if (outcomes[i] === "fenced") this.fenced++;
      if (outcomes[i] !== "committed") return;
      const owner = this.#owners.get(commit.runId);
      if (commit.from === 0) this.#owners.set(commit.runId, commit.epoch);
      else if (owner !== undefined && owner !== commit.epoch && owner !== NOBODY)
        this.violations.push(`a write of epoch ${commit.epoch} to ${commit.runId} was accepted, which epoch ${owner} owns`);
      this.#options.onCommitted?.(commit);
    });
  }

  /** Every worker that had the run died or hung before it was done with loading it: then it is rightly set aside. */
  isRightlySetAside(runId: string): boolean {
    return this.#setAside.has(runId);
  }

  /** Plans what happens to workers. */
  harm(harms: readonly Harm[]): void {
    for (const harm of harms) this.clock.after(harm.atMs, () => this.#do(harm, harm.worker % this.#options.workers));
  }

  #do({ kind, awayMs }: Harm, worker: number): void {
    const slot = this.slots[worker]!;
    const { process } = slot;
    if (process === undefined || !process.isAlive || process.isStopped) return;
    if (kind === "crashBefore" || kind === "crashAfter" || kind === "stopBefore") [slot.crash, slot.crashAwayMs] = [kind, awayMs];
    else if (kind === "stop") {
      this.#lost++;
      this.#stop(slot, awayMs);
    } else if (kind === "kill") {
      this.#lost++;
      process.kill();
      this.clock.after(awayMs, () => this.#again(worker));
    } else {
      slot.process = undefined;
      const closed = process.pawl.close({ graceMs: 3_000 });
      closed.then(
        () => this.clock.after(awayMs, () => this.#again(worker)),
        (error: unknown) => this.fails(error),
      );
    }
  }

  #stop(slot: Slot, awayMs: number): void {
    const { process } = slot;
    slot.wasStopped = true;
    process!.stop();
    this.clock.after(awayMs, () => process!.goOn());
  }

  #again(worker: number): void {
    this.#boot(worker).catch((error: unknown) => this.fails(error));
  }
}
