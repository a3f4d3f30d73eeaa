/**
 * The row of a limit: what each worker has of it, and whose part is how large. Knows no worker's memory.
 */
import type { RowTime } from "./row-time.ts";
import { type WindowUseRow, usedStill } from "./window-use.ts";

export interface ShareRow {
  readonly share: number;
  /** What it uses now, and what waits for more. */
  readonly use: number;
  readonly want: number;
  /** How many nodes wait, and how long it takes from one grant to the next; for people. */
  readonly nodes?: number;
  readonly everyMs?: number;
  /** The most that one attempt needs of those that wait. */
  readonly head: number;
  /** The flows that wait, by their numbers. */
  readonly flows?: readonly number[];
  readonly used?: WindowUseRow;
  /** Of windows: when it was written, by whoever wrote the instants of what was used. */
  readonly at?: number;
  /** Its worker is gone: only what it used of a window counts. */
  readonly isGone?: true;
}

export interface LimitRow {
  /** What the code says of it, as it was with the worker that wrote it last. */
  readonly says: { readonly max: number; readonly perMs?: number };
  /** Set by an operator, in the place of what the code says. */
  readonly max?: number;
  /** The newest instant that somebody wrote: instants of a row do not go back, whoever writes it by whatever clock. */
  readonly at?: number;
  /** Whose turn it is to have what its next attempt needs. */
  readonly turn?: number;
  readonly shares: Readonly<Record<string, ShareRow>>;
}

/** By how much the instants of a worker's share are less than they would be by somebody else's clock, in ms. */
export type LagOf = (id: string) => number;

const noLag: LagOf = () => 0;

/**
 * Shares of the workers that are there; of those that are gone what counts of their windows. What lags is written as it is
 * here: else whoever comes later takes it for older than it is, once the row has the time of here.
 */
export function sharesStill(
  { says: { perMs }, shares }: LimitRow,
  isOpen: (epoch: number) => boolean,
  now: number,
  lagOf: LagOf = noLag,
): Record<string, ShareRow> {
  const left: Record<string, ShareRow> = {};
  for (const [id, row] of Object.entries(shares)) {
    const lagMs = lagOf(id);
    if (isOpen(Number(id))) left[id] = perMs === undefined || lagMs === 0 ? row : { ...row, used: usedStill(row.used, perMs, now, lagMs), at: now };
    else if (perMs !== undefined) {
      const gone = leftOf(row, perMs, now, lagMs);
      if (gone.use > 0) left[id] = gone;
    }
  }
  return left;
}

/** The same by the time of the row as it is here, and that time; it takes note of what is written as it is here. */
export function sharesHere(
  row: LimitRow,
  isOpen: (epoch: number) => boolean,
  time: RowTime,
): { readonly shares: Record<string, ShareRow>; readonly now: number } {
  time.sees(row);
  const { now } = time;
  const shares = sharesStill(row, isOpen, now, (id) => time.lagOf(id));
  for (const id in shares) if (shares[id]!.at === now) time.owns(id, now);
  return { shares, now };
}

/** How many workers are gone that had, or wanted, something of it, and of which nothing was taken back yet. */
export function sharesLeft({ shares }: LimitRow, isOpen: (epoch: number) => boolean): number {
  return Object.entries(shares).filter(([id, { use, want, isGone }]) => !isGone && use + want > 0 && !isOpen(Number(id))).length;
}

/** Shares as they count now, of a row that was read a while ago. */
export function sharesNow({ says: { perMs }, shares }: LimitRow, now: number): Readonly<Record<string, ShareRow>> {
  if (perMs === undefined || !Object.values(shares).some(({ isGone }) => isGone)) return shares;
  return Object.fromEntries(Object.entries(shares).map(([id, row]) => [id, row.isGone ? leftOf(row, perMs, now) : row]));
}

/** A row that nobody has a share of, and that no operator has said anything of, is none. */
export function rowOf(row: LimitRow): LimitRow | undefined {
  return row.max === undefined && Object.keys(row.shares).length === 0 ? undefined : row;
}

/** The row without what workers had of it that are gone; the very same when there is nothing of that kind. */
export function swept(row: LimitRow, isOpen: (epoch: number) => boolean, time: RowTime): LimitRow | undefined {
  const { shares, now } = sharesHere(row, isOpen, time);
  const isClean = Object.keys(row.shares).every((id) => shares[id] !== undefined && (row.shares[id]!.isGone || isOpen(Number(id))));
  return isClean ? row : rowOf({ ...row, ...(row.says.perMs !== undefined && { at: now }), shares });
}

/** What counts still of what a worker used that is gone. */
function leftOf(row: ShareRow, perMs: number, now: number, lagMs = 0): ShareRow {
  const used = usedStill(row.used, perMs, now, lagMs);
  const use = Object.values(used).reduce((sum, amount) => sum + amount, 0);
  const at = lagMs > 0 ? now : row.at;
  return { share: use, use, want: 0, head: 0, used, ...(at !== undefined && { at }), isGone: true };
}

interface Demand {
  readonly use: number;
  readonly want: number;
  readonly head: number;
  /** By how much it counts; 1 if that is not said. */
  readonly weight?: number;
}

/** Whose turn it is: whoever had it keeps it while it wants something; then it is the next one's that does. */
export function turnOf(others: Readonly<Record<string, Demand>>, own: Demand & { readonly id: number }, turn: number | undefined, last = 0): number {
  const wanting = Object.keys(others).flatMap((id) => (others[id]!.want > 0 ? [Number(id)] : []));
  if (own.want > 0) wanting.push(own.id);
  if (turn !== undefined && wanting.includes(turn)) return turn;
  wanting.sort((a, b) => a - b);
  return wanting.find((id) => id > (turn ?? last)) ?? wanting[0] ?? own.id;
}

/**
 * The part of one worker. All of it while no other wants more; else it is by their weights, but nobody gets more than it uses
 * and wants, and what some do not need is the others'. Whose turn it is gets at least what its next attempt needs, and what
 * cannot be divided.
 */
export function partOf(max: number, others: Readonly<Record<string, Demand>>, own: Demand & { readonly id: number }, turn: number | undefined): number {
  if (!Object.values(others).some(({ want }) => want > 0)) return max;
  const first = turnOf(others, own, turn);
  const all = [...Object.entries(others).map(([id, demand]) => ({ ...demand, id: Number(id) })), own];
  const demands = all.map(({ id, use, want, head, weight = 1 }) => ({ id, weight, demand: use + want, head }));
  demands.sort((a, b) => a.demand / a.weight - b.demand / b.weight || a.id - b.id);
  const parts = new Map<number, number>();
  const divide = (left: number, among: typeof demands): number => {
    let weights = among.reduce((sum, { weight }) => sum + weight, 0);
    let rest = left;
    for (const { id, demand, weight } of among) {
      // a sum of parts of 1 may be a little less than it is
      const fair = Math.floor((left * weight) / weights + 1e-9);
      const part = Math.min(demand, fair);
      parts.set(id, part);
      rest -= part;
      if (demand > fair) continue;
      left -= demand;
      weights -= weight;
    }
    return rest;
  };
  const rest = divide(max, demands);
  const whose = demands.find(({ id }) => id === first);
  if (whose === undefined) return parts.get(own.id)!;
  const needed = Math.min(whose.demand, Math.max(parts.get(first)! + rest, Math.min(max, whose.head)));
  const left = demands.filter(({ id }) => id !== first);
  let more = divide(max - needed, left);
  for (const { id, demand } of left) {
    const part = Math.min(demand, parts.get(id)! + more);
    more -= part - parts.get(id)!;
    parts.set(id, part);
  }
  parts.set(first, needed);
  return parts.get(own.id)!;
}
