/**
 * Who waits for what happens to which run. A run that is in memory here is told of by its worker; any other is looked at
 * when another process has written, a few at a time.
 */
import type { Clock } from "../clock.ts";
import type { Commit, Store } from "../store/store.ts";

/** Runs looked at between two turns of the event loop. */
const LOOKS = 200;
/** After a look at many runs comes a rest of so many times its length. */
const REST = 4;

interface Watched {
  /** Called at each change of a run that is elsewhere, and of one that is here only at its end or when it leaves. */
  readonly ends: Set<() => void>;
  /** Called at each change. */
  readonly changes: Set<() => void>;
  /** What was there when it was looked at last. */
  seen: string | undefined;
}

export class RunWatch {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #isHere: (runId: string) => boolean;
  readonly #failed: (error: unknown) => void;
  readonly #watched = new Map<string, Watched>();
  #looking: Promise<void> | undefined;
  #lookAgain = false;

  constructor(store: Store, clock: Clock, isHere: (runId: string) => boolean, failed: (error: unknown) => void) {
    this.#store = store;
    this.#clock = clock;
    this.#isHere = isHere;
    this.#failed = failed;
  }

  /** Calls back with each change that can be seen; answers what ends it. */
  onChange(runId: string, listener: () => void): () => void {
    return this.#add(runId, "changes", listener);
  }

  /** Calls back when the run may have ended, or has gone elsewhere, or changed there; answers what ends it. */
  onEnd(runId: string, listener: () => void): () => void {
    return this.#add(runId, "ends", listener);
  }

  #add(runId: string, kind: "ends" | "changes", listener: () => void): () => void {
    const watched = this.#watched.get(runId) ?? { ends: new Set(), changes: new Set(), seen: undefined };
    this.#watched.set(runId, watched);
    watched[kind].add(listener);
    return () => {
      watched[kind].delete(listener);
      if (watched.ends.size + watched.changes.size === 0 && this.#watched.get(runId) === watched) this.#watched.delete(runId);
    };
  }

  /** A run that is here was written, by this commit: whoever looks later sees nothing new in it. */
  changed(runId: string, commit?: Commit): void {
    const watched = this.#watched.get(runId);
    if (watched !== undefined && commit !== undefined) watched.seen = `${commit.from + 1} ${commit.run.status} ${commit.epoch}`;
    this.#tell(watched?.changes);
  }

  /** The run ended, or left this process. */
  ended(runId: string): void {
    this.#tell(this.#watched.get(runId)?.ends);
  }

  /** Everybody looks again. */
  wakeAll(): void {
    for (const { ends, changes } of [...this.#watched.values()]) {
      this.#tell(ends);
      this.#tell(changes);
    }
  }

  #tell(listeners: ReadonlySet<() => void> | undefined): void {
    for (const listener of [...(listeners ?? [])]) {
      try {
        listener();
      } catch (error) {
        this.#failed(error);
      }
    }
  }

  /** Another process has written: looks at the runs that are watched and not here. */
  look(): Promise<void> {
    this.#lookAgain = true;
    this.#looking ??= this.#lookAll().finally(() => (this.#looking = undefined));
    return this.#looking;
  }

  async #lookAll(): Promise<void> {
    while (this.#lookAgain) {
      this.#lookAgain = false;
      const beganAt = this.#clock.mono();
      let looks = 0;
      for (const [runId, watched] of [...this.#watched]) {
        if (this.#isHere(runId) || this.#watched.get(runId) !== watched) continue;
        await this.#lookAt(runId, watched);
        if (++looks % LOOKS === 0) await new Promise<void>((resolve) => this.#clock.soon(resolve));
      }
      const restMs = (this.#clock.mono() - beganAt) * REST;
      if (restMs > 1) await new Promise<void>((resolve) => this.#clock.after(restMs, resolve));
    }
  }

  async #lookAt(runId: string, watched: Watched): Promise<void> {
    const record = await this.#store.readRun(runId);
    const seen = record === undefined ? "" : `${record.commitNo} ${record.status} ${record.epoch}`;
    if (seen === watched.seen) return;
    watched.seen = seen;
    this.#tell(watched.ends);
    this.#tell(watched.changes);
  }
}
