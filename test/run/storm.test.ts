/**
 * Many tenants want more of a service than it gives, in simulated time: who gets how much, and how much of it is used.
 */
import { expect, test } from "vitest";
import { agent } from "../../src/define/agent.ts";
import { AgentError } from "../../src/errors.ts";
import type { LimitsOptions } from "../../src/define/limits.ts";
import { z } from "zod";
import { MachineRoom, anyWorkflow } from "../sim/machine-room.ts";
import type { SimProcess } from "../sim/process.ts";

const TENANTS = 50;
const WINDOW_MS = 60_000;
const WINDOWS = process.env["PAWL_CASES"] === "long" ? 8 : 3;
const QUOTA = 200;
const CALL_MS = 1_000;
const REFUSED_MS = 20;
/** Some want little, some much, some very much. */
const WANTED = [6, 40 * WINDOWS, 10 * WINDOWS] as const;
const TENANT_NUMBERS = Array.from({ length: TENANTS }, (_, tenant) => tenant);

interface Call {
  readonly at: number;
  readonly tenant: number;
}

/** A service that answers so many calls within a minute, whichever; and to others 429, with when it will again. */
class Service {
  readonly served: Call[] = [];
  readonly refused: Call[] = [];
  readonly #room: MachineRoom;
  readonly #quota: number;

  constructor(room: MachineRoom, quota: number) {
    this.#room = room;
    this.#quota = quota;
  }

  get now(): number {
    return this.#room.clock.mono();
  }

  async answer(tenant: number): Promise<void> {
    const { now: at } = this;
    const first = this.served.at(-this.#quota);
    const isFull = first !== undefined && first.at > at - WINDOW_MS;
    (isFull ? this.refused : this.served).push({ at, tenant });
    await new Promise<void>((resolve) => this.#room.clock.after(isFull ? REFUSED_MS : CALL_MS, resolve));
    if (!isFull) return;
    // the header has whole seconds
    const seconds = Math.ceil((first.at + WINDOW_MS - this.now) / 1_000);
    throw new AgentError("429 Too Many Requests", { kind: "resource", retryAfterMs: Math.max(1, seconds) * 1_000 });
  }

  /** The least that was used of its quota in any of the minutes, as a part of 1. */
  leastUsed(): number {
    const used = Array.from({ length: WINDOWS }, (_, n) => this.served.filter(({ at }) => Math.floor(at / WINDOW_MS) === n).length);
    return Math.min(...used) / this.#quota;
  }

  /** What the tenant with the least of its fair share got of it, as a part of 1. */
  leastShare(wanted: readonly number[], capacity: number): number {
    const fair = fairShares(wanted, capacity);
    return Math.min(...TENANT_NUMBERS.map((of) => this.served.filter(({ tenant }) => tenant === of).length / fair[of]!));
  }
}

/** Nobody gets more than it wants, and what some do not need is divided among the others. */
function fairShares(wanted: readonly number[], capacity: number): number[] {
  const shares: number[] = [];
  let left = capacity;
  const order = [...wanted.keys()].toSorted((a, b) => wanted[a]! - wanted[b]!);
  for (const [n, tenant] of order.entries()) {
    shares[tenant] = Math.min(wanted[tenant]!, left / (order.length - n));
    left -= shares[tenant];
  }
  return shares;
}

interface Scene {
  /** So many calls within a minute. */
  readonly quota: number;
  /** So many at the same time. Default: so many that it does not matter. */
  readonly concurrency?: number;
  readonly limits?: LimitsOptions;
  /** How many runs each tenant has at each worker. */
  readonly runsAt: readonly ((tenant: number) => number)[];
}

/** All of it is wanted at once, in one run or several of each tenant. */
async function play({
  quota,
  concurrency = 20,
  limits,
  runsAt,
}: Scene): Promise<{ readonly service: Service; readonly leastShare: number; readonly failed: number }> {
  const room = new MachineRoom();
  const service = new Service(room, quota);
  const it = agent({
    name: "service",
    input: z.any(),
    output: z.any(),
    concurrency,
    ...(limits !== undefined && { uses: { calls: 1 } }),
    breaker: true,
    run: (tenant: number) => service.answer(tenant),
  });
  const flows = WANTED.map((wanted) =>
    anyWorkflow(`wants${wanted}`, (wf) => {
      for (let n = 0; n < wanted; n++) wf.node(`n${n}`, it, wf.input.tenant);
    }),
  );
  const workers: SimProcess[] = [];
  for (const seed of runsAt.keys()) workers.push(await room.boot(flows, { seed, ...(limits !== undefined && { limits }) }));
  const starts = workers.flatMap(({ pawl }, at) =>
    TENANT_NUMBERS.flatMap((tenant) =>
      Array.from({ length: runsAt[at]!(tenant) }, (_, n) =>
        pawl.start(flows[tenant % WANTED.length]!, { id: `r${tenant}-${at}-${n}`, input: { tenant }, tenant: `t${tenant}` }),
      ),
    ),
  );
  const runs = await room.settled(Promise.all(starts));
  await room.clock.advance(WINDOWS * WINDOW_MS - service.now);
  let failed = 0;
  for (const run of runs) failed += (await run.nodes()).filter(({ status }) => status === "failed").length;
  const wanted = TENANT_NUMBERS.map((tenant) => runsAt.reduce((sum, runs) => sum + runs(tenant), 0) * WANTED[tenant % WANTED.length]!);
  return { service, leastShare: service.leastShare(wanted, WINDOWS * Math.min(quota, (concurrency * WINDOW_MS) / CALL_MS)), failed };
}

const limits: LimitsOptions = { calls: { max: QUOTA, per: "60s" } };
const one = (): number => 1;
const isApart = (tenant: number): boolean => tenant % 10 === 1;
const PLACES = {
  "by one worker": [one],
  "by two workers, of which one has a few tenants": [(tenant: number) => (isApart(tenant) ? 1 : 0), (tenant: number) => (isApart(tenant) ? 0 : 1)],
  "by two workers, of which both have most of the tenants": [one, (tenant: number) => (isApart(tenant) ? 0 : 1)],
} as const;
const HALVES = [(tenant: number) => tenant % 2, (tenant: number) => (tenant + 1) % 2];

for (const [place, runsAt] of Object.entries(PLACES))
  test(`${place}: each tenant gets its part of what there is, nothing is left over, and nobody is refused`, async () => {
    const { service, leastShare } = await play({ quota: QUOTA, limits, runsAt });
    expect(service.refused).toHaveLength(0);
    expect(service.leastUsed()).toBeGreaterThanOrEqual(0.9);
    expect(leastShare).toBeGreaterThanOrEqual(0.8);
  });

test("what is held is dealt out by tenants, too, however few places there are and however unlike the workers", async () => {
  const runsAt = PLACES["by two workers, of which one has a few tenants"];
  const { leastShare } = await play({ quota: 10_000, concurrency: 2, runsAt });
  expect(leastShare).toBeGreaterThanOrEqual(0.8);
});

for (const { what, quota, given, runsAt } of [
  { what: "one worker believes that there is a little more than there is", quota: 0.9 * QUOTA, given: limits, runsAt: [one] },
  { what: "two workers believe that there is a little more than there is", quota: 0.9 * QUOTA, given: limits, runsAt: HALVES },
  { what: "nobody has said how much there is", quota: QUOTA, given: undefined, runsAt: HALVES },
])
  test(`${what}: who is sent away holds back all others, so that each tenant gets its part, and nothing fails`, async () => {
    const { service, leastShare, failed } = await play({ quota, ...(given && { limits: given }), runsAt });
    expect(service.leastUsed()).toBeGreaterThanOrEqual(0.9);
    expect(leastShare).toBeGreaterThanOrEqual(0.8);
    // each minute those that were under way when the first one was sent away
    expect(service.refused.length).toBeLessThanOrEqual(20 * WINDOWS);
    expect(failed).toBe(0);
  });
