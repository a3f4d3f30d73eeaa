/**
 * Several workers, each with its share of one limit, on one store: they take, give back, correct, die, are taken for dead,
 * come back by clocks that were set, and are told late of each other. What they use together is counted here by itself.
 */
import { Limit, type Taken } from "../../src/run/limit.ts";
import type { LimitRow } from "../../src/run/limit-row.ts";
import { SharedRows, changeShared } from "../../src/run/shared-rows.ts";
import type { LimitPolicy } from "../../src/define/limits.ts";
import { MemoryStore } from "../../src/store/memory.ts";

const KEY = "limit:x";

interface Grant {
  readonly epoch: number;
  /** At most what was granted: what was used beyond that is a debt. */
  amount: number;
  actual: number;
  /** When its call began. */
  at: number;
  /** The limit as somebody knew it then. */
  readonly allowed: number;
  /** The how manieth of all it is. */
  readonly number: number;
}

class Peer {
  readonly shared: SharedRows;
  readonly limit: Limit;
  /** What waits. */
  readonly queue: number[] = [];
  readonly taken: { readonly of: Taken; readonly grant: Grant }[] = [];
  epoch = 0;
  /** Others took it for dead. */
  isClosed = false;
  /** What its clock is beside the others', as it was when it began. */
  readonly #offsetMs: number;
  /** Of windows: all that it was granted; else what it holds. */
  #own: Grant[] = [];
  readonly #plot: LimitPlot;
  /** Attempts whose commit is not written: they have not begun. */
  #begun: Grant[] = [];

  constructor(plot: LimitPlot) {
    this.#plot = plot;
    this.#offsetMs = plot.clockOffsetMs;
    const epoch = (): number => this.epoch;
    const silent = (): void => {};
    this.shared = new SharedRows(plot.store, { debug: silent, info: silent, warn: silent, error: silent }, { epoch, wantsWrite: silent });
    this.limit = new Limit(KEY, plot.policy, { now: () => plot.now + this.#offsetMs, epoch });
    this.shared.onChange(() => this.limit.see(this.shared.get(KEY) as LimitRow | undefined));
  }

  async open(): Promise<void> {
    this.epoch = await this.#plot.store.openEpoch(0, "{}");
    await this.shared.refresh();
    this.limit.see(this.shared.get(KEY) as LimitRow | undefined);
  }

  wants(amount: number): void {
    this.queue.push(amount);
    this.limit.waits(amount, 1);
    this.limit.head = this.queue[0]!;
    this.limit.waiters.add({ number: amount });
    this.pump();
  }

  /** It can grant nothing, and others go first; or it can again. */
  stepsAside(): void {
    this.limit.isAside = !this.limit.isAside;
    this.pump();
  }

  /** So much of it is kept, if it is there; or no longer. */
  keeps(amount: number): void {
    this.limit.kept = 0;
    if (this.limit.has(amount)) this.limit.kept = amount;
  }

  pump(): void {
    while (!this.limit.isAside && this.queue.length > 0 && this.limit.has(this.queue[0]!)) {
      const amount = this.queue.shift()!;
      this.#checkDebt(amount);
      const grant = { epoch: this.epoch, amount, actual: amount, at: this.#plot.now, allowed: this.#plot.knownMax, number: ++this.#plot.granted };
      this.taken.push({ of: this.limit.take(amount, this.#plot.now + this.#offsetMs), grant });
      this.#own.push(grant);
      this.#begun.push(grant);
      this.limit.waits(-amount, -1);
      this.limit.head = this.queue[0] ?? 0;
      if (this.queue.length === 0) this.limit.waiters.clear();
    }
  }

  /** What it used beyond what it was granted delays what is granted to it next. */
  #checkDebt(amount: number): void {
    const { perMs } = this.#plot.policy;
    const counts = this.#own.filter(({ at }) => perMs === undefined || at > this.#plot.now - perMs);
    const used = counts.reduce((sum, { actual }) => sum + actual, amount);
    this.#plot.mostInDebt = Math.max(this.#plot.mostInDebt, used - this.limit.max);
  }

  get canEnd(): boolean {
    return this.taken.length > this.#begun.length;
  }

  /** One that has begun ends. */
  giveBack(at: number): void {
    const [taken] = this.taken.splice(at % Math.max(1, this.taken.length - this.#begun.length), this.canEnd ? 1 : 0);
    if (taken === undefined) return;
    this.limit.giveBack(taken.of);
    if (this.#plot.policy.perMs === undefined) this.#own = this.#own.filter((grant) => grant !== taken.grant);
    this.#plot.gaveBack(taken.grant);
  }

  /** One that has begun used so much instead. */
  settle(at: number, amount: number): void {
    if (!this.canEnd) return;
    const which = at % (this.taken.length - this.#begun.length);
    const { of, grant } = this.taken[which]!;
    this.limit.settle(of, amount);
    grant.actual = amount;
    grant.amount = Math.min(grant.amount, amount);
  }

  /** It hears that it was taken for dead: it has nothing any more, and begins again. */
  async #lost(): Promise<boolean> {
    for (const amount of this.queue.splice(0)) this.limit.waits(-amount, -1);
    for (const { of } of this.taken.splice(0)) this.limit.giveBack(of);
    [this.#begun, this.#own, this.isClosed] = [[], [], false];
    this.shared.lost();
    this.limit.lost();
    await this.open();
    return true;
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
    if (this.isClosed) return this.#lost();
    if (this.limit.review(wasFreed) || this.#leaves()) this.shared.restate(KEY, this.limit.change(), () => this.limit.asked(this.shared.get(KEY) as LimitRow));
    if (!this.shared.isDirty && this.#begun.length === 0) return false;
    const amendments = this.shared.take();
    if (outcome !== "lost") {
      await this.#plot.store.amend(amendments);
      const begin = this.taken.slice(this.taken.length - this.#begun.splice(0).length);
      for (const { of, grant } of begin) {
        this.limit.begin(of);
        grant.at = this.#plot.now;
        this.#plot.note(grant);
      }
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
  /** Of the clock by which workers begin. */
  clockOffsetMs = 0;
  /** So many grants were given. */
  granted = 0;
  /** Of windows: all that was ever taken; else what is held now. */
  #grants: Grant[] = [];
  mostUsed = 0;
  /** So much more was used at once than anybody knew to be allowed. */
  mostOver = 0;
  /** So much more a worker had used than the limit when it was granted more. */
  mostInDebt = 0;

  constructor(policy: LimitPolicy) {
    this.policy = policy;
  }

  async add(): Promise<void> {
    const peer = new Peer(this);
    await peer.open();
    this.peers.push(peer);
  }

  /**
   * It has begun. What was granted before it may begin later: so it is looked at again for each grant of whose window it is,
   * or since which it is held, by what was allowed there.
   */
  note(begun: Grant): void {
    this.#grants.push(begun);
    const { perMs } = this.policy;
    for (const end of this.#grants) {
      if (perMs === undefined ? end.number < begun.number : end.at < begun.at || end.at >= begun.at + perMs) continue;
      const counts = this.#grants.filter(({ at, number }) => (perMs === undefined ? number <= end.number : at > end.at - perMs && at <= end.at));
      const used = counts.reduce((sum, { amount }) => sum + amount, 0);
      const allowed = perMs === undefined ? end.allowed : Math.max(...counts.map((grant) => grant.allowed));
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

  gaveBack(ended: Grant): void {
    if (this.policy.perMs === undefined) this.#grants = this.#grants.filter((grant) => grant !== ended);
  }

  /** It is gone: what it held is free, what it used of a window counts. */
  async kill(at: number): Promise<void> {
    const [peer] = this.peers.splice(at, 1);
    await this.#close(peer!);
  }

  /** It is taken for dead, and hears of it when it writes. */
  async stall(at: number): Promise<void> {
    const peer = this.peers[at]!;
    if (peer.isClosed) return;
    peer.isClosed = true;
    await this.#close(peer);
  }

  async #close({ epoch: closed }: Peer): Promise<void> {
    await this.store.closeEpoch(closed);
    if (this.policy.perMs === undefined) this.#grants = this.#grants.filter(({ epoch }) => epoch !== closed);
  }

  /** Each hears of the others, takes what it can, and writes. */
  async round(): Promise<void> {
    for (const peer of this.peers) {
      await peer.shared.refresh();
      peer.pump();
      await peer.write("written", true);
    }
  }

  /** Goes on until nothing waits, each ending at once what it begins; answers how much waits even so. */
  async settle(): Promise<number> {
    for (const { limit } of this.peers) {
      limit.isAside = false;
      limit.kept = 0;
    }
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
