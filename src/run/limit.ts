/**
 * One limit, as one worker has it: a share of what all workers together may use.
 * 1. The shares of all workers, which stand in one row, are together never more than the limit; a worker uses no more than
 *    its share. So no message is needed to start an attempt.
 * 2. A worker keeps all that is free while nobody else wants any; else each has its fair part, by the flows that wait there,
 *    and whose turn it is gets at least what its next attempt needs.
 * 3. A share is lowered here before it is written, and raised after: nobody else counts on what is in use.
 * 4. Of a worker that is gone nothing is held any more, but what it used of a window counts until that is over. It may count
 *    for a little longer, by as much as others heard late of it; and for less if the clock was set forward meanwhile.
 */
import type { LimiterEvent } from "../../machines/limiter.ts";
import type { LimitPolicy } from "../define/limits.ts";
import { LIMITER_FACT, type LimiterState, limiterTurn } from "./charts.ts";
import { FlowPlaces, type NumberedFlow, namedFlows } from "./limit-flows.ts";
import { readLimitKey } from "./limit-key.ts";
import { type LimitRow, type ShareRow, partOf, rowOf, sharesHere, sharesNow, turnOf } from "./limit-row.ts";
import { Pace } from "./pace.ts";
import { RowTime } from "./row-time.ts";
import { type WindowEntry, WindowUse, nextExpiryOf } from "./window-use.ts";

/** What others are told of the use here is at most so old. */
export const TOLD_EVERY_MS = 1_000;
/** So much of a window is written as used before it is: so not every attempt changes the row. After a crash it counts as used. */
const WRITTEN_AHEAD = 0.01;

interface LimitSeams {
  readonly now: () => number;
  readonly epoch: () => number;
}

export class Limit {
  readonly key: string;
  /** What people call it; the same for each tenant. */
  readonly name: string;
  readonly #policy: LimitPolicy;
  readonly #seams: LimitSeams;
  readonly #window: WindowUse | undefined;
  #row: LimitRow;
  #state: LimiterState = "enough";
  /** It may use so much. */
  #cap = 0;
  #held = 0;
  /** Attempts that have something of it. */
  #holders = 0;
  /** What waits, of how many nodes, and the most of it that one attempt needs. */
  #want = 0;
  #nodes = 0;
  head = 0;
  /** So much is kept for flows that were passed by, until they have all that they need. */
  kept = 0;
  /** Others go first: here nothing is wanted. And how often that was since something was granted. */
  isAside = false;
  asides = 0;
  /** The flows that wait. */
  readonly waiters = new Set<NumberedFlow>();
  /** Of the row: do other workers want something, and the sum of their shares; unless one of them is gone, of which less counts as time passes. */
  #othersWant = false;
  #othersSum: number | undefined = 0;
  #knownPlaces: FlowPlaces | undefined;
  /** Attempts since this worker passed the turn on, while others wanted something. */
  #takenSinceTurn = 0;
  /** The part that was reckoned last, and of what. */
  #knownPart: ({ readonly row: LimitRow; readonly part: number } & Pick<ShareRow, "use" | "want" | "head">) | undefined;
  /** So many flows need it, whatever they wait for first. */
  flows = 0;
  /** Of grants of it. */
  readonly #pace = new Pace();
  #writtenAt = 0;
  readonly #time: RowTime;
  #isLeaving = false;
  /** Whose turn it is has changed since it was written. */
  #passesTurn = false;

  constructor(key: string, policy: LimitPolicy, seams: LimitSeams, time = new RowTime(seams.now)) {
    this.key = key;
    this.name = readLimitKey(key).name;
    this.#policy = policy;
    this.#seams = seams;
    this.#window = policy.perMs === undefined ? undefined : new WindowUse(policy.perMs);
    this.#row = this.#noRow;
    this.#time = time;
  }

  get #noRow(): LimitRow {
    const { max, perMs } = this.#policy;
    return { says: { max, ...(perMs !== undefined && { perMs }) }, shares: {} };
  }

  get max(): number {
    return this.#row.max ?? this.#policy.max;
  }

  /** More is never there, unless an operator says so. What is lowered for a while is waited for. */
  get mostEver(): number {
    return Math.max(this.max, this.#policy.max);
  }

  get resource(): string {
    return this.#policy.name;
  }

  get perMs(): number | undefined {
    return this.#policy.perMs;
  }

  get want(): number {
    return this.#want;
  }

  get nodes(): number {
    return this.#nodes;
  }

  inUse(): number {
    return this.#window?.sum(this.#seams.now()) ?? this.#held;
  }

  /** Is there so much, beside what is kept? What is more than its part is left to those that want it. Whatever else waits here changes nothing. */
  has(amount: number): boolean {
    const used = this.inUse() + this.kept + amount;
    return this.#holds(used) && (!this.#othersWant || used <= this.#partOf({ use: this.#use, want: Number.MAX_SAFE_INTEGER, head: amount }));
  }

  /** Is what is kept still there? */
  get hasKept(): boolean {
    return this.#holds(this.inUse() + this.kept);
  }

  #holds(used: number): boolean {
    return used <= this.#cap && used <= this.max - this.#othersShares;
  }

  /** Takes what `has` said is there, at this instant; answers what corrects or returns it. */
  take(amount: number, at: number): Taken {
    if (this.#othersWant) this.#passesTurn ||= ++this.#takenSinceTurn >= this.#places.turnLength(String(this.#id)) && this.#row.turn === this.#id;
    const taken = { limit: this, amount, at, isSettled: false };
    if (this.#window === undefined) this.#held += amount;
    else this.#window.take(taken);
    this.#holders++;
    this.asides = 0;
    this.#pace.happened(at);
    return taken;
  }

  /** The attempt begins; answers whether more is used now than was known. */
  begin(taken: Taken): boolean {
    return this.#window?.begin(taken, this.#seams.now()) === true;
  }

  /** How long it takes from one grant to the next, as it was of late, in ms; undefined when too little is known. */
  get grantEveryMs(): number | undefined {
    return this.#pace.everyMs(this.#seams.now());
  }

  /** The attempt has ended. */
  giveBack(taken: Taken): void {
    this.#holders--;
    if (this.#window === undefined) this.#held -= taken.amount;
    else this.#window.end(taken);
  }

  /** It used so much instead. */
  settle(taken: Taken, amount: number): void {
    if (this.#window === undefined) this.#held += amount - taken.amount;
    else this.#window.correct(amount - taken.amount, taken.at);
    taken.amount = amount;
    taken.isSettled = true;
  }

  /** What all workers use and want, and the attempts here that have something of it. */
  get demand(): { readonly used: number; readonly waiting: number; readonly held: number } {
    const sums = { used: this.inUse(), waiting: this.#want, held: this.#holders };
    for (const { use, want } of Object.values(this.#others)) {
      sums.used += use;
      sums.waiting += want;
    }
    return sums;
  }

  /** So many nodes more, or fewer, wait for so much. */
  waits(amount: number, nodes: number): void {
    this.#want += amount;
    this.#nodes += nodes;
  }

  /** When more of its window is free, at the earliest. */
  nextFreeAt(): number | undefined {
    if (this.#window === undefined) return undefined;
    const gone = Object.values(this.#row.shares).filter(({ isGone }) => isGone);
    const instants = [
      this.#window.nextExpiry(this.#seams.now()),
      ...gone.map(({ used }) => this.#time.here(nextExpiryOf(used, this.#policy.perMs!, this.#time.now))),
    ];
    return instants.reduce((first, at) => (first === undefined || (at !== undefined && at < first) ? at : first), undefined);
  }

  // ---- the row

  get #id(): number {
    return this.#seams.epoch();
  }

  get #others(): Readonly<Record<string, ShareRow>> {
    const { [this.#id]: _own, ...others }: Record<string, ShareRow> = sharesNow(this.#row, this.#time.now);
    return others;
  }

  /** Which flows wait at which workers, as the row says. */
  get #places(): FlowPlaces {
    return (this.#knownPlaces ??= new FlowPlaces(this.#row.shares));
  }

  /** Others want of it, too. */
  get isContended(): boolean {
    return this.#othersWant;
  }

  /** At how many workers this flow waits for it, as far as is known here. */
  placesOf(flow: number): number {
    return this.#othersWant ? this.#places.of(flow) : 1;
  }

  get #othersShares(): number {
    return this.#othersSum ?? Object.values(this.#others).reduce((sum, { share }) => sum + share, 0);
  }

  /** What is kept counts as used to other workers, so that it stays here. */
  get #use(): number {
    const inUse = this.inUse();
    return this.isAside ? inUse : Math.max(inUse, Math.min(this.#cap, inUse + this.kept));
  }

  get #own(): Pick<ShareRow, "use" | "want" | "head"> {
    const use = this.#use;
    if (this.isAside) return { use, want: 0, head: 0 };
    return { use, want: Math.max(0, this.#want + this.inUse() - use), head: this.head };
  }

  /** The part of this worker, as far as is known here. What an operator has lowered is nobody's before others have left it. */
  get #part(): number {
    return this.#othersWant ? this.#partOf(this.#own) : Math.max(0, this.max - this.#othersShares);
  }

  #partOf({ use, want, head }: Pick<ShareRow, "use" | "want" | "head">): number {
    const known = this.#knownPart;
    if (known?.row === this.#row && known.use === use && known.want === want && known.head === head) return known.part;
    const own = { id: this.#id, use, want, head, weight: this.#places.weight(String(this.#id)) };
    const fair = partOf(this.max, this.#places.weighed(this.#others), own, this.#row.turn);
    const part = Math.max(0, Math.min(fair, this.max - this.#othersShares));
    // what workers used that are gone gets less as time passes
    const isSteady = sharesNow(this.#row, this.#time.now) === this.#row.shares;
    this.#knownPart = isSteady ? { row: this.#row, use, want, head, part } : undefined;
    return part;
  }

  /** It has more than its part, and will be looked at again when less of it is in use. */
  get isOver(): boolean {
    return this.#cap > this.#part;
  }

  /** The row is this now. */
  see(row: LimitRow | undefined): void {
    this.#keep(row ?? this.#noRow);
    if (this.#time.advance(row?.at)) this.#window?.forgetWritten();
    this.#time.seeShares(this.#others);
    const share = this.#row.shares[this.#id]?.share ?? 0;
    this.#cap = this.#state === "writing" ? Math.min(this.#cap, share) : share;
  }

  #keep(row: LimitRow): void {
    this.#row = row;
    this.#knownPlaces = undefined;
    const { [this.#id]: _own, ...others } = row.shares as Record<string, ShareRow>;
    const all = Object.values(others);
    this.#othersWant = all.some(({ want }) => want > 0);
    this.#othersSum = all.some(({ isGone }) => isGone) ? undefined : all.reduce((sum, { share }) => sum + share, 0);
  }

  /** The change that was asked for is written. */
  asked(row: LimitRow | undefined): void {
    this.#tell("row.written");
    this.see(row);
  }

  /**
   * Is there something to be changed in the row? Then `change` is written, and `asked` called. `wasFreed`: what is known of
   * the others may be wrong, for one of them is gone.
   */
  review(wasFreed = false): boolean {
    if (this.#state === "writing") return false;
    const own = this.#row.shares[this.#id];
    const [{ use, want, head }, part] = [this.#own, this.#part];
    const isShort = want > 0 && !this.has(head);
    const mayGain = wasFreed || part > this.#cap;
    const isToBeTold = own === undefined || own.head !== head || want >= 2 * own.want;
    const passes = this.#passesTurn && this.#othersWant;
    this.#tell(this.#cap > part ? "limit.over" : isShort ? "limit.short" : "limit.enough");
    if (this.#cap > Math.max(use, part)) return this.#tell("limit.spare");
    if (want === 0 && own !== undefined && own.want > 0) return this.#tell("limit.unwanted");
    if (this.isUnwritten || passes || this.isOld(TOLD_EVERY_MS)) return this.#tell("limit.used");
    return isShort && (mayGain || isToBeTold) && this.#tell("limit.wanting");
  }

  /** Nothing is used or wanted here any more: is that to be written? */
  leave(): boolean {
    return this.isIdle && this.#tell("limit.idle");
  }

  /** Answers whether the row is to be changed. */
  #tell(event: LimiterEvent["type"]): boolean {
    const { state, does } = limiterTurn(this.#state, LIMITER_FACT[event]);
    this.#state = state;
    this.#isLeaving = does === "leave";
    if (does === "giveBack") this.#cap = Math.max(this.#use, this.#part);
    else if (this.#isLeaving) this.#cap = 0;
    return does !== undefined;
  }

  /** Does the row say otherwise, and has for so long? */
  isOld(ms: number): boolean {
    const own = this.#row.shares[this.#id];
    if (own === undefined || this.#state === "writing" || this.#seams.now() - this.#writtenAt < ms) return false;
    return own.want !== this.#own.want || (this.#window?.isOld ?? own.use !== this.#use);
  }

  /** What becomes of the row. It is called within a transaction, and may be called in several: it says how things are here then. */
  change(): (row: LimitRow | undefined, isOpen: (epoch: number) => boolean) => LimitRow | undefined {
    const [floor, id, passes, isLeaving] = [this.#cap, this.#id, this.#passesTurn, this.#isLeaving];
    const { says } = this.#noRow;
    if (passes) {
      const turnLength = this.#places.turnLength(String(id));
      this.#takenSinceTurn = Math.min(this.#takenSinceTurn - turnLength, turnLength);
    }
    this.#passesTurn = false;
    this.#writtenAt = this.#seams.now();
    return (row = this.#noRow, isOpen) => {
      const max = row.max ?? this.#policy.max;
      const { [id]: _known, ...found } = row.shares as Record<string, ShareRow>;
      const { shares: others, now } = sharesHere({ ...row, says, shares: found }, isOpen, this.#time);
      if (isLeaving && this.isUnused) return rowOf({ ...row, says, shares: others });
      const flows = this.isAside ? [] : namedFlows(this.waiters);
      const own = { ...this.#own, ...(flows.length > 0 && { flows }) };
      const turn = turnOf(others, { id, ...own }, passes && row.turn === id ? undefined : row.turn, row.turn);
      const free = max - Object.values(others).reduce((sum, { share }) => sum + share, 0);
      const places = new FlowPlaces({ ...others, [id]: own });
      const part = partOf(max, places.weighed(others), { id, ...own, weight: places.weight(String(id)) }, turn);
      const share = Math.max(floor, own.use, Math.min(free, part));
      const everyMs = this.grantEveryMs;
      const ahead = Math.min(Math.floor(max * WRITTEN_AHEAD), share - own.use);
      const used = this.#window === undefined ? {} : { used: this.#window.row(this.#seams.now(), this.#time.behindMs, ahead), at: now };
      return {
        says,
        ...(row.max !== undefined && { max: row.max }),
        ...(this.#window !== undefined && { at: now }),
        turn,
        shares: { ...others, [id]: { ...own, ...used, nodes: this.#nodes, ...(everyMs !== undefined && { everyMs }), share } },
      };
    };
  }

  /** This worker has another epoch: it has no share, and what runs no longer counts. */
  lost(): void {
    this.#tell("worker.lost");
    const { max } = this.#row;
    this.#keep({ ...this.#noRow, ...(max !== undefined && { max }) });
    this.#cap = this.#held = this.#holders = this.#want = this.#nodes = this.head = 0;
    this.#passesTurn = this.isAside = false;
    this.asides = 0;
    this.#window?.clear();
  }

  /** Is more used of its window than the row says? */
  get isUnwritten(): boolean {
    return this.#window?.isUnwritten === true;
  }

  get isUnused(): boolean {
    return this.flows === 0 && this.#want === 0 && this.#holders === 0 && this.inUse() === 0;
  }

  get isIdle(): boolean {
    return this.isUnused && this.#state === "enough" && !this.isUnwritten;
  }

  /** Has this worker a share of it? */
  get isShared(): boolean {
    return this.#row.shares[this.#id] !== undefined;
  }
}

/** What an attempt has of a limit. */
export interface Taken extends WindowEntry {
  readonly limit: Limit;
  /** The attempt said that it used so much. */
  isSettled: boolean;
}
