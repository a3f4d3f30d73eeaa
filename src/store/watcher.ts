/**
 * Tells that another process has written to a file: one number is read again and again, as long as somebody listens.
 * Often only for a while after somebody hurried.
 */
import { systemClock } from "../clock.ts";

const POLL_MS = 25;
const HURRIED_POLL_MS = 5;
/** Longer than a second: who waits for long says once a second that it does. */
const HURRY_MS = 1_200;

export class Watcher {
  readonly #version: () => number;
  readonly #listeners = new Set<() => void>();
  #seen: number | undefined;
  #cancel: (() => void) | undefined;
  #hurriesUntil = -Infinity;

  /** `version` answers another number when somebody else has written since; it may throw. */
  constructor(version: () => number) {
    this.#version = version;
  }

  /** Answers what ends it. */
  watch(listener: () => void): () => void {
    // A function of its own: the same listener may be given twice.
    const call = (): void => listener();
    this.#listeners.add(call);
    if (this.#cancel === undefined) {
      this.#isChanged();
      this.#arm();
    }
    return () => {
      this.#listeners.delete(call);
      if (this.#listeners.size === 0) this.stop();
    };
  }

  /** Something will be written soon. */
  hurry(): void {
    const wasHurried = this.#isHurried;
    this.#hurriesUntil = systemClock.mono() + HURRY_MS;
    if (wasHurried || this.#cancel === undefined) return;
    this.#cancel();
    this.#arm();
  }

  get #isHurried(): boolean {
    return systemClock.mono() < this.#hurriesUntil;
  }

  stop(): void {
    this.#listeners.clear();
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #arm(): void {
    this.#cancel = systemClock.after(this.#isHurried ? HURRIED_POLL_MS : POLL_MS, () => {
      this.#arm();
      if (this.#isChanged()) for (const listener of [...this.#listeners]) callSafely(listener);
    });
  }

  /** A file that is busy is looked at again; one that has failed says so to those who use it. */
  #isChanged(): boolean {
    try {
      const version = this.#version();
      const isChanged = this.#seen !== undefined && version !== this.#seen;
      this.#seen = version;
      return isChanged;
    } catch {
      return false;
    }
  }
}

/** One that throws does no harm to the others. */
function callSafely(listener: () => void): void {
  try {
    listener();
  } catch {
    // The listener's own matter.
  }
}
