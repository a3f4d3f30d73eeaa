/**
 * In which order flows have their turns: each has a tag, and the least comes first. Who was served comes again after a turn
 * of each other that waits; who waits keeps its tag, wherever it is sent meanwhile.
 */
import type { Flow } from "./flow.ts";

export class TurnOrder {
  /** The greatest tag of those that were served. */
  #served = 0;
  #came = 0;

  /** It did not wait for its turn before, and so has none that it did not take. */
  comes(flow: Flow): void {
    this.#standBehind(flow, Math.max(flow.tag, this.#served));
  }

  /** This is its turn. */
  serve(flow: Flow): void {
    this.#served = Math.max(this.#served, flow.tag);
    this.#standBehind(flow, this.#served + flow.places);
  }

  #standBehind(flow: Flow, tag: number): void {
    flow.tag = tag;
    flow.cameAs = ++this.#came;
  }
}
