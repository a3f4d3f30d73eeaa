/**
 * The workers of a store: the epoch of this one, and those of others beside it.
 * 1. Whoever finds an epoch whose process is gone, or silent for the lease, closes it: its runs are then anybody's.
 * 2. Silence is counted only while this process itself looks, by its monotonic clock.
 * 3. A worker that finds its own epoch closed lets go of all its runs and begins again with a new one.
 * 4. A worker that is alone neither beats nor looks: it only hears when another one comes.
 */
import type { Clock } from "../clock.ts";
import type { BreakerWait } from "../define/breaker.ts";
import type { AgentUse, LimitPolicy } from "../define/limits.ts";
import { PawlError } from "../errors.ts";
import type { EpochRecord, Store } from "../store/store.ts";
import type { HealthReport } from "./health.ts";
import type { PeerTimes } from "./peer-times.ts";

/** How long a worker may be silent before others take its runs. */
export const LEASE_MS = 15_000;
/** Beats in one lease: some may be late. */
const BEATS_PER_LEASE = 5;
/** How often it is asked whether the others are there. */
const LOOK_EVERY_MS = 200;
/** What one look counts as silence at most: whoever was stopped itself has seen nothing. */
const LOOK_COUNTS_MS = 1_000;

/** What a worker says of itself to the others. */
export interface WorkerFacts {
  readonly pid: number;
  /** Hashes of the definitions that it was given. */
  readonly definitions: readonly string[];
  /** Hashes of earlier ones that these take over: only where nobody was given them. */
  readonly migrates: readonly string[];
  /** The schedules that it was given, each as what. */
  readonly schedules: readonly string[];
  /** The limits that it was given, and what the agents of its definitions use. */
  readonly limits: readonly LimitPolicy[];
  readonly uses: readonly AgentUse[];
  /** The agents of its definitions whose attempts wait while their breaker is open. */
  readonly waits: readonly BreakerWait[];
  /** Was it given somebody who is to be told? */
  readonly notifies: boolean;
  /** How long it lets others be silent. */
  readonly leaseMs: number;
  /** Its steady time when it said this. */
  readonly at?: number | undefined;
  /** So many more runs it could take on; 0 while it has enough. */
  readonly wants: number;
  /** So many runs it works on at the same time. */
  readonly activeRunsMax: number;
  /** How it found itself when it looked last, in short. */
  readonly health?: HealthReport | undefined;
}

/** A worker as people see it. */
export interface WorkerView {
  readonly epoch: number;
  readonly pid: number;
  readonly openedAt: number;
  /** Hashes of the definitions that it was given, and of those that they take over. */
  readonly definitions: readonly string[];
  /** How it found itself when it looked last, with what is short enough of it; undefined before it has looked. */
  readonly health: HealthReport | undefined;
}

interface Peer {
  readonly facts: WorkerFacts;
  readonly beat: number;
  silentMs: number;
}

interface PeersSeams {
  readonly clock: Clock;
  /** Is told what others say of their time. */
  readonly times: PeerTimes;
  readonly pid: number;
  readonly leaseMs?: number | undefined;
}

export interface PeersHooks {
  /** Others are there, and were looked at. */
  looked(): Promise<void>;
  /** Runs of an epoch that was closed can be claimed. */
  freed(): void;
  /** This worker's epoch was closed by another. */
  lost(): Promise<void>;
  /** What cannot be done now will be tried again. */
  failed(error: unknown): void;
}

export function readFacts({ facts }: EpochRecord): WorkerFacts {
  const {
    pid = 0,
    definitions = [],
    migrates = [],
    schedules = [],
    limits = [],
    uses = [],
    waits = [],
    notifies = false,
    leaseMs = LEASE_MS,
    at,
    wants = 0,
    activeRunsMax = 0,
    health,
  } = JSON.parse(facts) as Partial<WorkerFacts>;
  return { pid, definitions, migrates, schedules, limits, uses, waits, notifies, leaseMs, at, wants, activeRunsMax, health };
}

/** The workers whose processes are there. */
export async function liveWorkers(store: Store): Promise<WorkerView[]> {
  const views: WorkerView[] = [];
  for (const record of await store.readEpochs()) {
    if (await store.isAbandoned(record.id)) continue;
    const { pid, definitions, migrates, health } = readFacts(record);
    views.push({ epoch: record.id, pid, openedAt: record.openedAt, definitions: [...definitions, ...migrates], health });
  }
  return views;
}

export class Peers {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #leaseMs: number;
  readonly #hooks: PeersHooks;
  readonly #peers = new Map<number, Peer>();
  /** What workers beside this one were given, also those that are gone: one may be about to come back. */
  readonly #known = new Set<string>();
  readonly #times: PeerTimes;
  /** What is new was not there when it was last read. */
  #hasRead = false;
  #beatAt = 0;
  #facts: WorkerFacts;
  #told = "";
  #lookedAt = 0;
  #cancelLook: (() => void) | undefined;
  #cancelBeat: (() => void) | undefined;
  #refreshing: Promise<void> | undefined;
  #isClosed = false;
  epoch = 0;

  constructor(store: Store, { clock, times, pid, leaseMs = LEASE_MS }: PeersSeams, hooks: PeersHooks) {
    if (!(leaseMs >= 1_000)) throw new PawlError("PAWL_INVALID_VALUE", { message: `leaseMs is ${leaseMs}, but must be at least 1000` });
    this.#store = store;
    this.#clock = clock;
    this.#times = times;
    this.#leaseMs = leaseMs;
    this.#hooks = hooks;
    this.#facts = { pid, definitions: [], migrates: [], schedules: [], limits: [], uses: [], waits: [], notifies: false, leaseMs, wants: 0, activeRunsMax: 0 };
  }

  /** Opens an epoch, and closes those of processes that are gone. */
  async open(): Promise<number> {
    this.#told = JSON.stringify(this.#facts);
    const lost = this.epoch;
    this.epoch = await this.#store.openEpoch(this.#clock.now(), this.#timed);
    this.#beatAt = this.#clock.mono();
    this.#hasRead = false;
    if (lost !== 0) await this.#store.closeEpoch(lost);
    await this.#read();
    await this.#closeAbandoned();
    return this.epoch;
  }

  get isAlone(): boolean {
    return this.#peers.size === 0;
  }

  /** Was another worker given this very definition? */
  hasNative(definition: string): boolean {
    return [...this.#peers.values()].some(({ facts }) => facts.definitions.includes(definition));
  }

  /** Is there, or was there, another worker that can go on with runs of this definition? */
  knows(definition: string): boolean {
    return this.#known.has(definition);
  }

  /** Is the epoch that of another worker, as far as is known? */
  has(epoch: number): boolean {
    return this.#peers.has(epoch);
  }

  /** How many runs of this definition others would take on. */
  wanted(definition: string): number {
    return [...this.#peers.values()].reduce((sum, { facts }) => sum + (facts.definitions.includes(definition) ? facts.wants : 0), 0);
  }

  /** Says of this worker what is new; nobody is told who is not there. */
  async tell(facts: Partial<WorkerFacts>): Promise<void> {
    this.#facts = { ...this.#facts, ...facts };
    if (JSON.stringify(this.#facts) !== this.#told && (!this.isAlone || "definitions" in facts)) await this.#beat();
  }

  /** The store changed: asks who is there now. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = undefined));
    return this.#refreshing;
  }

  async #refresh(): Promise<void> {
    if (this.#isClosed || this.epoch === 0) return;
    if (!(await this.#read())) return this.#hooks.lost();
    if (JSON.stringify(this.#facts) !== this.#told && !this.isAlone) await this.#beat();
  }

  /** Reads the open epochs; says whether this worker's own is among them. */
  async #read(): Promise<boolean> {
    const records = await this.#store.readEpochs();
    if (this.#isClosed) return true;
    let wasFreed = false;
    const ids = new Set(records.map(({ id }) => id));
    for (const id of this.#peers.keys()) if (!ids.has(id)) wasFreed = this.#peers.delete(id);
    for (const record of records) {
      if (record.id === this.epoch) continue;
      const known = this.#peers.get(record.id);
      const facts = readFacts(record);
      const isNew = known === undefined ? this.#hasRead : known.beat !== record.beat;
      if (facts.at !== undefined) this.#times.hears(record.id, facts.at, isNew);
      this.#peers.set(record.id, { facts, beat: record.beat, silentMs: known?.beat === record.beat ? known.silentMs : 0 });
    }
    this.#hasRead = true;
    this.#keepLooking();
    if (wasFreed) this.#hooks.freed();
    return ids.has(this.epoch);
  }

  #keepLooking(): void {
    if (this.isAlone || this.#isClosed) return this.#rest();
    if (this.#cancelLook !== undefined) return;
    this.#lookedAt = this.#clock.mono();
    this.#cancelLook = this.#clock.after(LOOK_EVERY_MS, () => this.#spawn(this.#look()));
    this.#cancelBeat ??= this.#clock.after(0, () => this.#spawn(this.#keepBeating()));
  }

  #rest(): void {
    this.#cancelLook?.();
    this.#cancelBeat?.();
    this.#cancelLook = this.#cancelBeat = undefined;
  }

  /** Are the others there, and do they show it? */
  async #look(): Promise<void> {
    try {
      const now = this.#clock.mono();
      // while nobody can write nobody can beat
      const passedMs = now - this.#beatAt > 2 * this.#beatEveryMs ? 0 : Math.min(LOOK_COUNTS_MS, now - this.#lookedAt);
      for (const peer of this.#peers.values()) peer.silentMs += passedMs;
      await this.refresh();
      await this.#closeAbandoned();
      for (const [id, { silentMs, beat }] of this.#peers) if (silentMs >= this.#leaseMs) await this.#close(id, beat);
      if (!this.#isClosed) await this.#hooks.looked();
    } finally {
      this.#cancelLook = undefined;
      this.#keepLooking();
    }
  }

  async #closeAbandoned(): Promise<void> {
    for (const [id, { facts }] of this.#peers)
      if (this.#isClosed) return;
      else if (await this.#store.isAbandoned(id)) await this.#close(id);
      else for (const hash of [...facts.definitions, ...facts.migrates]) this.#known.add(hash);
  }

  /** With `beat`: unless it has shown itself since. */
  async #close(id: number, beat?: number): Promise<void> {
    if (!(await this.#store.closeEpoch(id, beat))) return;
    this.#peers.delete(id);
    if (!this.#isClosed) this.#hooks.freed();
  }

  async #keepBeating(): Promise<void> {
    this.#cancelBeat = this.#clock.after(this.#beatEveryMs, () => this.#spawn(this.#keepBeating()));
    await this.#beat();
  }

  /** Often enough for who is the least patient. */
  get #beatEveryMs(): number {
    return Math.min(this.#leaseMs, ...[...this.#peers.values()].map(({ facts }) => facts.leaseMs)) / BEATS_PER_LEASE;
  }

  async #beat(): Promise<void> {
    if (this.#isClosed || this.epoch === 0) return;
    const told = JSON.stringify(this.#facts);
    if (!(await this.#store.beat(this.epoch, this.#timed))) return this.refresh();
    this.#told = told;
    this.#beatAt = this.#clock.mono();
  }

  /** What it says of itself, with the instant at which it does. */
  get #timed(): string {
    return JSON.stringify({ ...this.#facts, at: Math.ceil(this.#times.now) });
  }

  /** Looks no more, and lets others have what this worker still owns. */
  async close(): Promise<void> {
    this.stop();
    if (this.epoch !== 0) await this.#store.closeEpoch(this.epoch);
  }

  /** Looks no more. */
  stop(): void {
    this.#isClosed = true;
    this.#rest();
  }

  #spawn(work: Promise<void>): void {
    work.catch((error: unknown) => this.#hooks.failed(error));
  }
}
