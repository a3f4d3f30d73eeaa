/**
 * Going back in a run, and doing again: checkpoints, forks, retries. What does it is loaded when it is first asked for.
 */
import type { Clock } from "../clock.ts";
import type { Random } from "../random.ts";
import type { RunRecord, Store } from "../store/store.ts";
import type { Checkpoint } from "./checkpoints.ts";
import { encode } from "./codec.ts";
import type { Definition } from "./definition.ts";
import type { ForkRunOptions } from "./fork.ts";
import type { ForkOptions, ForkPlan } from "./fork-plan.ts";
import type { RetryRunOptions } from "./handle.ts";
import type { Override, OverriddenNode } from "./override.ts";
import type { Reopened } from "./reopen.ts";

interface AgainSeams {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  /** Throws when nothing can be asked for any more. */
  checkOpen(): void;
  findDefinition(hash: string): Definition | undefined;
  /** A run is nobody's now, and could be taken on here. */
  offered(id: string): void;
}

export class Again {
  readonly #seams: AgainSeams;

  constructor(seams: AgainSeams) {
    this.#seams = seams;
  }

  async *checkpoints(id: string): AsyncGenerator<Checkpoint> {
    const { listCheckpoints } = await import("./checkpoints.ts");
    yield* listCheckpoints(this.#seams.store, id);
  }

  async planFork(id: string, options: ForkOptions): Promise<ForkPlan> {
    const { planFork } = await import("./fork.ts");
    return planFork(this.#seams.store, id, options, (hash) => this.#seams.findDefinition(hash));
  }

  /** Answers the id of the new run. */
  async fork(id: string, options: ForkRunOptions): Promise<string> {
    this.#seams.checkOpen();
    const { fork } = await import("./fork.ts");
    const made = await fork(this.#seams, id, options, (hash) => this.#seams.findDefinition(hash));
    this.#seams.offered(made.id);
    return made.id;
  }

  async retry(id: string, { nodes, input = {} }: RetryRunOptions): Promise<Reopened> {
    this.#seams.checkOpen();
    const { retryRun } = await import("./reopen.ts");
    const inputs = new Map(Object.entries(input).map(([node, value]) => [node, encode(value)]));
    const reopened = await retryRun(this.#seams.store, id, { nodes, inputs, at: this.#seams.clock.now() });
    this.#seams.offered(id);
    return reopened;
  }

  /** Sets how a node of an ended run ends, and takes the run up again. */
  async override(record: RunRecord, asked: Override): Promise<OverriddenNode> {
    this.#seams.checkOpen();
    const { overrideEnded } = await import("./override-ended.ts");
    const done = await overrideEnded(this.#seams.store, record, asked, this.#seams.clock.now(), (hash) => this.#seams.findDefinition(hash));
    this.#seams.offered(record.id);
    return done;
  }

  /** Continues a run that was cut off. */
  async resume(id: string): Promise<void> {
    this.#seams.checkOpen();
    const { resumeRun } = await import("./reopen.ts");
    await resumeRun(this.#seams.store, id, { at: this.#seams.clock.now() });
    this.#seams.offered(id);
  }
}
