/**
 * A test of the tests with several workers: what keeps them apart is taken away, and bugs are planted, one at a time, and
 * the simulated worlds must notice each.
 */
import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { Recovery } from "../../src/run/recovery.ts";
import { replyText } from "../../src/run/requests.ts";
import type { Commit, Store } from "../../src/store/store.ts";
import { dagSpec } from "../sim/dag.ts";
import { MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";
import { replacing } from "../sim/process.ts";
import { type MachinesPlot, playMachines } from "../sim/shared-machines.ts";
import type { Harm } from "../sim/shared-workers.ts";
import { type DagsPlot, playDags } from "../sim/shared-dags.ts";
import type { Deed } from "../sim/shared-world.ts";

const PLOTS_MAX = 60;
/** Longer than a world lasts: of the first worker only, so that there is always one that goes on. */
const FOR_EVER_MS = 7_200_000;
/** Far longer than any of these plots takes. */
const END_MS = 240_000;

const atMs = fc.integer({ min: 0, max: 20_000 });
const awayMs = fc.integer({ min: 0, max: 40_000 });
const death = fc.record({ atMs, worker: fc.nat(2), awayMs, kind: fc.constantFrom("kill", "crashBefore", "crashAfter") });
const closing = fc.record({ atMs, worker: fc.nat(2), awayMs, kind: fc.constant("close") });
const hang = fc.record({ atMs, worker: fc.nat(2), awayMs, kind: fc.constantFrom("stop", "stopBefore") });
const longHang = fc.record({ atMs, worker: fc.constant(0), awayMs: fc.constant(FOR_EVER_MS), kind: fc.constantFrom("stop", "stopBefore") });
const run = fc.nat(3);
const request = fc.oneof(fc.record({ atMs, run, kind: fc.constant("cancel") }), fc.record({ atMs, run, forMs: awayMs, kind: fc.constant("pause") }));
const harms = fc.array(fc.oneof(death, closing, hang, longHang), { minLength: 1, maxLength: 8 }) as fc.Arbitrary<readonly Harm[]>;
const deeds = fc.array(fc.oneof(death, closing, hang, longHang, request), { minLength: 1, maxLength: 8 }) as fc.Arbitrary<readonly Deed[]>;

const [workers, seed] = [fc.integer({ min: 2, max: 3 }), fc.nat()];
const dags: fc.Arbitrary<DagsPlot> = fc.record({
  specs: fc.array(dagSpec(6), { minLength: 1, maxLength: 4 }),
  workers,
  seed,
  deeds,
  startedBy: fc.constantFrom<"client" | "worker">("client", "worker"),
});
const machines: fc.Arbitrary<MachinesPlot> = fc.record({
  workers,
  seed,
  harms,
  pauses: fc.array(fc.record({ atMs, forMs: fc.integer({ min: 0, max: 10_000 }) }), { maxLength: 2 }),
  sends: fc.array(fc.array(fc.integer({ min: 0, max: 4_000 }), { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 3 }),
});

/** How many random plots it takes until a world notices; undefined if none ever does. */
async function hunt(wrap?: (store: Store) => Store): Promise<number | undefined> {
  const sampled = { numRuns: PLOTS_MAX, seed: 20_260_101 };
  const [ofDags, ofMachines] = [fc.sample(dags, sampled), fc.sample(machines, sampled)];
  const isNoticed = (played: Promise<unknown>): Promise<boolean> =>
    played.then(
      () => false,
      () => true,
    );
  for (let i = 0; i < PLOTS_MAX; i++) {
    const options = { endMs: END_MS, ...(wrap !== undefined && { wrap }) };
    if (await isNoticed(playDags({ ...ofDags[i]!, ...options }))) return i + 1;
    if (await isNoticed(playMachines({ ...ofMachines[i]!, ...options }))) return i + 1;
  }
  return undefined;
}

afterEach(() => vi.restoreAllMocks());

/** Whatever is written is written over what is there, whoever owns it. */
async function unfenced(store: Store, group: readonly Commit[]): Promise<Commit[]> {
  const commits: Commit[] = [];
  for (const commit of group) {
    const run = commit.from === 0 ? undefined : await store.readRun(commit.runId);
    commits.push(run === undefined ? commit : { ...commit, from: run.commitNo, epoch: run.epoch });
  }
  return commits;
}

/** Its owners lose all runs that are not this epoch's. */
async function robbed(store: Store, epoch: number): Promise<void> {
  for (const run of await store.listRuns({ unfinished: true, limit: 1_000 })) if (run.epoch !== epoch) await store.release(run.epoch, [run.id]);
}

const without = (store: Store, field: "consumed" | "eventIds" | "answers"): Partial<Store> => ({
  commit: (group) =>
    store.commit(
      group.map((commit) => {
        const { [field]: left, ...rest } = commit;
        return left === undefined ? commit : rest;
      }),
    ),
});

/** Epochs that are not this process's own stay open, when this holds. */
function keepsOpen(store: Store, when: (epoch: number) => Promise<boolean>): Store {
  const own = new Set<number>();
  return replacing(store, {
    openEpoch: async (at, facts) => {
      const epoch = await store.openEpoch(at, facts);
      own.add(epoch);
      return epoch;
    },
    closeEpoch: async (epoch, beat) => (own.has(epoch) || !(await when(epoch)) ? store.closeEpoch(epoch, beat) : true),
  });
}

const bugs: Record<string, (store: Store) => Store> = {
  "a commit is not conditional on the owner (no fence)": (store) => replacing(store, { commit: async (group) => store.commit(await unfenced(store, group)) }),
  "runs of workers that are alive are claimed": (store) => {
    let robberies = 2;
    return replacing(store, {
      claim: async (epoch, ...given) => {
        if (robberies-- > 0) await robbed(store, epoch);
        return store.claim(epoch, ...given);
      },
    });
  },
  "the epoch of a dead worker is not closed": (store) => keepsOpen(store, (epoch) => store.isAbandoned(epoch)),
  "the epoch of a stalled worker is not closed": (store) => keepsOpen(store, async (epoch) => !(await store.isAbandoned(epoch))),
  "runs that sleep are not taken over": (store) =>
    replacing(store, { claim: (epoch, definitions, at, _, limit) => store.claim(epoch, definitions, at, 0, limit), claimRun: async () => undefined }),
  "workers take an epoch that is open for their own": (store) =>
    replacing(store, { openEpoch: async (at, facts) => (await store.readEpochs())[0]?.id ?? store.openEpoch(at, facts) }),
  "a row of an inbox is not consumed with what it effects": (store) => replacing(store, without(store, "consumed")),
  "the ids of events are not kept": (store) => replacing(store, without(store, "eventIds")),
  "answers are not written": (store) => replacing(store, without(store, "answers")),
  "an answer is given before the commit that it tells of": (store) =>
    replacing(store, {
      readReplies: async (numbers) => {
        const early = replyText({ sent: { commitNo: 2, handled: true, value: "listening", changed: true, duplicate: false } });
        return (await store.readReplies(numbers)).map((reply) => ({ ...reply, body: reply.body ?? early }));
      },
    }),
  "inboxes of runs that are taken over are not read": (store) => replacing(store, { readInbox: async () => [], inboxRuns: async () => [] }),
};

for (const [bug, wrap] of Object.entries(bugs)) {
  test(`noticed: ${bug}`, async () => {
    const plots = await hunt(wrap);
    console.log(`after ${plots} plots`);
    expect(plots).toBeDefined();
  }, 120_000);
}

test("without a planted bug nothing is noticed", async () => {
  expect(await hunt()).toBeUndefined();
}, 120_000);

/** How long a run of a worker that was killed waits until another works on it, in ms of simulated time. */
async function waitsMs(): Promise<number> {
  const room = new MachineRoom();
  const at: number[] = [];
  const flow = anyWorkflow(
    "flow",
    (wf) =>
      wf.node(
        "n",
        anyAgent("hangs", () => (at.push(room.clock.mono()), never())),
        {},
      ).result,
  );
  const owner = await room.boot([flow]);
  await room.boot([flow]);
  await room.settled(owner.pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(1_000);
  const diedAt = room.clock.mono();
  owner.kill();
  await room.clock.advance(60_000);
  return at[1]! - diedAt;
}

test("a run of a dead worker goes on at once, because it is told of: without that it waits for the next reconciliation", async () => {
  expect(await waitsMs()).toBeLessThanOrEqual(200);
  vi.spyOn(Recovery.prototype, "freed").mockImplementation(() => {});
  expect(await waitsMs()).toBeGreaterThan(10_000);
});
