/**
 * Services that said when to come back, as by a 429 with Retry-After: until then no attempt that uses them begins.
 * 1. It holds here at once, and in all workers when it is written, with the attempt that was refused; also after a restart.
 * 2. Lengths are measured by this worker's steady time, from when it hears of them: whatever is done to clocks, nothing holds
 *    for longer than the service said, or for less while this worker sees it. What was said before it came holds by the wall
 *    clock, and no longer than for those who heard it; they say it again when somebody takes it for over that is not.
 * 3. Nothing holds for longer than five minutes: then it is asked again, for what one attempt was told need not hold for all.
 */
import type { Store } from "../store/store.ts";
import { type SharedRows, readSharedValues } from "./shared-rows.ts";

const KEY = "busy:";
const HELD_MAX_MS = 300_000;
/** What is said of the same service within a second is about the same, and not written again. */
const WRITTEN_EVERY_MS = 1_000;

/** When something was said, by the time of whoever heard it, and for how long it holds. */
interface Said {
  readonly at: number;
  readonly forMs: number;
}

interface BusyRow extends Said {
  /** The agents that wait for it. */
  readonly agents: readonly string[];
}

interface BusySeams {
  readonly shared: SharedRows;
  readonly now: () => number;
  readonly after: (ms: number, call: () => void) => () => void;
}

interface Hold {
  /** What was said, as its row has it. */
  readonly of: Said;
  readonly until: number;
  /** It was said while this worker was there. */
  readonly isHeard: boolean;
}

export class BusyServices {
  readonly #seams: BusySeams;
  readonly #holds = new Map<string, Hold>();
  readonly #timers = new Map<string, () => void>();
  readonly #listeners = new Set<(service: string) => void>();
  /** The rows as they were seen. */
  readonly #seen = new Map<string, BusyRow>();
  #isThere = false;

  constructor(seams: BusySeams) {
    this.#seams = seams;
    seams.shared.onChange((key) => {
      if (key.startsWith(KEY)) this.#see(key.slice(KEY.length));
    });
  }

  /** What was said before is known: from now on what is new was said just now. */
  begin(): void {
    this.#isThere = true;
  }

  isBusy(service: string): boolean {
    return this.#holds.has(service);
  }

  /** Calls back when it is no longer busy. */
  onOver(listener: (service: string) => void): void {
    this.#listeners.add(listener);
  }

  /** It told an attempt of this agent to come back after so long. */
  says(service: string, agent: string, ms: number): void {
    const said = { at: this.#seams.now(), forMs: Math.min(ms, HELD_MAX_MS) };
    const [known, seen, until] = [this.#holds.get(service), this.#seen.get(service), said.at + said.forMs];
    const isSaid = known?.isHeard === true && known.until > until - WRITTEN_EVERY_MS;
    this.#hold(service, { of: said, until, isHeard: true });
    this.#change(service, (row) => {
      // what others wrote was said just now, too
      if (row !== undefined && (isSaid || (!isSame(row, seen) && row.forMs >= said.forMs))) return withAgent(row, agent);
      return { ...said, agents: [...new Set([...(row?.agents ?? []), agent])] };
    });
  }

  /** This agent waits for it. */
  awaits(service: string, agent: string): void {
    if (this.#seen.get(service)?.agents.includes(agent) === false) this.#change(service, (row) => row && withAgent(row, agent));
  }

  stop(): void {
    for (const cancel of this.#timers.values()) cancel();
  }

  #change(service: string, change: (row: BusyRow | undefined) => BusyRow | undefined): void {
    this.#seams.shared.change<BusyRow>(KEY + service, change);
  }

  #see(service: string): void {
    const [row, seen] = [this.#seams.shared.get(KEY + service) as BusyRow | undefined, this.#seen.get(service)];
    if (row === undefined) {
      this.#seen.delete(service);
      return this.#gone(service, seen);
    }
    this.#seen.set(service, row);
    if (isSame(row, seen) || isSame(row, this.#holds.get(service)?.of)) return;
    const now = this.#seams.now();
    const leftMs = this.#isThere ? row.forMs : Math.min(row.at + row.forMs - now, row.forMs);
    if (leftMs > 0) this.#hold(service, { of: row, until: now + leftMs, isHeard: this.#isThere });
    else this.#forget(service, row);
  }

  /** Somebody took it for over. */
  #gone(service: string, seen: BusyRow | undefined): void {
    const hold = this.#holds.get(service);
    if (hold === undefined || seen === undefined) return;
    if (!hold.isHeard) return this.#over(service);
    const at = this.#seams.now();
    const of = { at, forMs: hold.until - at };
    if (of.forMs <= WRITTEN_EVERY_MS) return;
    this.#holds.set(service, { ...hold, of });
    this.#change(service, (row) => row ?? { ...of, agents: seen.agents });
  }

  #hold(service: string, hold: Hold): void {
    const known = this.#holds.get(service);
    if (known !== undefined && known.until >= hold.until && (known.isHeard || !hold.isHeard)) return;
    this.#timers.get(service)?.();
    this.#holds.set(service, hold);
    this.#watch(service);
  }

  #watch(service: string): void {
    const leftMs = this.#holds.get(service)!.until - this.#seams.now();
    if (leftMs <= 0) return this.#over(service);
    this.#timers.set(
      service,
      this.#seams.after(Math.ceil(leftMs), () => this.#watch(service)),
    );
  }

  #over(service: string): void {
    this.#timers.get(service)?.();
    this.#timers.delete(service);
    const { of } = this.#holds.get(service)!;
    this.#holds.delete(service);
    this.#forget(service, of);
    for (const listener of this.#listeners) listener(service);
  }

  /** It is over, unless somebody was told otherwise meanwhile. */
  #forget(service: string, over: Said): void {
    const seen = this.#seen.get(service);
    this.#change(service, (row) => (isSame(row, over) || isSame(row, seen) ? undefined : row));
  }
}

function isSame(said: Said | undefined, other: Said | undefined): boolean {
  return said?.at === other?.at && said?.forMs === other?.forMs;
}

function withAgent(row: BusyRow, agent: string): BusyRow {
  return row.agents.includes(agent) ? row : { ...row, agents: [...row.agents, agent] };
}

/** Of agents that wait for a service that is busy: which one that is, and until when. */
export async function readBusy(store: Store): Promise<Map<string, { readonly service: string; readonly until: number }>> {
  const found = new Map<string, { service: string; until: number }>();
  for (const [key, value] of await readSharedValues(store)) {
    if (!key.startsWith(KEY)) continue;
    const { at, forMs, agents } = value as BusyRow;
    for (const agent of agents) found.set(agent, { service: key.slice(KEY.length), until: at + forMs });
  }
  return found;
}
