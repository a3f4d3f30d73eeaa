/**
 * Simulated time: jumps from one due instant to the next, in order, repeatable.
 */
import { setImmediate as nextLoop } from "node:timers/promises";
import type { Clock } from "../../src/clock.ts";

interface Timer {
  readonly dueAt: number;
  readonly order: number;
  readonly callback: () => void;
  cancelled: boolean;
}

export class SimClock implements Clock {
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

  /** Time passes until the condition holds. Throws when nothing is left to happen, or after `limitMs` of it. */
  async until(condition: () => boolean, limitMs = 86_400_000): Promise<void> {
    const endAt = this.#timeMs + limitMs;
    for (;;) {
      await nextLoop();
      if (condition()) return;
      if (this.#soon.length > 0) this.#runSoon();
      else this.#runNext(endAt);
    }
  }

  /** No time passes; all that needs none is done. */
  async settle(): Promise<void> {
    for (let calm = 0; calm < 2; calm++) {
      await nextLoop();
      if (this.#soon.length > 0) this.#runSoon();
      else if (this.#timers.some((timer) => !timer.cancelled && timer.dueAt <= this.#timeMs)) this.#runNext(this.#timeMs);
      else continue;
      calm = -1;
    }
  }

  /** So much time passes, whatever happens in it. */
  async advance(ms: number): Promise<void> {
    let isOver = false;
    this.after(ms, () => {
      isOver = true;
    });
    await this.until(() => isOver);
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
