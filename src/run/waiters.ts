/**
 * The lines before the limits: for each limit the flows that wait for it, whose turn it is first.
 */
import type { Flow, Place } from "./flow.ts";
import { Heap } from "./heap.ts";
import type { Limit } from "./limit.ts";

export class Waiters {
  readonly #lines = new Map<Limit, Heap<Place>>();

  stand(limit: Limit, place: Place): void {
    let line = this.#lines.get(limit);
    if (line === undefined) this.#lines.set(limit, (line = new Heap((of) => of.flow.placed !== of)));
    line.push(place, place.flow.tag);
  }

  /** Who waits for it, and has not left. */
  first(limit: Limit): Flow | undefined {
    const line = this.#lines.get(limit);
    for (let first = line?.peek(); first !== undefined; first = line!.peek()) {
      if (first.flow.placed === first) return first.flow;
      line!.pop();
    }
    return undefined;
  }

  /** Nobody uses it any more. */
  forget(limit: Limit): void {
    this.#lines.delete(limit);
  }
}
