/**
 * What protects that which agents use: limits, shared with the other workers, and the gate before which nodes wait for them.
 */
import type { Clock } from "../clock.ts";
import type { Log } from "../define/agent.ts";
import { type LimitsOptions, limitPoliciesOf } from "../define/limits.ts";
import type { Store } from "../store/store.ts";
import { Gate } from "./gate.ts";
import type { HostedRun } from "./hosted-run.ts";
import { Limits } from "./limits.ts";
import { SharedRows } from "./shared-rows.ts";

/** How much of what may be used. */
export interface ProtectionOptions {
  readonly limits?: LimitsOptions | undefined;
}

interface ProtectionSeams {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly now: () => number;
  readonly epoch: () => number;
  /** Something is to be written, or somebody can be granted something. */
  readonly wantsTick: () => void;
}

export class Protection {
  readonly shared: SharedRows;
  readonly limits: Limits;
  readonly gate: Gate;

  readonly #seams: ProtectionSeams;

  constructor(seams: ProtectionSeams, { limits }: ProtectionOptions) {
    this.#seams = seams;
    const { store, clock, log, now, epoch, wantsTick } = seams;
    this.shared = new SharedRows(store, log, { epoch, wantsWrite: wantsTick });
    this.limits = new Limits(limits === undefined ? undefined : limitPoliciesOf(limits), {
      shared: this.shared,
      now,
      epoch,
      after: (ms, call) => clock.after(ms, call),
      changed: (limit) => {
        this.gate.touched(limit);
        wantsTick();
      },
      forgotten: (forgotten) => this.gate.forget(forgotten),
      wantsTick,
    });
    this.gate = new Gate({ limits: this.limits, now, after: (ms, call) => clock.after(ms, call), wantsTick });
  }

  /** The run is no longer here. */
  leave(run: HostedRun): void {
    this.gate.leave(run);
  }

  /** Others have written. */
  refresh(): Promise<void> {
    return this.shared.refresh();
  }

  /** Another worker is gone. */
  freed(): void {
    this.limits.freed();
    this.#seams.wantsTick();
  }

  /** This worker has another epoch, and no runs. */
  lost(): void {
    this.shared.lost();
    this.limits.lost();
  }

  stop(): void {
    this.limits.stop();
    this.gate.stop();
  }
}
