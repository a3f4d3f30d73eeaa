/**
 * What an opened pawl shows of its process and its store, and lets be set while they run: circuit breakers, limits, workers,
 * metrics, health.
 */
import { oneOf } from "../define/policy.ts";
import type { Store } from "../store/store.ts";
import type { BreakerView } from "./breaker-view.ts";
import type { Counts, CountsOptions } from "./counts.ts";
import type { HealthReport } from "./health.ts";
import type { Home } from "./home.ts";
import { type LimitTarget, type LimitView, changeLimit, viewLimits } from "./limit-view.ts";
import type { Metrics } from "./metering.ts";
import { breakersNow, limitsNow } from "./protection-metrics.ts";
import { type WorkerView, liveWorkers } from "./peers.ts";
import type { Seams } from "./seams.ts";
import type { Worker } from "./worker.ts";

export abstract class Instruments {
  readonly #home: Home;
  readonly #seams: Seams;
  readonly #worker: Worker | undefined;

  constructor(home: Home, seams: Seams, worker: Worker | undefined) {
    this.#home = home;
    this.#seams = seams;
    this.#worker = worker;
  }

  /** The circuit breakers of this store, by name, as its workers share them; in any process. */
  async breakers(): Promise<BreakerView[]> {
    const { viewBreakers } = await import("./breaker-view.ts");
    return viewBreakers(this.#home.store);
  }

  /**
   * Opens or closes a circuit breaker for all workers, whatever calls do, until it is reset.
   *
   * @example
   * ```ts
   * await pawl.forceBreaker('openai', 'open'); // until pawl.resetBreaker('openai')
   * ```
   * @throws PAWL_BREAKER_NOT_FOUND, PAWL_INVALID_VALUE, PAWL_STORE_FULL, PAWL_READ_ONLY, PAWL_CLOSED
   */
  forceBreaker(name: string, to: "open" | "closed"): Promise<BreakerView> {
    return this.#setBreaker(name, oneOf<"open" | "closed">(to, ["open", "closed"], "to", `forceBreaker("${name}")`));
  }

  /**
   * Closes a circuit breaker, as if nothing had failed; from then on calls decide again.
   *
   * @throws as `forceBreaker`
   */
  resetBreaker(name: string): Promise<BreakerView> {
    return this.#setBreaker(name, undefined);
  }

  async #setBreaker(name: string, to: "open" | "closed" | undefined): Promise<BreakerView> {
    this.#home.checkOpen();
    const { forceBreaker } = await import("./breaker-view.ts");
    const view = await forceBreaker(this.#home.store, name, to, this.#seams.clock.now());
    await this.#worker?.protection.refresh();
    return view;
  }

  /**
   * The limits of this store with what is used of them, by name and tenant: those that workers were given and those of agents'
   * `concurrency`, where there are workers, and those that are in use or were set.
   */
  async limits(): Promise<LimitView[]> {
    return viewLimits(this.#looking);
  }

  /**
   * Sets a limit in the place of what the code says, for all workers while they run and those to come: in a hundredth of a
   * second, or when they look. What runs goes on under a lower one. `agent:<name>` is the `concurrency` of an agent.
   *
   * @example
   * ```ts
   * const { used, waiting } = await pawl.setLimit('llmTokens', 20_000);
   * await pawl.setLimit('apiCalls', 5, { tenant: 'acme' });
   * ```
   * @throws PAWL_UNKNOWN_LIMIT, PAWL_INVALID_VALUE (no whole number of at least 1; a tenant too many or too few), PAWL_INVALID_ID,
   * PAWL_STORE_FULL, PAWL_READ_ONLY, PAWL_CLOSED
   */
  async setLimit(name: string, max: number, target: LimitTarget = {}): Promise<LimitView> {
    this.#home.checkOpen();
    return changeLimit(this.#looking, name, max, target);
  }

  /** Takes back what `setLimit` has set: the limit is what the code says. @throws as `setLimit` */
  async resetLimit(name: string, target: LimitTarget = {}): Promise<LimitView> {
    this.#home.checkOpen();
    return changeLimit(this.#looking, name, undefined, target);
  }

  get #looking(): { readonly store: Store; readonly now: () => number; readonly worker: Worker | undefined } {
    const { clock } = this.#seams;
    return { store: this.#home.store, now: () => this.#worker?.steadyNow() ?? clock.now(), worker: this.#worker };
  }

  /** The workers on this store that are there, oldest first. */
  workers(): Promise<WorkerView[]> {
    return liveWorkers(this.#home.store);
  }

  /**
   * What this process has done since it was opened, and how it is: counts of what it has committed, and what is now. Counts of
   * several processes are added up; what is of the store (limits' use, breakers' state, the size of the file) is the same in
   * each. `counts()` (`pawl counts`) counts the rows of the store, of all processes.
   *
   * @example
   * ```ts
   * const { workflows, agents, limits, worker } = await pawl.metrics();
   * console.log(workflows['research']?.failed ?? 0, agents['model']?.running ?? 0, worker.attemptsQueued);
   * console.log(limits['llmTokens']?.utilization, workflows['research']?.nodes['plan']?.completed);
   * ```
   */
  metrics(): Promise<Metrics> {
    const { clock, attempts } = this.#seams;
    const worker = this.#worker;
    const checks = Object.entries(attempts.health?.latest?.checks ?? {}).map(([name, { status }]) => [name, status] as const);
    return attempts.meter!.look({
      at: clock.now(),
      worker: this.#home.workerMetrics,
      limits: worker === undefined ? {} : limitsNow(worker.protection, worker.steadyNow()),
      breakers: worker === undefined ? {} : breakersNow(worker.protection),
      health: Object.fromEntries(checks),
    });
  }

  /**
   * How this process and what it depends on are, asked now: CPU, memory, event loop, disk, store, queue, and the checks that
   * `open()` was given. In a process that executes nothing only the disk, the store and those checks.
   *
   * @example
   * ```ts
   * const { status, recommendations } = await pawl.health();
   * if (status !== 'HEALTHY') console.error(status, recommendations);
   * ```
   * @throws PAWL_CLOSED
   */
  async health(): Promise<HealthReport> {
    this.#home.checkOpen();
    return this.#seams.attempts.health!.look();
  }

  /**
   * `metrics()` as text, as Prometheus reads it (version 0.0.4): answer `/metrics` with it, as `text/plain; version=0.0.4`.
   * examples/guide/metrics.md says which are summed over workers and which are not.
   */
  async metricsText(): Promise<string> {
    return this.#seams.attempts.meter!.text(await this.metrics());
  }

  /**
   * What the rows of the store tell of the newest runs, in whatever process they were: how many of each status, and what became of
   * the nodes of each agent.
   *
   * @throws PAWL_INVALID_VALUE
   */
  async counts(options: CountsOptions = {}): Promise<Counts> {
    const { countRows } = await import("./counts.ts");
    return countRows(this.#home.store, this.#seams.clock, options);
  }
}
