/**
 * Looks at the store that something asks for, one at a time: what asks meanwhile gets one more. One that failed is
 * repeated soon, whether anything asks again or not; after a failure of the store none is.
 */
import type { Clock } from "../clock.ts";
import { isPawlError } from "../errors.ts";

/** Long enough for what was wrong to pass, short enough for who waits. */
const AGAIN_MS = 250;

interface LooksHooks {
  look(): Promise<void>;
  failed(error: unknown): void;
  /** Nobody is interested any more. */
  isOver(): boolean;
}

export class Looks {
  readonly #clock: Clock;
  readonly #hooks: LooksHooks;
  #isWanted = false;
  #isLooking = false;

  constructor(clock: Clock, hooks: LooksHooks) {
    this.#clock = clock;
    this.#hooks = hooks;
  }

  want(): void {
    this.#isWanted = true;
    if (!this.#isLooking) void this.#look();
  }

  async #look(): Promise<void> {
    this.#isLooking = true;
    while (this.#isWanted && !this.#hooks.isOver()) {
      this.#isWanted = false;
      await this.#hooks.look().catch((error: unknown) => this.#again(error));
    }
    this.#isLooking = false;
  }

  #again(error: unknown): void {
    this.#hooks.failed(error);
    if (!isPawlError(error, "PAWL_STORE_FAILED") && !this.#hooks.isOver()) this.#clock.after(AGAIN_MS, () => this.want());
  }
}
