/**
 * The pause of a machine run: whether it stands, and what is kept until it is lifted.
 * 1. Events and timers are kept. 2. What was running outside may end: its result is applied, so that nothing done is lost.
 */
import type { MachineStimulus } from "./stimulus.ts";
import { logicKind } from "./xstate/structure.ts";

/** Events that may be kept; nobody was promised that these are. */
const KEPT_MAX = 10_000;

type Kept = Extract<MachineStimulus, { kind: "event" | "timer" }>;

export class Pause {
  readonly #lost: () => void;
  #isOn = false;
  #asked = 0;
  #kept: Kept[] = [];
  #events = 0;
  #isLifted = false;

  /** `lost` is told of each event that finds no room. */
  constructor(lost: () => void) {
    this.#lost = lost;
  }

  /** The run was paused when it was stored. */
  restore(): void {
    this.#isOn = true;
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** It stands, or somebody has asked for it. */
  get isComing(): boolean {
    return this.#isOn || this.#asked > 0;
  }

  /** There are events that are nowhere else. */
  get hasEvents(): boolean {
    return this.#events > 0;
  }

  /** A pause will be applied. */
  ask(): void {
    this.#asked++;
  }

  /** Says whether it began now. */
  begin(): boolean {
    this.#asked--;
    if (this.#isOn) return false;
    this.#isLifted = false;
    return (this.#isOn = true);
  }

  /** Answers what was kept, in order; undefined when there was no pause. */
  lift(): Kept[] | undefined {
    if (!this.#isOn) return undefined;
    const kept = this.#kept;
    this.#isOn = false;
    this.#isLifted = true;
    this.#kept = [];
    this.#events = 0;
    return kept;
  }

  /** Says once, when that is durable, that it was lifted. */
  takeLifted(): boolean {
    const isLifted = this.#isLifted;
    this.#isLifted = false;
    return isLifted;
  }

  /** Says whether this waits for the end of the pause. */
  keeps(stimulus: MachineStimulus): boolean {
    if (!this.#isOn || !isKept(stimulus)) return false;
    if (stimulus.kind === "event") {
      if (this.#events >= KEPT_MAX && stimulus.item === undefined && stimulus.pending === undefined) {
        this.#lost();
        return true;
      }
      this.#events++;
    }
    this.#kept.push(stimulus);
    return true;
  }
}

function isKept(stimulus: MachineStimulus): stimulus is Kept {
  return stimulus.kind === "timer" || (stimulus.kind === "event" && logicKind(stimulus.to.logic) !== "promise");
}
