/**
 * A worker that could start nothing for a while stands aside: of limits that others want, too, it wants nothing any more, so
 * that they need not wait for its turn; it wants again as soon as a permit is free. What waits here keeps its place here.
 * 1. Who starts something every now and then does not stand aside: when attempts begin and end nothing is written for this.
 * 2. It does so a few times and no more until something is granted here of that limit: else others would be there first
 *    whenever a permit is free, and what waits here would wait for ever.
 */
import type { Limits } from "./limits.ts";
import type { Permits } from "./permits.ts";

/** So long no permit is free before others go first. */
const PATIENCE_MS = 1_000;

interface AsideSeams {
  readonly permits: Permits;
  readonly limits: Limits;
  readonly now: () => number;
  readonly after: (ms: number, call: () => void) => () => void;
  /** What is wanted here has changed. */
  readonly wantsTick: () => void;
}

export class StandAside {
  readonly #seams: AsideSeams;
  #freeAt = 0;
  #cancel: (() => void) | undefined;

  constructor(seams: AsideSeams) {
    this.#seams = seams;
  }

  get isAside(): boolean {
    return this.#seams.limits.areAside;
  }

  /** A permit is to be dealt out. */
  permitIsFree(): void {
    this.#freeAt = this.#seams.now();
    this.#seams.limits.comeBack();
  }

  /** Somebody waits for a limit, and no permit is free. */
  waits(): void {
    if (this.#cancel !== undefined || this.isAside) return;
    const leftMs = Math.max(1, this.#freeAt + PATIENCE_MS - this.#seams.now());
    this.#cancel = this.#seams.after(leftMs, () => {
      this.#cancel = undefined;
      const { permits, limits, now, wantsTick } = this.#seams;
      if (permits.isFree) return;
      if (now() < this.#freeAt + PATIENCE_MS) return this.waits();
      limits.standAside();
      wantsTick();
    });
  }

  stop(): void {
    this.#cancel?.();
  }
}
