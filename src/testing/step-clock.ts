/**
 * Simulated time: it stands still until it is told to pass, jumps from one due instant to the next, in order, repeatable.
 */
import { type Clock, systemClock } from "../clock.ts";

interface Timer {
  readonly dueAt: number;
  readonly order: number;
  readonly callback: () => void;
  cancelled: boolean;
}

/** What is under way in the event loop gets its turn. */
const nextLoop = (): Promise<void> => new Promise<void>((resolve) => systemClock.soon(resolve));

/**
 * A clock that a test moves by hand. All times in ms; it begins at 0, which is 14 November 2023 on its wall.
 *
 * @example
 * ```ts
 * const clock = new StepClock();
 * clock.after(1_000, () => console.log('a second has passed'));
 * await clock.advance(1_000);
 * ```
 */
export class StepClock implements Clock {
  #timeMs = 0;
  #order = 0;
  #timers: Timer[] = [];
  #soon: (() => void)[] = [];
  /** Wall minus monotonic time; change it to make the wall clock jump. */
  wallOffsetMs = 1_700_000_000_000;

  now(): number {
    return this.#timeMs + this.wallOffsetMs;
  }

  mono(): number {
    return this.#timeMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer: Timer = { dueAt: this.#timeMs + Math.max(0, delayMs), order: this.#order++, callback, cancelled: false };
    this.#timers.push(timer);
    return () => {
      timer.cancelled = true;
    };
  }

  soon(callback: () => void): void {
    this.#soon.push(callback);
  }

  /** Time passes until the condition holds. Throws when nothing is left to happen, or after `limitMs` of it, by default a day. */
  async until(condition: () => boolean, limitMs = 86_400_000): Promise<void> {
    const endAt = this.#timeMs + limitMs;
    for (;;) {
      await nextLoop();
      if (condition()) return;
      if (this.#soon.length > 0) this.#runSoon();
      else this.#runNext(endAt);
    }
  }

  /** No time passes; all that needs none is done. Resolves when nothing moves any more. */
  async settle(): Promise<void> {
    for (let calm = 0; calm < 2; calm++) {
      await nextLoop();
      if (this.#soon.length > 0) this.#runSoon();
      else if (this.#timers.some((timer) => !timer.cancelled && timer.dueAt <= this.#timeMs)) this.#runNext(this.#timeMs);
      else continue;
      calm = -1;
    }
  }

  /** So many ms pass, and what is due in them happens at its instant. */
  async advance(ms: number): Promise<void> {
    let isOver = false;
    this.after(ms, () => {
      isOver = true;
    });
    await this.until(() => isOver, ms);
  }

  #runSoon(): void {
    for (const callback of this.#soon.splice(0)) callback();
  }

  #runNext(endAt: number): void {
    this.#timers = this.#timers.filter((timer) => !timer.cancelled);
    let next: Timer | undefined;
    for (const timer of this.#timers)
      if (next === undefined || timer.dueAt < next.dueAt || (timer.dueAt === next.dueAt && timer.order < next.order)) next = timer;
    if (next === undefined) throw new Error("the simulation hangs: nothing is left to happen");
    if (next.dueAt > endAt) throw new Error("the simulation takes too long");
    this.#timeMs = Math.max(this.#timeMs, next.dueAt);
    next.cancelled = true;
    next.callback();
  }
}
