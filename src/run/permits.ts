/**
 * Permits: how many attempts may run at the same time in this worker. The number may change while they run: those beyond a
 * lower one go on, and none starts until there are fewer.
 */
import { PawlError } from "../errors.ts";

/** Attempts that run at the same time in one worker. */
export const ATTEMPTS_MAX = 100;

export class Permits {
  #max: number;
  #held = 0;

  constructor(max = ATTEMPTS_MAX) {
    this.#max = checkedAttempts(max);
  }

  get max(): number {
    return this.#max;
  }

  set max(max: number) {
    this.#max = checkedAttempts(max);
  }

  get held(): number {
    return this.#held;
  }

  get isFree(): boolean {
    return this.#held < this.#max;
  }

  take(count: number): void {
    this.#held += count;
  }

  giveBack(): void {
    this.#held--;
  }
}

/** Throws PAWL_INVALID_VALUE. */
export function checkedAttempts(max: number): number {
  if (Number.isInteger(max) && max >= 1) return max;
  throw new PawlError("PAWL_INVALID_VALUE", { message: `maxConcurrentAttempts is ${max}, but must be a whole number of at least 1` });
}
