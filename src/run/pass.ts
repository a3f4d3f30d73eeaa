/**
 * What an attempt has that was let through the gate: what it took of limits, and the breaker that watches how it ends.
 */
import type { Failure } from "../../machines/node.ts";
import type { AgentBreaker } from "../define/breaker.ts";
import type { Limit, Taken } from "./limit.ts";

interface PassSeams {
  /** There is more, or less, of this one. */
  touched(limit: Limit): void;
  /** An attempt that goes on has said how much of it it used. */
  settled(limit: Limit): void;
  /** An attempt that a breaker let through has ended; answers what that is to the breaker. */
  ended(through: Through, ended: Ended): Outcome;
}

export type Outcome = "success" | "failure" | "neither";

/** How long a node has waited for leave, and for which limit, if it was one. */
export interface Waited {
  readonly ms: number;
  readonly lacked: Limit | undefined;
}

/** The breaker that let an attempt through, how, and when. */
export interface Through {
  readonly breaker: AgentBreaker;
  readonly admitted: "yes" | "probe";
  readonly at: number;
}

/** How an attempt ended, as far as it says something of what it called. */
export type Ended = "success" | "neither" | Failure;

interface PassParts {
  readonly taken?: readonly Taken[];
  readonly through?: Through | undefined;
  readonly refusal?: Failure;
  readonly refusedBy?: Limit | undefined;
}

/** Leave to begin an attempt, or the reason why it fails without having begun. */
export class Pass {
  /** Why the attempt fails without having begun. */
  readonly refusal: Failure | undefined;
  /** The limit that has refused it, if one has. */
  readonly refusedBy: Limit | undefined;
  waited: Waited | undefined;
  readonly #seams: PassSeams;
  #through: Through | undefined;
  #outcome: { readonly breaker: string; readonly succeeded: boolean } | undefined;
  #taken: readonly Taken[];

  constructor(seams: PassSeams, { taken = [], through, refusal, refusedBy }: PassParts) {
    this.#seams = seams;
    this.#taken = taken;
    this.#through = through;
    this.refusal = refusal;
    this.refusedBy = refusedBy;
  }

  /** What it has of limits. */
  get limits(): readonly Limit[] {
    return this.#taken.map(({ limit }) => limit);
  }

  /** What its end was to the breaker that let it through; undefined when it says nothing of the service. */
  get outcome(): { readonly breaker: string; readonly succeeded: boolean } | undefined {
    return this.#outcome;
  }

  /** The attempt is about to make its call: what it uses within a time is used now. */
  begin(): void {
    for (const taken of this.#taken) if (taken.limit.begin(taken)) this.#seams.settled(taken.limit);
  }

  /** The attempt used so much of this resource. */
  settle(resource: string, amount: number): void {
    for (const taken of this.#taken) {
      if (taken.limit.resource !== resource) continue;
      taken.limit.settle(taken, amount);
      this.#seams.settled(taken.limit);
    }
  }

  /** The attempt was sent away: it used nothing but what it said. */
  refund(): void {
    for (const { limit, isSettled } of this.#taken) if (limit.perMs !== undefined && !isSettled) this.settle(limit.resource, 0);
  }

  /** The attempt has ended; told again, nothing happens. */
  end(ended: Ended): void {
    const through = this.#through;
    this.#through = undefined;
    const outcome = through === undefined ? "neither" : this.#seams.ended(through, ended);
    if (outcome !== "neither") this.#outcome = { breaker: through!.breaker.name, succeeded: outcome === "success" };
    for (const taken of this.#taken) {
      taken.limit.giveBack(taken);
      this.#seams.touched(taken.limit);
    }
    this.#taken = [];
  }
}
