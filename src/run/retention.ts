/**
 * How long ended runs are kept: of the workers on a store one, the oldest, prunes now and then what is older.
 */
import type { Clock } from "../clock.ts";
import { type Duration, durationMs } from "../define/duration.ts";
import type { Store } from "../store/store.ts";
import { GentleBatches } from "./gentle-batches.ts";
import { type EndedStatus, checkedStatus, discardSome, sweepSome } from "./prune.ts";

/** How long runs are kept that ended so, from their end. Those that are not named are kept for ever. */
export type RetentionPolicy = { readonly [status in EndedStatus]?: Duration };

/** How long one call goes on at most. */
const RUN_MAX_MS = 10_000;

export class Retention {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #keptMs: readonly (readonly [status: EndedStatus, ms: number])[];
  readonly #batches: GentleBatches;
  #running: Promise<void> | undefined;

  /** Throws PAWL_INVALID_VALUE. */
  constructor(store: Store, clock: Clock, policy: RetentionPolicy) {
    this.#store = store;
    this.#clock = clock;
    this.#keptMs = Object.entries(policy).map(([status, kept]) => [checkedStatus(status, "retention"), durationMs(kept, `retention.${status}`)]);
    this.#batches = new GentleBatches(store, clock);
  }

  /**
   * Prunes for some seconds at most; what is left is for the next call. Nothing is done unless this epoch is the oldest
   * that is open. Also without a policy it goes on with what a prune has left.
   */
  run(epoch: number): Promise<void> {
    this.#running ??= this.#run(epoch).finally(() => (this.#running = undefined));
    return this.#running;
  }

  /** Resolves when the batch that is under way has ended; nothing more is done. */
  async stop(): Promise<void> {
    this.#batches.stop();
    await this.#running?.catch(() => {});
  }

  async #run(epoch: number): Promise<void> {
    const [oldest] = await this.#store.readEpochs();
    if (oldest?.id !== epoch) return;
    const endAt = this.#clock.mono() + RUN_MAX_MS;
    const goesOn = (): boolean => !this.#batches.isStopped && this.#clock.mono() < endAt;
    while (goesOn() && (await sweepSome(this.#store, this.#batches)) > 0);
    for (const [status, ms] of this.#keptMs) {
      const filter = { status, endedBefore: this.#clock.now() - ms };
      while (goesOn() && (await discardSome(this.#store, this.#batches, filter)) > 0) while (goesOn() && (await sweepSome(this.#store, this.#batches)) > 0);
    }
  }
}
