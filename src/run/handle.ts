/**
 * The handle of a run: its result, what became of it, and a way to stop it. Holds nothing but its id.
 */
import { PawlError } from "../errors.ts";
import type { HistoryEntry } from "./history.ts";
import type { Clock } from "../clock.ts";
import type { Store } from "../store/store.ts";
import type { MachineDefinition } from "./machine-definition.ts";
import type { SendOptions, SentEvent } from "./machine-door.ts";
import type { SendResult } from "./sends.ts";
import type { AnyEvent, AnySnapshot } from "./xstate/actor.ts";
import { type ActorView, viewActors } from "./machine-view.ts";
import { type NodeView, type RunDefinition, type RunView, isOver, readHistory, requireRun, viewDefinition, viewNodes, viewRun } from "./view.ts";

/** A wait for the end of a run; to be forgotten when nobody waits any more. */
export interface EndWatch {
  readonly promise: Promise<void>;
  /** The run is in memory here: it has not ended. */
  readonly isUnderWay: boolean;
  forget(): void;
}

/** What a handle needs from the pawl that gave it. */
export interface RunHome {
  readonly store: Store;
  readonly clock: Clock;
  readonly isExecuting: boolean;
  readonly isClosing: boolean;
  send(id: string, event: SentEvent, options: SendOptions): Promise<SendResult>;
  snapshot(id: string, definition: MachineDefinition): Promise<AnySnapshot>;
  /** Calls back with each commit of the run that this process makes; answers what ends it. */
  onCommit(id: string, listener: () => void): () => void;
  on(type: string, listener: (event: AnyEvent, from: { readonly runId: string }) => void): () => void;
  /** Waits until something final may have happened to the run: it ended, left this process, or a poll is due. */
  watchEnd(id: string): EndWatch;
  /** Throws when the run waits for a definition that this process does not have. */
  checkClaimable(definition: string, workflow: string, id: string): Promise<void>;
  cancel(id: string): Promise<void>;
}

export class Run<Output> {
  readonly id: string;
  readonly #pawl: RunHome;

  /** Not for use outside: see `pawl.start` and `pawl.run`. */
  constructor(pawl: RunHome, id: string) {
    this.#pawl = pawl;
    this.id = id;
  }

  /**
   * The run's output, once it has ended.
   *
   * @throws PAWL_RUN_FAILED, PAWL_RUN_TIMED_OUT, PAWL_RUN_CANCELLED, PAWL_RUN_QUARANTINED when it ended otherwise,
   * PAWL_DEFINITION_CHANGED or PAWL_DEFINITION_MISSING when it cannot go on here, PAWL_CLOSED, PAWL_STORE_FAILED
   */
  async result(): Promise<Output> {
    const run = await this.ended();
    if (run.status === "completed") return run.output as Output;
    throw endError(run);
  }

  /** What became of the run, once it has ended, however it ended. */
  async ended(): Promise<RunView> {
    for (;;) {
      const watch = this.#pawl.watchEnd(this.id);
      try {
        if (!watch.isUnderWay) {
          const record = await this.#pawl.store.readRun(this.id);
          if (record !== undefined && isOver(record.status)) return await viewRun(this.#pawl.store, record);
          if (record !== undefined) await this.#pawl.checkClaimable(record.definition, record.workflow, this.id);
        }
        await watch.promise;
      } finally {
        watch.forget();
      }
    }
  }

  /** The run as it is stored now. */
  async status(): Promise<RunView> {
    return viewRun(this.#pawl.store, await requireRun(this.#pawl.store, this.id));
  }

  /** Its nodes, in the order of the definition. @throws PAWL_NOT_A_WORKFLOW for a run of a machine */
  nodes(): Promise<NodeView[]> {
    return viewNodes(this.#pawl.store, this.id);
  }

  /** The actors of a machine's run as they were committed last, parents first. @throws PAWL_NOT_A_MACHINE for a run of a workflow */
  async actors(): Promise<ActorView[]> {
    return viewActors(this.#pawl.store, await requireRun(this.#pawl.store, this.id));
  }

  /** What it was defined as, as data: also where its code is not. */
  async definition(): Promise<RunDefinition> {
    return viewDefinition(this.#pawl.store, await requireRun(this.#pawl.store, this.id));
  }

  /** What happened, commit by commit, from the first or after a commit number. */
  history(afterCommitNo = 0): AsyncGenerator<HistoryEntry> {
    return readHistory(this.#pawl.store, this.id, afterCommitNo);
  }

  /** Cancels the run: running attempts are aborted, nothing more starts. Resolves when it is on the disk. */
  cancel(): Promise<void> {
    return this.#pawl.cancel(this.id);
  }
}

function endError(run: RunView): PawlError {
  const { failure } = run;
  const where = failure?.node === undefined ? "" : ` at node "${failure.node}"`;
  if (run.status === "timedOut") return new PawlError("PAWL_RUN_TIMED_OUT", { message: `run "${run.id}" reached its timeout`, data: run });
  if (run.status === "cancelled") return new PawlError("PAWL_RUN_CANCELLED", { message: `run "${run.id}" was cancelled`, data: run });
  if (run.status === "quarantined") return new PawlError("PAWL_RUN_QUARANTINED", { message: `run "${run.id}" was set aside: ${run.reason}`, data: run });
  return new PawlError("PAWL_RUN_FAILED", { message: `run "${run.id}" failed${where}: ${failure?.message ?? "unknown"}`, data: run });
}
