/**
 * Several workers, each with its share of one limit, on one store: they take, give back, correct, die, come back and are
 * told late of each other. What they use together is counted here by itself.
 */
import { Limit, type Taken } from "../../src/run/limit.ts";
import type { LimitRow } from "../../src/run/limit-row.ts";
import { SharedRows, changeShared } from "../../src/run/shared-rows.ts";
import type { LimitPolicy } from "../../src/define/limits.ts";
import { MemoryStore } from "../../src/store/memory.ts";

const KEY = "limit:x";

interface Grant {
  readonly epoch: number;
  readonly amount: number;
  readonly at: number;
  /** The limit as somebody knew it then. */
  readonly allowed: number;
}

class Peer {
  readonly shared: SharedRows;
  readonly limit: Limit;
  /** What waits. */
  readonly queue: number[] = [];
  readonly taken: Taken[] = [];
  epoch = 0;
  readonly #plot: LimitPlot;
  /** Attempts whose commit is not written: they have not begun. */
  #begun: Grant[] = [];

  constructor(plot: LimitPlot) {
    this.#plot = plot;
    const epoch = (): number => this.epoch;
    const silent = (): void => {};
    this.shared = new SharedRows(plot.store, { debug: silent, info: silent, warn: silent, error: silent }, { epoch, wantsWrite: silent });
    this.limit = new Limit(KEY, plot.policy, { now: () => plot.now, epoch });
    this.shared.onChange(() => this.limit.see(this.shared.get(KEY) as LimitRow | undefined));
  }

  async open(): Promise<void> {
    this.epoch = await this.#plot.store.openEpoch(0, "{}");
    await this.shared.refresh();
  }

  wants(amount: number): void {
    this.queue.push(amount);
    this.limit.waits(amount, 1);
    this.limit.head = this.queue[0]!;
    this.limit.waiters.add(amount);
    this.pump();
  }

  pump(): void {
    while (this.queue.length > 0 && this.limit.has(this.queue[0]!)) {
      const amount = this.queue.shift()!;
      this.taken.push(this.limit.take(amount));
      this.#begun.push({ epoch: this.epoch, amount, at: this.#plot.now, allowed: this.#plot.knownMax });
      this.limit.waits(-amount, -1);
      this.limit.head = this.queue[0] ?? 0;
      if (this.queue.length === 0) this.limit.waiters.clear();
    }
  }

  get canEnd(): boolean {
    return this.taken.length > this.#begun.length;
  }

  /** One that has begun ends. */
  giveBack(at: number): void {
    const [taken] = this.taken.splice(at % Math.max(1, this.taken.length - this.#begun.length), this.taken.length > this.#begun.length ? 1 : 0);
    if (taken === undefined) return;
    this.limit.giveBack(taken);
    this.#plot.gaveBack(this.epoch, taken.amount);
  }

  /** It gives up its share with the next change, if it does not use it. */
  mayLeave = false;

  #leaves(): boolean {
    const leaves = this.mayLeave && this.limit.isShared && this.limit.leave();
    this.mayLeave = false;
    return leaves;
  }

  /** Answers whether there was something to write. */
  async write(outcome: "written" | "lost" | "unknown" = "written", wasFreed = false): Promise<boolean> {
    if (this.limit.review(wasFreed) || this.#leaves()) this.shared.change(KEY, this.limit.change(), () => this.limit.asked(this.shared.get(KEY) as LimitRow));
    if (!this.shared.isDirty && this.#begun.length === 0) return false;
    const amendments = this.shared.take();
    if (outcome !== "lost") {
      await this.#plot.store.amend(amendments);
      for (const grant of this.#begun.splice(0)) this.#plot.note(grant);
    }
    if (outcome === "written") this.shared.written();
    else this.shared.notWritten();
    return true;
  }
}

export class LimitPlot {
  readonly store = new MemoryStore();
  readonly policy: LimitPolicy;
  readonly peers: Peer[] = [];
  now = 1_000_000;
  /** Of windows: all that was ever taken; else what is held now. */
  #grants: Grant[] = [];
  mostUsed = 0;
  /** So much more was used at once than anybody knew to be allowed. */
  mostOver = 0;

  constructor(policy: LimitPolicy) {
    this.policy = policy;
  }

  async add(): Promise<void> {
    const peer = new Peer(this);
    await peer.open();
    this.peers.push(peer);
  }

  note(begun: Grant): void {
    this.#grants.push(begun);
    const { perMs } = this.policy;
    // in each window that it is in
    const ends = perMs === undefined ? [this.now] : this.#grants.map(({ at }) => at).filter((at) => at >= begun.at && at < begun.at + perMs);
    for (const end of ends) {
      const counts = this.#grants.filter(({ at }) => perMs === undefined || (at > end - perMs && at <= end));
      const used = counts.reduce((sum, { amount }) => sum + amount, 0);
      const allowed = perMs === undefined ? begun.allowed : Math.max(...counts.map((grant) => grant.allowed));
      this.mostUsed = Math.max(this.mostUsed, used);
      this.mostOver = Math.max(this.mostOver, used - allowed);
    }
  }

  /** The greatest that the limit is held to be by any worker. */
  get knownMax(): number {
    return Math.max(...this.peers.map(({ limit }) => limit.max));
  }

  /** An operator says what it is from now on; undefined: what the code says. */
  async set(max: number | undefined): Promise<void> {
    const { max: said, perMs } = this.policy;
    const none: LimitRow = { says: { max: said, ...(perMs !== undefined && { perMs }) }, shares: {} };
    await changeShared<LimitRow>(this.store, KEY, (known = none) => {
      const { max: _max, ...row } = known;
      return { ...row, ...(max !== undefined && { max }) };
    });
  }

  gaveBack(epoch: number, amount: number): void {
    if (this.policy.perMs !== undefined) return;
    const at = this.#grants.findIndex((grant) => grant.epoch === epoch && grant.amount === amount);
    this.#grants.splice(at, 1);
  }

  /** It is gone: what it held is free, what it used of a window counts. */
  async kill(at: number): Promise<void> {
    const [peer] = this.peers.splice(at, 1);
    await this.store.closeEpoch(peer!.epoch);
    if (this.policy.perMs === undefined) this.#grants = this.#grants.filter(({ epoch }) => epoch !== peer!.epoch);
  }

  /** Goes on until nothing waits, each ending at once what it begins; answers how much waits even so. */
  async settle(): Promise<number> {
    const isWaited = (): boolean => this.peers.some(({ queue }) => queue.length > 0);
    for (let round = 0; round < 400 && isWaited(); round++) {
      for (const peer of this.peers) {
        while (peer.canEnd) peer.giveBack(0);
        peer.pump();
        await peer.write("written", round % 20 === 0);
        for (const other of this.peers) await other.shared.refresh();
      }
      if (this.policy.perMs !== undefined) this.now += this.policy.perMs / 10;
    }
    return this.peers.reduce((sum, { queue }) => sum + queue.length, 0);
  }
}
