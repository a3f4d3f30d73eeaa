/**
 * How often a circuit breaker opens though its service is as it always is, and how soon when it is down; and how many failures
 * retries make up for. Its figures are those of the comments in `BreakerOptions`.
 */
import { expect, test } from "vitest";
import { type BreakerOptions, breakerOf } from "../../src/define/breaker.ts";
import { type BreakerRow, freshRow, nextRow } from "../../src/run/breaker-row.ts";
import { MachineRoom, anyAgent, anyWorkflow } from "../sim/machine-room.ts";
import { seededRandom } from "../sim/random.ts";

const CALL_EVERY_MS = 1_000;
const CALL_MS = 100;

/** Calls of a service, one each second, of which so large a part fails by chance. */
class Service {
  readonly #policy;
  row: BreakerRow;
  made = 0;
  refused = 0;
  #at = 0;

  constructor(options: BreakerOptions) {
    this.#policy = { name: "service", ...breakerOf(options, "test").policy };
    this.row = freshRow(this.#policy, 0);
  }

  #tell(event: Parameters<typeof nextRow>[2]): void {
    this.row = nextRow(this.row, this.#policy, event, () => true).row;
  }

  call(fails: boolean): void {
    const at = (this.#at += CALL_EVERY_MS);
    const ended = { type: fails ? "call.failed" : "call.succeeded", at: at + CALL_MS, durationMs: CALL_MS } as const;
    if (this.row.state !== "closed") {
      const probe = String(at);
      this.#tell({ type: "probe.asked", at, lease: { id: probe, owner: 1, lapsesAt: at + 2 * CALL_MS } });
      if (this.row.leases.length === 0) return void this.refused++;
      this.#tell({ ...ended, probe });
    } else if (fails || this.row.failures > 0 || this.#policy.rate !== undefined) this.#tell(ended);
    this.made++;
  }
}

/** The same numbers each time, so that the comments can name them. */
const SEED = 7;
const isLong = process.env["PAWL_CASES"] === "long";

/** Calls of a service of which so large a part fails by chance. */
function played(options: BreakerOptions, failing: number, calls: number): Service {
  const [service, random] = [new Service(options), seededRandom(SEED)];
  for (let n = 0; n < calls; n++) service.call(random.next() < failing);
  console.log(`${JSON.stringify(options)}: ${failing * 100} % of ${calls} calls fail; opened ${service.row.openings} times, refused ${service.refused}`);
  return service;
}

const LONGER_ROWS = { failureThreshold: 10 } satisfies BreakerOptions;
const BY_RATES = { failureThreshold: 20, rate: {} } satisfies BreakerOptions;

test("of a service of which one call in ten fails by chance less than one call in a hundred is refused by default", () => {
  const calls = isLong ? 100_000 : 10_000;
  expect(played({}, 0.05, calls).refused).toBe(0);
  expect(played({}, 0.1, calls).refused / calls).toBeLessThan(0.01);
});

test("if it is one in five, some three in a hundred are refused by default, and none with other numbers", () => {
  const calls = isLong ? 100_000 : 10_000;
  expect(played({}, 0.2, calls).refused / calls).toBeLessThan(0.06);
  expect(played(LONGER_ROWS, 0.2, calls).refused).toBe(0);
  // a rate is made of all calls, and takes longer to play
  expect(played(BY_RATES, 0.2, isLong ? 100_000 : 3_000).refused).toBe(0);
});

test("what is down is found out after as many calls as may fail in a row, or as fill half of the window", () => {
  const found = (options: BreakerOptions, failing: number): number => {
    const service = played(options, 0.05, 1_000);
    const random = seededRandom(SEED);
    const { made } = service;
    while (service.row.state === "closed") service.call(random.next() < failing);
    return service.made - made;
  };
  expect([{}, LONGER_ROWS, BY_RATES].map((options) => found(options, 1))).toEqual([5, 10, 20]);
  // of a service that answers one call in three, rows of failures are short
  expect(found(BY_RATES, 0.67)).toBeLessThan(100);
});

test.each([1, 2])("of nodes whose first attempt failed by chance 95 % complete by retries, with a breaker before them (workers: %i)", async (workers) => {
  const random = seededRandom(SEED);
  const fails = (): void => {
    if (random.next() < 0.15) throw new Error("by chance");
  };
  const flaky = anyAgent("flaky", fails, { breaker: { ...LONGER_ROWS, onOpen: "wait" } });
  const flow = anyWorkflow("flow", (wf) => {
    for (let n = 0; n < 500 / workers; n++) wf.node(`n${n}`, flaky, n, { onFail: "skip" });
  });
  const room = new MachineRoom();
  const crew = await room.bootAll(workers, [flow]);
  const runs = [];
  for (let n = 0; n < workers; n++) runs.push(await room.settled(crew.next.pawl.start(flow, { id: `r${n}`, input: null })));
  const nodes = [];
  for (const run of runs) {
    await room.settled(run.ended());
    nodes.push(...(await run.nodes()));
  }
  const again = nodes.filter(({ attempt }) => attempt > 1);
  const completed = again.filter(({ status }) => status === "completed");
  console.log(`${again.length} of ${nodes.length} were tried again, ${completed.length} of them completed`);
  expect(again.length).toBeGreaterThan(50);
  expect(completed.length / again.length).toBeGreaterThanOrEqual(0.95);
});
