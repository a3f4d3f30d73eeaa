/**
 * How the process and what it depends on are: checks, asked at intervals, when something went wrong, and before work that
 * wants them.
 * 1. A check has a time of its own; one that hangs or throws is a result, not an error. 2. What work asks is asked once for
 * all who ask within a moment. 3. People are told when it gets worse and when it recovers, and not what they know.
 */
import type { Clock } from "../clock.ts";
import type { Agent, Log } from "../define/agent.ts";
import { type Duration, durationMs } from "../define/duration.ts";
import { type CheckResult, HEALTH_STATUSES, type HealthCheck, type HealthStatus, type TimedHealthCheck } from "../define/health-check.ts";
import { NAME } from "../define/name.ts";
import { AgentError, PawlError } from "../errors.ts";
import type { WorkerMetrics } from "./metering.ts";

/** How health is looked at. */
export interface HealthOptions {
  /** Checks of one's own by their names, beside those of pawl: cpu, memory, eventLoop, disk, store, queue and consistency. */
  readonly checks?: Readonly<Record<string, HealthCheck | TimedHealthCheck>>;
  /** How often all are asked while something runs. Default '5m'. */
  readonly every?: Duration;
}

/** What a check found, and how long that took. */
export interface CheckedHealth {
  readonly status: HealthStatus;
  readonly details: Readonly<Record<string, unknown>>;
  readonly recommendations: readonly string[];
  readonly tookMs: number;
}

/** How it is, check by check. */
export interface HealthReport {
  /** When, in ms since 1970. */
  readonly at: number;
  /** The worst of all checks. */
  readonly status: HealthStatus;
  readonly checks: Readonly<Record<string, CheckedHealth>>;
  /** Of all checks that are not HEALTHY, the worst first. */
  readonly recommendations: readonly string[];
}

/** What is looked at of this process and its store. */
export interface HealthSources {
  readonly isExecuting: boolean;
  worker(): WorkerMetrics;
  /** Reads something from the store. */
  readStore(): Promise<unknown>;
  /** Runs of which memory and store say different things. */
  disagreeing(): readonly string[];
  /** All was looked at. */
  looked(report: HealthReport): void;
  /** The status is another than it was; resolves when people will be told. */
  changed(report: HealthReport, was: HealthStatus): Promise<void>;
}

const EVERY: Duration = "5m";
/** A check that has not answered for so long has failed. */
const CHECK_TIMEOUT_MS = 5_000;
/** What was found is good for so long for work that asks. */
export const FRESH_MS = 10_000;
/** After something went wrong all is looked at, at most so often. */
const AFTER_TROUBLE_MS = 60_000;

const rank = (status: HealthStatus): number => HEALTH_STATUSES.indexOf(status);
const isUnwell = (status: HealthStatus): boolean => rank(status) >= rank("CRITICAL");

interface Known {
  readonly since: number;
  readonly found: Promise<CheckedHealth>;
}

export class Health {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #everyMs: number;
  readonly #custom: ReadonlyMap<string, Required<Pick<TimedHealthCheck, "check">> & { readonly timeoutMs: number }>;
  readonly #makeOwn: (sources: HealthSources) => Readonly<Record<string, HealthCheck>>;
  #own: Readonly<Record<string, HealthCheck>> = {};
  #sources: HealthSources | undefined;
  readonly #known = new Map<Agent | string, Known>();
  /** What people know. */
  #told: HealthStatus = "HEALTHY";
  #latest: HealthReport | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #telling = Promise.resolve();
  #cancelLook: (() => void) | undefined;
  #cancelSoon: (() => void) | undefined;
  #isStopped = false;

  /** Throws PAWL_INVALID_VALUE. `makeOwn` makes the checks of this process. */
  constructor(
    { clock, log }: { readonly clock: Clock; readonly log: Log },
    { checks = {}, every = EVERY }: HealthOptions,
    makeOwn: (sources: HealthSources) => Readonly<Record<string, HealthCheck>>,
  ) {
    this.#clock = clock;
    this.#log = log;
    this.#everyMs = durationMs(every, "health.every", "open()");
    this.#custom = new Map(Object.entries(checks).map(([name, check]) => [name, customCheck(name, check)]));
    this.#makeOwn = makeOwn;
  }

  /** What was found last, if anything was. */
  get latest(): HealthReport | undefined {
    return this.#latest;
  }

  /** In a process that executes it looks by itself from now on. */
  begin(sources: HealthSources): void {
    this.#sources = sources;
    this.#own = this.#makeOwn(sources);
    if (sources.isExecuting) this.#lookLater();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelLook?.();
    this.#cancelSoon?.();
  }

  #lookLater(): void {
    if (this.#isStopped) return;
    this.#cancelLook = this.#clock.after(this.#everyMs, () => {
      if (this.#sources!.worker().runsInMemory > 0) this.#lookBeside();
      this.#lookLater();
    });
  }

  /** Something went wrong, takes long, or was recovered: it is looked, now or when that was not done a moment ago. */
  troubled(): void {
    if (this.#isStopped || this.#sources?.isExecuting !== true || this.#cancelSoon !== undefined) return;
    const waitMs = Math.max(0, this.#lookedAt + AFTER_TROUBLE_MS - this.#clock.mono());
    this.#cancelSoon = this.#clock.after(waitMs, () => {
      this.#cancelSoon = undefined;
      this.#lookBeside();
    });
  }

  #lookBeside(): void {
    this.look().catch((error: unknown) => this.#log.warn({ error }, "health will be looked at again"));
  }

  /** Asks all checks, now. */
  async look(): Promise<HealthReport> {
    this.#lookedAt = this.#clock.mono();
    const own = Object.entries(this.#own).map(([name, check]) => [name, { check, timeoutMs: CHECK_TIMEOUT_MS }] as const);
    const all = await Promise.all([...own, ...this.#custom].map(async ([name, { check, timeoutMs }]) => [name, await this.#ask(check, timeoutMs)] as const));
    const worstFirst = all.toSorted(([, a], [, b]) => rank(b.status) - rank(a.status));
    const recommendations = [...new Set(worstFirst.flatMap(([, found]) => (found.status === "HEALTHY" ? [] : found.recommendations)))];
    const report = { at: this.#clock.now(), status: worstFirst[0]?.[1].status ?? "HEALTHY", checks: Object.fromEntries(all), recommendations };
    this.#latest = report;
    if (!this.#isStopped) this.#sources?.looked(report);
    await (this.#telling = this.#telling.then(() => this.#tell(report)));
    return report;
  }

  async #tell(report: HealthReport): Promise<void> {
    const was = this.#told;
    if (report.status === was || this.#sources === undefined || this.#isStopped) return;
    this.#told = report.status;
    await this.#sources.changed(report, was).catch((error: unknown) => {
      this.#told = was;
      this.#log.warn({ error }, "it will be told with the next look");
    });
  }

  // ---- for work

  /** Throws when the check that this work wants says that there should be none now: AgentError, PAWL_HEALTH_CHECK_MISSING. */
  async require(agent: Agent, healthCheck: true | string): Promise<void> {
    const name = healthCheck === true ? agent.name : healthCheck;
    const found = healthCheck === true ? await this.ofAgent(agent) : await this.#named(healthCheck);
    if (found === undefined || !isUnwell(found.status)) return;
    throw new AgentError(`the health check "${name}" says ${found.status}${reasonOf(found)}`, { kind: "resource", code: "PAWL_UNHEALTHY" });
  }

  /** Throws PAWL_UNHEALTHY when one of these agents, or of these checks, is unwell; names each. */
  async preflight(agents: readonly Agent[], names: readonly string[]): Promise<void> {
    const asked = [
      ...agents.map(async (agent) => ({ check: `agent ${agent.name}`, found: await this.ofAgent(agent) })),
      ...names.map(async (name) => ({ check: name, found: await this.#named(name) })),
    ];
    const unwell = (await Promise.all(asked)).flatMap(({ check, found }) => (found !== undefined && isUnwell(found.status) ? [{ check, ...found }] : []));
    if (unwell.length === 0) return;
    const list = unwell.map((found) => `${found.check} is ${found.status}${reasonOf(found)}`).join("; ");
    const [first] = unwell.flatMap(({ recommendations }) => recommendations);
    throw new PawlError("PAWL_UNHEALTHY", { message: `nothing was started: ${list}`, data: unwell, ...(first !== undefined && { next: first }) });
  }

  async ofAgent(agent: Agent): Promise<CheckedHealth | undefined> {
    const { healthCheck } = agent;
    return healthCheck && this.#fresh(agent, () => this.#ask(healthCheck, CHECK_TIMEOUT_MS));
  }

  async #named(name: string): Promise<CheckedHealth> {
    const custom = this.#custom.get(name) ?? (Object.hasOwn(this.#own, name) ? { check: this.#own[name]!, timeoutMs: CHECK_TIMEOUT_MS } : undefined);
    if (custom === undefined) throw new PawlError("PAWL_HEALTH_CHECK_MISSING", { message: `there is no health check "${name}"` });
    return this.#fresh(name, () => this.#ask(custom.check, custom.timeoutMs));
  }

  #fresh(of: Agent | string, ask: () => Promise<CheckedHealth>): Promise<CheckedHealth> {
    const now = this.#clock.mono();
    const known = this.#known.get(of);
    if (known !== undefined && now - known.since < FRESH_MS) return known.found;
    const found = ask();
    this.#known.set(of, { since: now, found });
    return found;
  }

  /** Never rejects. */
  async #ask(check: HealthCheck, timeoutMs: number): Promise<CheckedHealth> {
    const abort = new AbortController();
    const since = this.#clock.mono();
    const late = Promise.withResolvers<never>();
    late.promise.catch(() => {});
    const cancel = this.#clock.after(timeoutMs, () => (late.reject(new Error(`it did not answer within ${timeoutMs} ms`)), abort.abort()));
    let found: CheckResult;
    try {
      found = checkedResult(await Promise.race([late.promise, (async () => check({ signal: abort.signal }))()]));
    } catch (error) {
      found = { status: "FAILED", details: { error: error instanceof Error ? error.message : "it threw something that is no error" } };
    }
    cancel();
    const { status, details = {}, recommendations = [] } = found;
    return { status, details, recommendations, tookMs: this.#clock.mono() - since };
  }
}

function customCheck(name: string, given: HealthCheck | TimedHealthCheck): { readonly check: HealthCheck; readonly timeoutMs: number } {
  const { check, timeout } = typeof given === "function" ? { check: given } : given;
  if (typeof check === "function" && NAME.test(name))
    return { check, timeoutMs: timeout === undefined ? CHECK_TIMEOUT_MS : durationMs(timeout, "timeout", name) };
  throw new PawlError("PAWL_INVALID_VALUE", { message: `the health check "${name}" is no function, or its name cannot be used` });
}

function checkedResult(result: CheckResult): CheckResult {
  if (typeof result !== "object" || result === null || !HEALTH_STATUSES.includes(result.status)) throw new Error("it answered without a status");
  const { status, details, recommendations = [] } = result;
  return { status, recommendations: recommendations.map(String), ...(typeof details === "object" && details !== null && { details }) };
}

function reasonOf({ details }: CheckedHealth): string {
  return typeof details["error"] === "string" ? ` (${details["error"]})` : "";
}
