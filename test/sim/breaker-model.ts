/**
 * What a circuit breaker should do, in plain numbers, written apart from the machine and its rows: one breaker, in one place,
 * that sees everything at once. Calls know in which period they began, so no instant has to be compared with another.
 */
import type { BreakerPolicy } from "../../src/define/breaker.ts";

export interface ModelCall {
  readonly worker: number;
  readonly beganAt: number;
  /** Of a call that was let through while it was closed: in which of its periods. */
  readonly period: number;
  readonly lease: ModelLease | undefined;
}

export interface ModelLease {
  readonly worker: number;
  readonly lapsesAt: number;
  isTaken: boolean;
}

export class BreakerModel {
  state = "closed";
  period = 0;
  failures = 0;
  successes = 0;
  leases: ModelLease[] = [];
  dead = new Set<number>();
  readonly changes: string[] = [];
  readonly #policy: BreakerPolicy;
  #openedAt = 0;
  #window: { at: number; failed: boolean; slow: boolean }[] = [];
  /** When a place was freed without anybody's doing, the last time. */
  freedAt = -Infinity;

  constructor(policy: BreakerPolicy) {
    this.#policy = policy;
  }

  #to(state: string, at: number): void {
    if (state !== this.state) this.changes.push(`${this.state} ${state} ${at}`);
    this.state = state;
    this.period++;
    this.successes = 0;
    this.leases = [];
    this.#window = [];
    if (state === "open") this.#openedAt = at;
    if (state === "closed" || state.startsWith("forced")) this.failures = 0;
  }

  lets(): boolean {
    return this.state === "closed" || this.state === "forcedClosed";
  }

  /** Would a lease be granted now? */
  hasPlace(at: number): boolean {
    if (this.state === "open") return at - this.#openedAt >= this.#policy.openForMs;
    if (this.state !== "halfOpen") return false;
    return this.leases.filter(({ worker, lapsesAt }) => !this.dead.has(worker) && at < lapsesAt).length < this.#policy.halfOpenMax;
  }

  grant(worker: number, at: number, timeoutMs: number): ModelLease {
    if (this.state === "open") this.#to("halfOpen", at);
    this.leases = this.leases.filter((lease) => !this.dead.has(lease.worker) && at < lease.lapsesAt);
    const lease = { worker, lapsesAt: at + timeoutMs, isTaken: false };
    this.leases.push(lease);
    return lease;
  }

  giveBack(lease: ModelLease): void {
    this.leases = this.leases.filter((other) => other !== lease);
  }

  ended({ period, lease, beganAt }: ModelCall, outcome: "success" | "failure" | "neither", at: number): void {
    if (lease === undefined) {
      if (this.state === "closed" && period === this.period && outcome !== "neither") this.#count(outcome === "failure", at - beganAt, at);
      return;
    }
    if (!this.leases.includes(lease)) return;
    this.giveBack(lease);
    if (outcome === "failure") this.#to("open", at);
    else if (outcome === "success" && ++this.successes >= this.#policy.successThreshold) this.#to("closed", at);
  }

  #count(failed: boolean, durationMs: number, at: number): void {
    this.failures = failed ? this.failures + 1 : this.failures;
    const tooMany = this.failures >= this.#policy.failureThreshold;
    const failures = this.failures;
    if (tooMany || this.#rateIsOver(failed, durationMs, at)) {
      this.#to("open", at);
      this.failures = failures;
    } else if (!failed) this.failures = 0;
  }

  #rateIsOver(failed: boolean, durationMs: number, at: number): boolean {
    const { rate } = this.#policy;
    if (rate === undefined) return false;
    this.#window.push({ at, failed, slow: rate.slowCallMs !== undefined && durationMs >= rate.slowCallMs });
    if ("calls" in rate.window) this.#window = this.#window.slice(-rate.window.calls);
    else {
      const tenth = rate.window.timeMs / 10;
      this.#window = this.#window.filter((call) => Math.floor(call.at / tenth) > Math.floor(at / tenth) - 10);
    }
    const part = (counts: (call: { failed: boolean; slow: boolean }) => boolean): number => this.#window.filter(counts).length / this.#window.length;
    if (this.#window.length < rate.minimumCalls) return false;
    return part((call) => call.failed) >= rate.failureRate || (rate.slowCallRate !== undefined && part((call) => call.slow) >= rate.slowCallRate);
  }

  force(to: "open" | "closed" | undefined, at: number): void {
    const state = to === undefined ? "closed" : to === "open" ? "forcedOpen" : "forcedClosed";
    if (state !== this.state || to === undefined) this.#to(state, at);
  }
}
