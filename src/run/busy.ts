/**
 * Services that said when to come back, as by a 429 with Retry-After: until then no attempt that uses them begins.
 * 1. It holds here at once, and in all workers when it is written, with the attempt that was refused; also after a restart.
 * 2. Nothing holds for longer than the service said, whatever a clock says; and nothing for longer than five minutes: then
 *    it is asked again, for what one attempt was told need not hold for all.
 */
import type { Store } from "../store/store.ts";
import { type SharedRows, readSharedValues } from "./shared-rows.ts";

const KEY = "busy:";
const HELD_MAX_MS = 300_000;
/** What is said of the same service within a second is about the same, and not written again. */
const WRITTEN_EVERY_MS = 1_000;

interface BusyRow {
  /** When it was said, and for how long it holds. */
  readonly at: number;
  readonly forMs: number;
  /** The agents that wait for it. */
  readonly agents: readonly string[];
}

interface BusySeams {
  readonly shared: SharedRows;
  readonly now: () => number;
  readonly after: (ms: number, call: () => void) => () => void;
}

export class BusyServices {
  readonly #seams: BusySeams;
  readonly #until = new Map<string, number>();
  readonly #timers = new Map<string, () => void>();
  readonly #listeners = new Set<(service: string) => void>();

  constructor(seams: BusySeams) {
    this.#seams = seams;
    seams.shared.onChange((key) => {
      if (key.startsWith(KEY)) this.#see(key.slice(KEY.length));
    });
  }

  isBusy(service: string): boolean {
    return this.#until.has(service);
  }

  /** Calls back when it is no longer busy. */
  onOver(listener: (service: string) => void): void {
    this.#listeners.add(listener);
  }

  /** It told an attempt of this agent to come back after so long. */
  says(service: string, agent: string, ms: number): void {
    const [at, forMs] = [this.#seams.now(), Math.min(ms, HELD_MAX_MS)];
    this.#hold(service, at + forMs);
    this.#change(service, (row) => {
      if (row !== undefined && row.at + row.forMs > at + forMs - WRITTEN_EVERY_MS) return withAgent(row, agent);
      return { at, forMs, agents: [...new Set([...(row?.agents ?? []), agent])] };
    });
  }

  /** This agent waits for it. */
  awaits(service: string, agent: string): void {
    if (this.#row(service)?.agents.includes(agent) === false) this.#change(service, (row) => row && withAgent(row, agent));
  }

  stop(): void {
    for (const cancel of this.#timers.values()) cancel();
  }

  #row(service: string): BusyRow | undefined {
    return this.#seams.shared.get(KEY + service) as BusyRow | undefined;
  }

  #change(service: string, change: (row: BusyRow | undefined) => BusyRow | undefined): void {
    this.#seams.shared.change<BusyRow>(KEY + service, change);
  }

  #see(service: string): void {
    const row = this.#row(service);
    if (row === undefined) return;
    const now = this.#seams.now();
    const leftMs = Math.min(row.at + row.forMs - now, row.forMs);
    if (leftMs > 0) this.#hold(service, now + leftMs);
    else this.#forget(service);
  }

  #hold(service: string, until: number): void {
    const known = this.#until.get(service);
    if (known !== undefined && known >= until) return;
    this.#until.set(service, until);
    if (known === undefined) this.#watch(service);
  }

  #watch(service: string): void {
    const leftMs = this.#until.get(service)! - this.#seams.now();
    if (leftMs > 0)
      return void this.#timers.set(
        service,
        this.#seams.after(Math.ceil(leftMs), () => this.#watch(service)),
      );
    this.#timers.delete(service);
    this.#until.delete(service);
    this.#forget(service);
    for (const listener of this.#listeners) listener(service);
  }

  /** It is over, unless somebody was told otherwise meanwhile. Whatever the clock says: it was waited for as long as was said. */
  #forget(service: string): void {
    const over = this.#row(service);
    this.#change(service, (row) => (row?.at === over?.at && row?.forMs === over?.forMs ? undefined : row));
  }
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
