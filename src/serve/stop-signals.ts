/**
 * SIGINT and SIGTERM: the first asks for a graceful end, the second ends at once.
 */
import { EXIT } from "./exit-code.ts";

export type StopSignal = "SIGINT" | "SIGTERM";

/** What a worker says at the first signal. */
export const CLOSING = "closing: running attempts get 10 s to end; a second signal ends at once";

/** Resolves at the first signal. */
export function stopSignal(): Promise<void> {
  return new Promise((resolve) => void new StopSignals(resolve));
}

const EXIT_OF: Readonly<Record<StopSignal, number>> = { SIGINT: EXIT.interrupted, SIGTERM: EXIT.terminated };

export class StopSignals {
  #received: StopSignal | undefined;
  readonly #stop: () => unknown;

  /** Calls `stop` on the first signal. */
  constructor(stop: () => unknown) {
    this.#stop = stop;
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => this.#receive(signal));
  }

  /** The exit code that the signal asks for; undefined when there was none. */
  get exitCode(): number | undefined {
    return this.#received === undefined ? undefined : EXIT_OF[this.#received];
  }

  #receive(signal: StopSignal): void {
    if (this.#received !== undefined) process.exit(EXIT_OF[signal]);
    this.#received = signal;
    this.#stop();
  }
}
