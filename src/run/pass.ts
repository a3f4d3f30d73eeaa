/**
 * What an attempt has that was let through the gate: what it took of limits, and the breaker that watches how it ends.
 */
import type { Failure } from "../../machines/node.ts";
import type { AgentBreaker } from "../define/breaker.ts";
import type { Limit, Taken } from "./limit.ts";

interface PassSeams {
  /** There is more, or less, of this one. */
  touched(limit: Limit): void;
  /** An attempt that a breaker let through has ended. */
  ended(through: Through, ended: Ended): void;
}

/** The breaker that let an attempt through, how, and when. */
export interface Through {
  readonly breaker: AgentBreaker;
  readonly admitted: "yes" | "probe";
  readonly at: number;
}

/** How an attempt ended, as far as it says something of what it called. */
export type Ended = "success" | "neither" | Failure;

/** Leave to begin an attempt, or the reason why it fails without having begun. */
export class Pass {
  /** Why the attempt fails without having begun. */
  readonly refusal: Failure | undefined;
  readonly #seams: PassSeams;
  readonly #through: Through | undefined;
  #taken: readonly Taken[];
  /** Resources of which the attempt said how much it used. */
  readonly #said = new Set<string>();

  constructor(
    seams: PassSeams,
    { taken = [], through, refusal }: { readonly taken?: readonly Taken[]; readonly through?: Through | undefined; readonly refusal?: Failure },
  ) {
    this.#seams = seams;
    this.#taken = taken;
    this.#through = through;
    this.refusal = refusal;
  }

  /** The attempt used so much of this resource. */
  settle(resource: string, amount: number): void {
    this.#said.add(resource);
    this.#taken = this.#taken.map((taken) => {
      if (taken.limit.resource !== resource) return taken;
      const settled = taken.limit.settle(taken, amount);
      this.#seams.touched(taken.limit);
      return settled;
    });
  }

  /** The attempt was sent away: it used nothing but what it said. */
  refund(): void {
    for (const { limit } of this.#taken) if (limit.perMs !== undefined && !this.#said.has(limit.resource)) this.settle(limit.resource, 0);
  }

  /** The attempt has ended. */
  end(ended: Ended): void {
    if (this.#through !== undefined) this.#seams.ended(this.#through, ended);
    for (const taken of this.#taken) {
      taken.limit.giveBack(taken);
      this.#seams.touched(taken.limit);
    }
    this.#taken = [];
  }
}
