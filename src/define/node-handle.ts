/**
 * What a definition holds of a node: its id, and a reference to its result. It stands for nothing itself.
 */
import { makeReference } from "./reference.ts";
import type { NodeHandle } from "./workflow.ts";

/** Most results are never referred to: a reference is made when it is asked for. */
export class Handle implements NodeHandle<any> {
  readonly id: string;

  constructor(id: string) {
    this.id = id;
  }

  get result(): any {
    return makeReference(`${this.id}.result`);
  }
}
