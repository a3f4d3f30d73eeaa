/**
 * The line from an attempt to its run: steps that it keeps, signs of life, and what it streams.
 */
import type { Clock } from "../clock.ts";

/** A step that has ended, to be kept; `kept` is called when it is on the disk. */
export interface KeptStep {
  readonly key: string;
  readonly text: string;
  kept(): void;
}

export interface AttemptLine {
  /** What its earlier attempts have kept, by key. */
  readSteps(): Promise<Map<string, string>>;
  keepStep(step: KeptStep): void;
  /** What it says of its progress. */
  report(text: string): void;
  stream(chunk: unknown): void;
  /** It has ended: what it reported last is not waited with any more. */
  end(): void;
}

/** Strikes when nothing was heard for so long. */
export class Silence {
  readonly #clock: Clock;
  readonly #ms: number;
  readonly #strikes: () => void;
  #heardAt: number;
  #cancel: () => void;

  constructor(clock: Clock, ms: number, strikes: () => void) {
    this.#clock = clock;
    this.#ms = ms;
    this.#strikes = strikes;
    this.#heardAt = clock.mono();
    this.#cancel = clock.after(ms, () => this.#look());
  }

  heard(): void {
    this.#heardAt = this.#clock.mono();
  }

  end(): void {
    this.#cancel();
  }

  #look(): void {
    const leftMs = this.#heardAt + this.#ms - this.#clock.mono();
    if (leftMs <= 0) this.#strikes();
    else this.#cancel = this.#clock.after(leftMs, () => this.#look());
  }
}
