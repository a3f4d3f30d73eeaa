/**
 * Inputs that operators gave to nodes when they had them tried again, instead of what the definition makes of results.
 */
import type { NodeBody } from "./row.ts";

/** The input of a node as text, and which one it is: 2 for the first that was given. */
export interface EditedInput {
  readonly generation: number;
  readonly input: string;
}

export class EditedInputs {
  readonly #byNode = new Map<number, EditedInput>();

  /** As the node's row tells it. */
  restore(index: number, { generation, input }: NodeBody): void {
    if (generation !== undefined && input !== undefined) this.#byNode.set(index, { generation, input });
  }

  of(index: number): EditedInput | undefined {
    return this.#byNode.get(index);
  }
}
