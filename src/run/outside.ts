/**
 * Flows that wait for what is no limit: for a breaker to let something through, or until a service is no longer busy.
 * Meanwhile they want nothing of any limit.
 */
import type { Breakers } from "./breakers.ts";
import type { BusyServices } from "./busy.ts";
import type { Flow } from "./flow.ts";

export class Outside {
  readonly #busy: BusyServices;
  readonly #waiting = new Map<string, Set<Flow>>();
  readonly #goOn: (flows: Iterable<Flow>) => void;

  /** `goOn` is told of those that need not wait here any more. */
  constructor({ breakers, busy }: { readonly breakers: Breakers; readonly busy: BusyServices }, goOn: (flows: Iterable<Flow>) => void) {
    this.#busy = busy;
    this.#goOn = goOn;
    breakers.onChange((name) => this.#isOver(`breaker ${name}`));
    busy.onOver((service) => this.#isOver(`service ${service}`));
  }

  wait(flow: Flow): void {
    const { service, agent, breaker } = flow;
    const isBusy = this.#busy.isBusy(service);
    const what = isBusy ? `service ${service}` : `breaker ${breaker!.name}`;
    if (isBusy) this.#busy.awaits(service, agent.name);
    const flows = this.#waiting.get(what) ?? new Set();
    this.#waiting.set(what, flows.add(flow));
  }

  #isOver(what: string): void {
    const flows = this.#waiting.get(what) ?? [];
    this.#waiting.delete(what);
    this.#goOn(flows);
  }
}
