/**
 * Tells people that a circuit breaker opened or closed: by a notice, which waits in the store until its receiver took it.
 * 1. The worker that made the change notes it at once; any other when it has waited and nobody did: that one may be gone.
 * 2. It is noted under an id of its own, and then marked in the breaker's row: who dies between the two repeats it.
 */
import type { Clock } from "../clock.ts";
import type { Log } from "../define/agent.ts";
import type { Notice, Store } from "../store/store.ts";
import { type BreakerRow, type Turn, breakerKey, isBreakerKey, readBreakerRow, untoldTurn } from "./breaker-row.ts";
import type { Breakers } from "./breakers.ts";
import type { RunNotice } from "./notice.ts";
import type { SharedRows } from "./shared-rows.ts";

/** Whoever made the change had so long to note it; and what failed is tried again after as long. */
export const NOTE_AFTER_MS = 5_000;

interface NoticeSeams {
  readonly store: Pick<Store, "addNotice">;
  readonly clock: Clock;
  readonly log: Log;
}

export class BreakerNotices {
  readonly #shared: SharedRows;
  readonly #breakers: Breakers;
  readonly #seams: NoticeSeams;
  readonly #waits = new Map<string, () => void>();
  #isStopped = false;

  constructor(shared: SharedRows, breakers: Breakers, seams: NoticeSeams) {
    this.#shared = shared;
    this.#breakers = breakers;
    this.#seams = seams;
  }

  begin(): void {
    this.#shared.onChange((key) => isBreakerKey(key) && this.#noteLater(key));
    this.#breakers.onTransition(({ name }) => void this.#note(breakerKey(name)));
    for (const { name } of this.#breakers.views()) this.#noteLater(breakerKey(name));
  }

  stop(): void {
    this.#isStopped = true;
    for (const cancel of this.#waits.values()) cancel();
  }

  #untold(key: string): { readonly row: BreakerRow; readonly turn: Turn } | undefined {
    const row = readBreakerRow(this.#shared.get(key));
    const turn = row && untoldTurn(row);
    return row && turn && { row, turn };
  }

  #noteLater(key: string): void {
    if (this.#isStopped || this.#waits.has(key) || this.#untold(key) === undefined) return;
    const note = (): void => {
      this.#waits.delete(key);
      void this.#note(key);
    };
    this.#waits.set(key, this.#seams.clock.after(NOTE_AFTER_MS, note));
  }

  async #note(key: string): Promise<void> {
    const untold = this.#untold(key);
    if (untold === undefined || this.#isStopped) return;
    const { row, turn } = untold;
    try {
      await this.#seams.store.addNotice(breakerNotice(row, turn));
      this.#breakers.told(row.policy.name, turn.change);
    } catch (error) {
      this.#seams.log.warn({ breaker: row.policy.name, error }, "a notice of a circuit breaker will be noted later");
      this.#noteLater(key);
    }
  }
}

/** Notices of a breaker come in order, and wait for none of others. */
function breakerNotice({ policy: { name } }: BreakerRow, { change, to, at, reason }: Turn): Notice {
  const id = `${breakerKey(name)}:${change}`;
  const facts = { id, type: "breaker", runId: "", workflow: "", commitNo: 0, at: Math.round(at), breaker: name } as const;
  const notice: RunNotice = { ...facts, ...(to === "opened" && { code: "PAWL_CIRCUIT_OPEN" }), message: `the circuit breaker "${name}" ${to} (${reason})` };
  return { id, runId: breakerKey(name), at: notice.at, body: JSON.stringify(notice) };
}
