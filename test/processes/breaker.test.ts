/**
 * A circuit breaker that worker processes share, which are killed at any moment: while it is closed, open, or tried by them.
 * The service itself counts who called.
 */
import { afterAll, expect, test } from "vitest";
import type { BreakerView } from "../../src/index.ts";
import type { BreakerRow } from "../../src/run/breaker-row.ts";
import { Crew, type Member } from "./crew.ts";
import { BREAKER, CALLS_MAX, flows } from "./flows.ts";
import { Provider } from "./provider.ts";
import { type Chance, rounds } from "./rounds.ts";
import { Stage, type WorkerOptions } from "./stage.ts";

const CALLS: WorkerOptions = { flows: ["calls"] };
const RUNS = 8;
const crew = new Crew();
afterAll(() => crew.dismiss());

/** An outage of a service that some workers call. */
class Outage {
  readonly #stage: Stage;
  readonly #chance: Chance;
  readonly provider: Provider;
  workers: Member[] = [];
  killed = 0;

  private constructor(stage: Stage, provider: Provider, chance: Chance) {
    this.#stage = stage;
    this.provider = provider;
    this.#chance = chance;
  }

  static async make(chance: Chance, workers: number): Promise<Outage> {
    const outage = new Outage(await Stage.make(crew), await Provider.make(), chance);
    await outage.#hire(workers);
    for (let n = 0; n < RUNS; n++) await outage.#stage.client.start(flows.calls, { id: `calls${n}`, input: { url: outage.provider.url } });
    return outage;
  }

  async #hire(count: number): Promise<void> {
    for (let n = 0; n < count; n++) this.workers.push(await this.#stage.worker(CALLS));
  }

  async breaker(): Promise<BreakerView> {
    return (await this.#stage.client.breakers())[0]!;
  }

  /** How often it became half open: it changes to and fro. */
  get timesTried(): number {
    const [{ body }] = this.#stage.eyes.rows<{ body: string }>("SELECT body FROM shared WHERE key = 'breaker:caller'") as [{ body: string }];
    return Math.ceil(((JSON.parse(body) as { of: BreakerRow }).of.changes - 1) / 2);
  }

  until(condition: () => unknown, what: string): Promise<void> {
    return this.#stage.until(condition, what);
  }

  /** These are killed at once; as many others come. */
  async kill(victims: readonly Member[]): Promise<void> {
    await Promise.all(victims.map((victim) => this.#stage.kill(victim)));
    this.killed += victims.length;
    this.workers = this.workers.filter((worker) => !victims.includes(worker));
    await this.#hire(victims.length);
  }

  /** Those that wait for an answer of the service. */
  get calling(): Member[] {
    const pids = new Set(this.provider.open.map(({ pid }) => pid));
    return this.workers.filter(({ pid }) => pids.has(pid));
  }

  // ---- what may happen

  /** While calls are under way somebody is killed: that says nothing of the service. */
  async cutOff(): Promise<void> {
    await this.until(() => this.provider.open.length >= CALLS_MAX, "calls are under way");
    await this.kill([this.#chance.of(this.calling)]);
    await this.until(() => this.provider.open.length >= CALLS_MAX, "calls are under way again");
    expect(await this.breaker()).toMatchObject({ state: "closed", failures: 0 });
  }

  async breaks(): Promise<void> {
    this.provider.become("down");
    await this.until(async () => (await this.breaker()).state !== "closed", "it opened");
  }

  /** A call that is under way while it is still open was granted before that was known: it fails, or it would hold its permit for ever. */
  async #isTried(): Promise<boolean> {
    const { open } = this.provider;
    const { state } = await this.breaker();
    if (state === "open") this.provider.fail(open);
    return state === "halfOpen" && this.calling.length > 0;
  }

  /** It is tried, and who tries is killed before there is an answer: somebody else tries. */
  async loseProbe(): Promise<void> {
    this.provider.become("silent");
    await this.until(() => this.#isTried(), "somebody tries");
    await this.kill(this.calling);
    await this.until(() => this.calling.length > 0, "somebody else tries");
    this.provider.become("down");
  }

  async loseSomebody(): Promise<void> {
    const before = this.provider.calls.length;
    await this.kill(this.#chance.of([[this.#chance.of(this.workers)], this.workers]));
    await this.until(() => this.provider.calls.length > before, "it was tried");
  }

  /** All know that it is open: it is tried so many times more, and nobody calls but who tries. */
  async isTriedInVain(times: number): Promise<void> {
    const [tried, before] = [this.timesTried, this.provider.calls.length];
    await this.until(() => this.timesTried >= tried + times, "it was tried again and again");
    const calls = this.provider.calls.length - before;
    // one may be under way to it already
    expect(calls).toBeLessThanOrEqual(1 + this.timesTried - tried);
  }

  /** All is well again, and all that was to be done is done. */
  async ends(): Promise<void> {
    this.provider.become("up");
    await this.#stage.finished();
    expect(await this.breaker()).toMatchObject({ state: "closed", failures: 0, openings: 1 });
    await this.#stage.end();
    await this.provider.close();
    const { calls } = this.provider;
    expect(new Set(calls.filter(({ status }) => status === 200).map(({ run }) => run)).size).toBe(RUNS);
  }
}

/** Of each other worker, which does not know yet that it is open, as many calls as may be under way at once, and those granted as they fail. */
const CALLS_BEFORE_IT_IS_KNOWN = 2 * CALLS_MAX;

test("a breaker that worker processes share stays what it is when they are killed, and lets no more through than it should", async () => {
  const seen = { calls: 0, probes: 0, killed: 0 };
  await rounds({ short: 1, long: 100 }, async (chance) => {
    const workers = chance.between(2, 3);
    const outage = await Outage.make(chance, workers);
    await outage.cutOff();
    const before = outage.provider.calls.length - outage.provider.open.length;
    const killedBefore = outage.killed;
    await outage.breaks();
    await outage.loseProbe();
    for (let acts = chance.between(0, 2); acts > 0; acts--) await (chance.of([true, false]) ? outage.loseProbe() : outage.loseSomebody());
    const calls = outage.provider.calls.length - before;
    const probes = outage.timesTried;
    const killed = outage.killed - killedBefore;
    // who is killed while it tries has tried in vain
    expect(calls).toBeLessThanOrEqual(BREAKER.failureThreshold + (workers - 1) * CALLS_BEFORE_IT_IS_KNOWN + probes + killed);
    await outage.isTriedInVain(10);
    await outage.ends();
    for (const [name, count] of Object.entries({ calls, probes, killed })) seen[name as keyof typeof seen] += count;
  });
  console.log(seen);
}, 1_800_000);
