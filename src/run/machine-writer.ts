/**
 * What of a machine run is to be written: the rows of actors that changed and those that go, a cascade that does not
 * rest, and the redo record of acts that may not be done before the process dies.
 * 1. A stopped actor's row stays until the cascade rests: its children find their logic through it.
 * 2. The redo record goes with the first commit after its acts were done.
 */
import { type PawlError, isPawlError } from "../errors.ts";
import type { ActorRecord, KeepPast, StoredActor } from "../store/store.ts";
import type { ActorTable } from "./actor-table.ts";
import type { Frame } from "./cascade.ts";
import type { MachineDefinition } from "./machine-definition.ts";
import { type Redo, oldRows, redoText } from "./redo.ts";
import { CASCADE_KEY, REDO_KEY, valueRow } from "./row.ts";
import { framesText, takeUnstorable } from "./spill.ts";
import { type MachineStimulus, textOf } from "./stimulus.ts";
import type { Actor } from "./xstate/actor.ts";

/** Rows of one commit. */
interface Written {
  readonly actors: ActorRecord[];
  readonly gone: string[];
}

export class MachineWriter {
  readonly #runId: string;
  readonly #table: ActorTable;
  readonly #changed = new Set<Actor>();
  readonly #gone = new Set<Actor>();
  #values: ActorRecord[] = [];
  #written: Actor[] = [];
  #stimuli: MachineStimulus[] = [];
  #sequenceBefore: number;
  #isFirst: boolean;
  #isMigrated = false;
  #cascade: string | undefined;
  redo: Redo | undefined;

  constructor(runId: string, table: ActorTable, sequence: number, isFirst: boolean) {
    this.#runId = runId;
    this.#table = table;
    this.#sequenceBefore = sequence;
    this.#isFirst = isFirst;
  }

  get isDirty(): boolean {
    return this.#changed.size > 0 || this.#values.length > 0;
  }

  /** Another definition takes the run over: what it was before cannot be read by this one. */
  migrated(): void {
    this.#isMigrated = true;
    this.changed(this.#table.root);
  }

  /** At which commits back the rows are kept as they were. */
  takePast({ keepCheckpoints: commits, checkpointEvery: every }: Pick<MachineDefinition, "keepCheckpoints" | "checkpointEvery">): {
    readonly keepPast?: KeepPast;
  } {
    const isKept = commits > 0 && !this.#isMigrated;
    this.#isMigrated = false;
    return isKept ? { keepPast: { commits, every } } : {};
  }

  changed(actor: Actor): void {
    this.#changed.add(actor);
  }

  /** The turn that made it failed. */
  neverWas(actor: Actor): void {
    this.#changed.delete(actor);
  }

  removed(actor: Actor): void {
    this.#gone.add(actor);
  }

  applied(stimulus: MachineStimulus): void {
    this.#stimuli.push(stimulus);
  }

  value(key: string, text: string): void {
    this.#values.push(valueRow(this.#runId, key, text));
  }

  /** What the store has of a run that comes back. */
  restored(cascade: string | undefined, redo: string | undefined, rows: readonly StoredActor[]): void {
    this.#cascade = cascade;
    if (redo !== undefined) this.redo = { text: redo, rows };
    for (const actor of this.#table.actors.values()) if (actor.life === "stopped" && actor !== this.#table.root) this.#gone.add(actor);
  }

  /** The rows of what changed; `mend` is told of each actor whose state cannot be stored, and sees to it that it can. */
  rows(cascade: { readonly stack: readonly Frame[] }, mend: (actor: Actor, error: PawlError) => void): ActorRecord[] {
    for (;;) {
      const rows = this.#tryRows(cascade.stack);
      if (Array.isArray(rows)) return rows;
      mend(rows.actor, rows.error);
    }
  }

  /** The rows of the actors that changed; or the first whose state cannot be stored, with the error that says so. */
  #tryRows(stack: readonly Frame[]): ActorRecord[] | { readonly actor: Actor; readonly error: PawlError } {
    const isAtRest = stack.length === 0;
    const rows: ActorRecord[] = [];
    const refused = isAtRest ? undefined : takeUnstorable(stack, this.#table);
    if (refused !== undefined) return refused;
    for (const actor of this.#changed) {
      if (this.#gone.has(actor) && isAtRest) continue;
      if (actor.parent?.life === "new") continue;
      try {
        rows.push(this.#table.rowOf(this.#runId, actor));
      } catch (error) {
        if (!isPawlError(error)) throw error;
        return { actor, error };
      }
    }
    return rows;
  }

  /** Everything that the next commit writes. `stack` is what of a cascade is still to come. */
  take(actors: readonly ActorRecord[], stack: readonly Frame[], sequence: number, hasActs: boolean): Written {
    const isAtRest = stack.length === 0;
    const goneActors = isAtRest ? [...this.#gone].filter(({ row }) => row !== undefined) : [];
    const written: Written = { actors: [...this.#values, ...actors], gone: goneActors.map(({ key }) => key) };
    const isForgetting = this.redo !== undefined;
    this.redo = hasActs ? { text: this.#redoText(goneActors) } : undefined;
    if (this.redo !== undefined) written.actors.push(valueRow(this.#runId, REDO_KEY, this.redo.text));
    else if (isForgetting) written.gone.push(REDO_KEY);
    if (!isAtRest) written.actors.push(valueRow(this.#runId, CASCADE_KEY, (this.#cascade = framesText(stack, this.#table))));
    else if (this.#cascade !== undefined) {
      this.#cascade = undefined;
      written.gone.push(CASCADE_KEY);
    }
    this.#remember(actors, isAtRest, sequence);
    return written;
  }

  #redoText(goneActors: readonly Actor[]): string {
    const before = { rows: oldRows(this.#changed, goneActors), cascade: this.#cascade, sequence: this.#sequenceBefore };
    const stimuli = this.#stimuli.map((stimulus) => textOf(stimulus, this.#table));
    return redoText(stimuli, before, this.#isFirst);
  }

  /** The rows are in the order of the actors that changed; some of these have none. */
  #remember(rows: readonly ActorRecord[], isAtRest: boolean, sequence: number): void {
    let at = 0;
    for (const actor of this.#changed) if (rows[at]?.key === actor.key) actor.row = rows[at++]!;
    this.#written = [...this.#changed];
    this.#changed.clear();
    if (isAtRest) {
      for (const actor of this.#gone) this.#table.forget(actor);
      this.#gone.clear();
    }
    this.#values = [];
    this.#stimuli = [];
    this.#sequenceBefore = sequence;
    this.#isFirst = false;
  }

  /** What was taken is durable. */
  committed(): void {
    for (const actor of this.#written) actor.committed = actor.snapshot;
    this.#written = [];
  }
}
