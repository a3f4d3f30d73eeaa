/**
 * The circuit breakers of a worker: may a call be made now, and how did it end. What they are in is in rows that all workers
 * of a store share; here is what this worker knows of those rows, and which probes are its own.
 * 1. A closed breaker costs a look into a map; a success in it is written only when there are failures to forget.
 * 2. No probe is made before the lease that allows it is written. A lease that nobody takes is given back.
 * 3. Lengths are measured by this worker's steady time, laid over the instants of a row when it is seen: however clocks were
 *    set, a breaker is open for `openFor` from when it is seen at most, and never less while this worker sees it.
 */
import type { BreakerEvent } from "../../machines/breaker.ts";
import type { Clock } from "../clock.ts";
import type { Log } from "../define/agent.ts";
import type { BreakerFailure, BreakerPolicy } from "../define/breaker.ts";
import { didYouMean } from "../define/name.ts";
import { PawlError } from "../errors.ts";
import { type BreakerRow, type BreakerTransition, breakerKey, countedFailure, freshRow, isBreakerKey, isWell, nextRow, readBreakerRow } from "./breaker-row.ts";
import { type BreakerView, breakerView, forceEvent } from "./breaker-view.ts";
import type { SharedRows } from "./shared-rows.ts";
import { CLOCK_TOLERANCE_MS } from "./steady-time.ts";

/** While all places are taken a lease is asked for at such intervals: those that have them may be gone. */
export const LEASE_LOOK_MS = 5_000;
/** A lease that was granted and not taken for so long is given back. */
export const LEASE_UNTAKEN_MS = 1_000;
/** A lease is for as long as the attempt may take, or this when that is not known; and never for longer than an hour. */
const LEASE_MS = 300_000;
const LEASE_MAX_MS = 3_600_000;

interface BreakerSeams {
  steadyNow(): number;
  epoch(): number;
  readonly clock: Clock;
  readonly log: Log;
}

/** What people are told of a failure. */
type ToldFailure = Pick<BreakerFailure, "code" | "message">;

/** yes: make the call · probe: make it, as a probe · asks: a lease was asked for, `onChange` tells · no: not now. */
export type Admission = "yes" | "probe" | "asks" | "no";

/** What this worker knows of one. */
interface Known {
  readonly policy: BreakerPolicy;
  row: BreakerRow;
  isSeen: boolean;
  /** What this worker's steady time is behind the row's instants. */
  behindMs: number;
  /** Changes of this worker that are not written yet, and what the row will be with them if nobody else changes it. */
  unwritten: number;
  expected: BreakerRow | undefined;
  /** Somebody waits for what is not written yet. */
  isInDoubt: boolean;
  isAsking: boolean;
  /** The lease that was granted and not taken, and what gives it back. */
  granted: { readonly id: string; readonly cancel: () => void } | undefined;
  /** Probes that were admitted, and when. */
  readonly probes: Map<string, number>;
  /** Nothing is asked for before this instant. */
  askFrom: number;
  /** Somebody was told to wait. */
  isAwaited: boolean;
  cancelWait: (() => void) | undefined;
}

export class Breakers {
  readonly #shared: SharedRows;
  readonly #seams: BreakerSeams;
  readonly #known = new Map<string, Known>();
  readonly #changeListeners = new Set<(name: string) => void>();
  readonly #transitionListeners = new Set<(transition: BreakerTransition) => void>();
  #leases = 0;
  #isStopped = false;

  constructor(shared: SharedRows, seams: BreakerSeams) {
    this.#shared = shared;
    this.#seams = seams;
    shared.onChange((key) => {
      const known = isBreakerKey(key) ? this.#known.get(key.slice(breakerKey("").length)) : undefined;
      if (known !== undefined) this.#see(known);
    });
  }

  /**
   * From now on calls are let through by this breaker. Called when this worker has its epoch, and again as often as one
   * likes. Throws PAWL_BREAKER_CONFLICT when the name has other numbers here.
   */
  declare(policy: BreakerPolicy, place?: string): void {
    const { name } = policy;
    const known = this.#known.get(name);
    if (known !== undefined) {
      if (JSON.stringify(known.policy) !== JSON.stringify(policy)) throw conflict(known.policy, policy, place);
      return;
    }
    const made: Known = {
      policy,
      row: freshRow(policy, this.#seams.steadyNow()),
      isSeen: false,
      behindMs: 0,
      unwritten: 0,
      expected: undefined,
      isInDoubt: false,
      isAsking: false,
      granted: undefined,
      probes: new Map(),
      askFrom: -Infinity,
      isAwaited: false,
      cancelWait: undefined,
    };
    this.#known.set(name, made);
    const stored = readBreakerRow(this.#shared.get(breakerKey(name)));
    if (stored !== undefined) this.#see(made);
    if (JSON.stringify(stored?.policy) === JSON.stringify(policy)) return;
    const at = this.#rowNow(made);
    this.#shared.change(breakerKey(name), (value) => {
      const row = readBreakerRow(value) ?? freshRow(policy, at);
      return { ...row, policy, at: Math.max(row.at, at) };
    });
  }

  /** May this call be made? `timeoutMs` is how long it may take. */
  admit(name: string, timeoutMs?: number): Admission {
    const known = this.#known.get(name);
    if (known === undefined) return "yes";
    if (isWell(known.row.state)) {
      if (known.expected === undefined || isWell(known.expected.state)) return "yes";
      // it is about to open, unless what others wrote keeps it closed
      known.isInDoubt = true;
      return "asks";
    }
    const { granted } = known;
    if (granted !== undefined) {
      granted.cancel();
      known.granted = undefined;
      known.probes.set(granted.id, this.#seams.steadyNow());
      return "probe";
    }
    known.isAwaited = true;
    if (!known.isAsking && this.#mayAsk(known)) this.#ask(known, timeoutMs);
    if (known.isAsking) return "asks";
    this.#wait(known);
    return "no";
  }

  /** A call that was admitted has ended; `failure` is for people. `neither`: it says nothing of the service, or was cut off. */
  ended(name: string, admitted: "yes" | "probe", outcome: "success" | "failure" | "neither", durationMs: number, failure?: ToldFailure): void {
    const known = this.#known.get(name);
    if (known === undefined) return;
    if (admitted === "probe") {
      const at = this.#rowNow(known);
      const probe = takeProbe(known, this.#seams.steadyNow() - durationMs);
      if (probe === undefined) return;
      if (outcome === "neither") this.#change(known, { type: "probe.dropped", at, probe });
      else this.#change(known, { type: outcome === "success" ? "call.succeeded" : "call.failed", at, durationMs, probe }, { failure });
    } else if (outcome !== "neither" && this.#matters(known, outcome))
      this.#change(known, { type: outcome === "success" ? "call.succeeded" : "call.failed", at: this.#rowNow(known), durationMs }, { failure });
  }

  /** What ends while it is not closed began before, and is of no account. */
  #matters({ row, unwritten, policy }: Known, outcome: "success" | "failure"): boolean {
    return row.state === "closed" && (outcome === "failure" || row.failures > 0 || unwritten > 0 || policy.rate !== undefined);
  }

  /** Calls back when something may be admitted that was not: it closed, a lease was granted, or it was open for long enough. */
  onChange(listener: (name: string) => void): void {
    this.#changeListeners.add(listener);
  }

  /** Calls back once for each transition that this worker made, when it is written. */
  onTransition(listener: (transition: BreakerTransition) => void): void {
    this.#transitionListeners.add(listener);
  }

  /** People were told of what it came to by this change. */
  told(name: string, change: number): void {
    const known = this.#known.get(name);
    if (known === undefined) return;
    const at = this.#rowNow(known);
    this.#shared.change<BreakerRow>(breakerKey(name), (row) => row && { ...row, at: Math.max(row.at, at), toldTo: Math.max(row.toldTo ?? 0, change) });
  }

  /** What this worker knows of it; `undefined` when it was not declared here. */
  view(name: string): BreakerView | undefined {
    const known = this.#known.get(name);
    return known && breakerView(known.row);
  }

  /** Those that were declared here, by name. */
  views(): BreakerView[] {
    return [...this.#known.values()].map(({ row }) => breakerView(row)).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Somebody says how it is to be; `undefined`: closed, as if nothing had happened. Throws PAWL_BREAKER_NOT_FOUND. */
  force(name: string, to: "open" | "closed" | undefined): void {
    const known = this.#known.get(name);
    if (known === undefined) throw new PawlError("PAWL_BREAKER_NOT_FOUND", { message: `there is no breaker "${name}"${didYouMean(name, this.#known.keys())}` });
    this.#change(known, forceEvent(to, this.#rowNow(known)));
  }

  /** Another worker is gone: so are its probes, and a lease may be asked for at once. */
  freed(): void {
    for (const known of this.#known.values()) {
      known.askFrom = -Infinity;
      this.#tell(known);
    }
  }

  /** Waits for nothing more. */
  stop(): void {
    this.#isStopped = true;
    for (const known of this.#known.values()) {
      known.cancelWait?.();
      known.granted?.cancel();
    }
  }

  // ---- leases

  #mayAsk(known: Known): boolean {
    const { row, policy, askFrom } = known;
    if (this.#seams.steadyNow() < askFrom) return false;
    return row.state === "halfOpen" || (row.state === "open" && this.#rowNow(known) - row.since >= policy.openForMs);
  }

  #ask(known: Known, timeoutMs = LEASE_MS): void {
    const owner = this.#seams.epoch();
    const id = `${owner}.${++this.#leases}`;
    const at = this.#rowNow(known);
    const lapsesAt = at + Math.min(timeoutMs, LEASE_MAX_MS);
    known.isAsking = true;
    const done = (): void => {
      known.isAsking = false;
      if (known.row.leases.some((lease) => lease.id === id)) this.#granted(known, id);
      else known.askFrom = this.#seams.steadyNow() + LEASE_LOOK_MS;
      this.#tell(known);
    };
    this.#change(known, { type: "probe.asked", at, lease: { id, owner, lapsesAt } }, { done });
  }

  #granted(known: Known, id: string): void {
    const giveBack = (): void => {
      known.granted = undefined;
      this.#change(known, { type: "probe.dropped", at: this.#rowNow(known), probe: id });
    };
    known.granted = { id, cancel: this.#after(LEASE_UNTAKEN_MS, giveBack) };
  }

  // ---- rows

  /** This worker's instant on the time line of the row. */
  #rowNow({ behindMs }: Known): number {
    return this.#seams.steadyNow() + behindMs;
  }

  #change(known: Known, event: BreakerEvent, { done, failure }: { readonly done?: () => void; readonly failure?: ToldFailure | undefined } = {}): void {
    known.unwritten++;
    known.expected = nextRow(known.expected ?? known.row, known.policy, event, () => true).row;
    let transition: BreakerTransition | undefined;
    const change = (value: unknown, isOpen: (epoch: number) => boolean): BreakerRow => {
      const next = nextRow(value, known.policy, event, isOpen);
      transition = next.transition;
      return failure === undefined ? next.row : { ...next.row, lastFailure: countedFailure(failure, next.row.at) };
    };
    this.#shared.change(breakerKey(known.policy.name), change, (isWritten) => {
      if (--known.unwritten === 0) known.expected = undefined;
      if (isWritten && transition !== undefined) this.#made(transition);
      done?.();
      if (known.expected !== undefined || !known.isInDoubt) return;
      known.isInDoubt = false;
      for (const listener of this.#changeListeners) listener(known.policy.name);
    });
  }

  #made(transition: BreakerTransition): void {
    const { name: breaker, from, to, reason } = transition;
    const line = { breaker, from, to, reason };
    if (to === "open") this.#seams.log.warn(line, "a circuit breaker opened");
    else this.#seams.log.info(line, "a circuit breaker changed");
    for (const listener of this.#transitionListeners) listener(transition);
  }

  #see(known: Known): void {
    const row = readBreakerRow(this.#shared.get(breakerKey(known.policy.name))) ?? freshRow(known.policy, this.#rowNow(known));
    const now = this.#seams.steadyNow();
    const aheadMs = row.at - (now + known.behindMs);
    // a row that was just written and says another time was written by another clock; what is found at first may be old
    if (aheadMs > 0 || (known.isSeen && aheadMs < -CLOCK_TOLERANCE_MS)) known.behindMs = row.at - now;
    if (!known.isSeen || gist(row) !== gist(known.row))
      known.askFrom = known.isSeen && row.leases.length >= known.policy.halfOpenMax ? now + LEASE_LOOK_MS : -Infinity;
    known.row = row;
    known.isSeen = true;
    if (known.granted !== undefined && !row.leases.some(({ id }) => id === known.granted!.id)) {
      known.granted.cancel();
      known.granted = undefined;
    }
    this.#tell(known);
  }

  /** Tells who waits when there is no need to any more; else waits on. */
  #tell(known: Known): void {
    known.cancelWait?.();
    known.cancelWait = undefined;
    if (!known.isAwaited || known.isAsking || this.#isStopped) return;
    if (!isWell(known.row.state) && known.granted === undefined && !this.#mayAsk(known)) return this.#wait(known);
    known.isAwaited = false;
    for (const listener of this.#changeListeners) listener(known.policy.name);
  }

  /** Until it has been open for long enough, or it is time to ask whether those that have the places are gone. */
  #wait(known: Known): void {
    const { row, policy, askFrom } = known;
    if (known.cancelWait !== undefined || row.state === "forcedOpen") return;
    const openMs = row.state === "open" ? row.since + policy.openForMs - this.#rowNow(known) : 0;
    const waitMs = Math.max(openMs, askFrom - this.#seams.steadyNow(), 1);
    known.cancelWait = this.#after(Math.ceil(waitMs), () => this.#tell(known));
  }

  #after(delayMs: number, act: () => void): () => void {
    return this.#isStopped ? () => {} : this.#seams.clock.after(delayMs, () => this.#isStopped || act());
  }
}

/** What decides whether a lease is granted: when it is another, it may be asked for at once. */
function gist({ state, since, leases }: BreakerRow): string {
  return `${state} ${since} ${leases.map(({ id }) => id).join()}`;
}

/** The probe that began nearest to this instant: those that lapsed may still be under way. */
function takeProbe({ probes }: Known, beganAt: number): string | undefined {
  let nearest: string | undefined;
  let distance = Infinity;
  for (const [id, admittedAt] of probes)
    if (Math.abs(admittedAt - beganAt) < distance) {
      nearest = id;
      distance = Math.abs(admittedAt - beganAt);
    }
  if (nearest !== undefined) probes.delete(nearest);
  return nearest;
}

function conflict(known: BreakerPolicy, policy: BreakerPolicy, place: string | undefined): PawlError {
  const numbers = (of: BreakerPolicy, field: string): string => JSON.stringify(of[field as keyof BreakerPolicy]) ?? "none";
  const differing = Object.keys({ ...known, ...policy }).filter((field) => numbers(known, field) !== numbers(policy, field));
  const both = differing.map(
    (field) => `${field.replace(/Ms$/, "")} ${numbers(known, field)} and ${numbers(policy, field)}${field.endsWith("Ms") ? " ms" : ""}`,
  );
  return new PawlError("PAWL_BREAKER_CONFLICT", {
    message: `breaker "${policy.name}" is given twice, with ${both.join(", ")}`,
    ...(place !== undefined && { at: place }),
  });
}
