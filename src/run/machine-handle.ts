/**
 * The handle of a machine's run: events go in, snapshots come out, both typed by the machine.
 */
import { type Duration, durationMs } from "../define/duration.ts";
import { PawlError } from "../errors.ts";
import { Run, type RunHome } from "./handle.ts";
import { isOver, requireRun } from "./view.ts";
import type { MachineDefinition } from "./machine-definition.ts";
import type { SendOptions } from "./machine-door.ts";
import type { SendResult } from "./sends.ts";
import type { AnyStateMachine, EventOf, OutputOfMachine, SnapshotOfMachine } from "./xstate/durable.ts";

export interface WaitOptions {
  /** How long to wait. Default: as long as it takes. */
  readonly timeout?: Duration;
}

export class MachineHandle<Machine extends AnyStateMachine> extends Run<OutputOfMachine<Machine>> {
  readonly #home: RunHome;
  readonly #definition: MachineDefinition;

  /** Not for use outside: see `pawl.start` and `pawl.run`. */
  constructor(home: RunHome, id: string, definition: MachineDefinition) {
    super(home, id);
    this.#home = home;
    this.#definition = definition;
  }

  protected override sibling(id: string): this {
    return new MachineHandle<Machine>(this.#home, id, this.#definition) as this;
  }

  /**
   * Sends an event to the machine. Resolves when the commit that consumed it is on the disk; what it set going, such as
   * steps and timers, is not awaited.
   *
   * @throws PAWL_EVENT_REFUSED, PAWL_EVENT_UNHANDLED (with `strict`), PAWL_RUN_ENDED, PAWL_RUN_NOT_FOUND,
   * PAWL_MAILBOX_FULL, PAWL_SEND_PENDING, PAWL_OUTCOME_UNKNOWN, PAWL_DEFINITION_MISSING, PAWL_READ_ONLY, PAWL_CLOSED
   */
  override send(event: EventOf<Machine>, options: SendOptions = {}): Promise<SendResult> {
    return this.#home.send(this.id, event, options);
  }

  /** The commit that consumed the event of this id; undefined when none has. */
  outcome(eventId: string): Promise<number | undefined> {
    return this.#home.store.readEvent(this.id, eventId);
  }

  /** The machine's snapshot as it was committed last. */
  snapshot(): Promise<SnapshotOfMachine<Machine>> {
    return this.#home.snapshot(this.id, this.#definition) as Promise<SnapshotOfMachine<Machine>>;
  }

  /** Would a transition take this event now? */
  async can(event: EventOf<Machine>): Promise<boolean> {
    const snapshot = (await this.snapshot()) as unknown as { can(event: unknown): boolean };
    return snapshot.can(event);
  }

  /**
   * Resolves with the first committed snapshot for which this holds, the present one included.
   *
   * @throws PAWL_RUN_ENDED when the run ended without it, PAWL_WAIT_TIMEOUT
   */
  async waitFor(predicate: (snapshot: SnapshotOfMachine<Machine>) => boolean, { timeout }: WaitOptions = {}): Promise<SnapshotOfMachine<Machine>> {
    const endsAt = timeout === undefined ? Infinity : this.#home.clock.mono() + durationMs(timeout, "timeout", "waitFor()");
    for (;;) {
      const change = this.#nextChange(endsAt);
      try {
        const snapshot = await this.snapshot();
        if (predicate(snapshot)) return snapshot;
        const { status, value } = snapshot as unknown as { status: string; value: unknown };
        if (status !== "active") throw new PawlError("PAWL_RUN_ENDED", { message: `run "${this.id}" ended in ${JSON.stringify(value)} without it` });
        if (isOver((await requireRun(this.#home.store, this.id)).status))
          throw new PawlError("PAWL_RUN_ENDED", { message: `run "${this.id}" was ended in ${JSON.stringify(value)}` });
        if (this.#home.clock.mono() >= endsAt) throw new PawlError("PAWL_WAIT_TIMEOUT", { message: `run "${this.id}" is in ${JSON.stringify(value)}` });
        await change.promise;
      } finally {
        change.forget();
      }
    }
  }

  /** The next change of the run, or the end of the wait. */
  #nextChange(endsAt: number): { readonly promise: Promise<void>; forget(): void } {
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = this.#home.onChange(this.id, resolve);
    const waitMs = Math.max(0, endsAt - this.#home.clock.mono());
    const cancel = waitMs === Infinity ? undefined : this.#home.clock.after(waitMs, resolve);
    return { promise, forget: () => (end(), cancel?.()) };
  }

  /** Calls back with each snapshot that is committed; of a run in another process, with the newest within 100 ms. Answers what ends it. */
  subscribe(listener: (snapshot: SnapshotOfMachine<Machine>) => void): () => void {
    return this.#home.onChange(this.id, () => void this.snapshot().then(listener, () => {}));
  }

  /** Calls back with what the machine's actors emit in this process, once it is durable. Answers what ends it. */
  on(type: string, listener: (event: { readonly type: string }) => void): () => void {
    return this.#home.on(type, (event, { runId }) => (runId === this.id ? listener(event) : undefined));
  }
}
