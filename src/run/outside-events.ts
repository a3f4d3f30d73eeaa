/**
 * What actors of a machine run say outside of its turns: from actions of a commit, from promises and callbacks.
 * Who speaks to a run that left memory is heard by the one that is there now.
 */
import { PawlError } from "../errors.ts";
import type { ActorTable } from "./actor-table.ts";
import type { RunSeams } from "./hosted-run.ts";
import { type MachineStimulus, fromOutside, outsideText } from "./stimulus.ts";
import type { Actor, AnyEvent } from "./xstate/actor.ts";
import { RunAddress } from "./xstate/effects.ts";

interface Hearer {
  readonly runId: string;
  /** It left memory. */
  isDropped(): boolean;
  readonly table: ActorTable;
  readonly strayed: RunSeams["strayed"];
  receive(stimulus: MachineStimulus): void;
  emitted(event: AnyEvent): void;
}

export class OutsideEvents {
  readonly #run: Hearer;
  /** Of a run that was only computed again: the run that is meant. */
  original: OutsideEvents | undefined;

  constructor(run: Hearer) {
    this.#run = run;
  }

  sent(to: Actor | RunAddress, event: AnyEvent): void {
    const { runId, table } = this.#run;
    if (this.#run.isDropped()) return to instanceof RunAddress ? undefined : this.#run.strayed(runId, to.key, () => outsideText(event, table));
    if (to instanceof RunAddress)
      throw new PawlError("PAWL_VALUE_NOT_STORABLE", { message: "another run can only be sent to by sendTo(), not from an action" });
    if (this.original !== undefined) return this.original.forwarded(to.key, () => outsideText(event, table));
    this.#run.receive(fromOutside(to, event, table));
  }

  emitted(event: AnyEvent): void {
    if (this.original !== undefined) this.original.emitted(event);
    else if (!this.#run.isDropped()) this.#run.emitted(event);
  }

  forwarded(key: string, encoded: () => string): void {
    const { runId, table } = this.#run;
    if (this.#run.isDropped()) return this.#run.strayed(runId, key, encoded);
    this.#run.receive({ kind: "event", to: table.actorAt(key), event: encoded() });
  }
}
