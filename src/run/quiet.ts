/**
 * Waiting until a worker is quiet: no attempt runs, and all is written.
 */

export class Quiet {
  readonly #isBusy: () => boolean;
  #waiting: (() => void)[] = [];
  /** No attempt starts any more. */
  isWanted = false;

  constructor(isBusy: () => boolean) {
    this.#isBusy = isBusy;
  }

  /** No new attempt; resolves when nothing runs and all is written. */
  reached(): Promise<void> {
    this.isWanted = true;
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.note();
    });
  }

  /** Something has ended. */
  note(): void {
    if (this.isWanted && !this.#isBusy()) this.end();
  }

  /** There is nothing to wait for. */
  end(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
