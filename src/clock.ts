/**
 * Time, read here and nowhere else. Everything that waits or measures gets a `Clock`, so that the whole engine
 * runs in a simulator. Wall time is for instants that people see; monotonic time is for every length.
 */
import { setImmediate as immediate } from "node:timers";

/** Where time comes from. */
export interface Clock {
  /** Wall clock in ms since 1970: for history and deadlines. May jump. */
  now(): number;
  /** Monotonic ms from an unknown start: for lengths. Never goes back. */
  mono(): number;
  /** Calls back once after this many ms, never earlier; returns what cancels it. Any length, also beyond 24.8 days. */
  after(delayMs: number, callback: () => void): () => void;
  /** Calls back when the event loop has served its input and output. */
  soon(callback: () => void): void;
}

/** Node fires timers beyond 2^31-1 ms at once: longer waits are cut into pieces. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** The clock of this machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  mono: () => performance.now(),
  after(delayMs, callback) {
    const dueAt = performance.now() + delayMs;
    const arm = (): NodeJS.Timeout => {
      const leftMs = Math.max(0, dueAt - performance.now());
      return setTimeout(fire, Math.min(Math.ceil(leftMs), TIMER_MAX_MS));
    };
    const fire = (): void => {
      if (performance.now() < dueAt) timer = arm();
      else callback();
    };
    let timer = setTimeout(fire, Math.min(Math.ceil(delayMs), TIMER_MAX_MS));
    return () => clearTimeout(timer);
  },
  soon: (callback) => void immediate(callback),
};
