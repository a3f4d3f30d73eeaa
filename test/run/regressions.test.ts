/**
 * Bugs that users of other engines met, each as a test with the name: recovery that gives up, and work that is
 * stranded with a process.
 */
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { assign, fromPromise, setup } from "xstate";
import { DagRun } from "../../src/run/dag-run.ts";
import type { Startable } from "../../src/run/startable.ts";
import type { Store } from "../../src/store/store.ts";
import { cases } from "../sim/cases.ts";
import { MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";
import { type SimProcess, replacing } from "../sim/process.ts";

afterEach(() => vi.restoreAllMocks());

const echo = anyAgent("echo", (input) => input);

/** Three runs that a dead process left: one at work, one that waits for its retry, and a machine that was sent an event. */
async function left(room: MachineRoom): Promise<readonly Startable[]> {
  const dead = { is: false };
  const gate = anyAgent("gate", (input) => (dead.is ? input : never()));
  const retried = anyAgent("retried", (_, { attempt }) => (attempt > 1 ? "again" : Promise.reject(new Error("once"))), {
    retry: { initialInterval: "20s", jitter: "none" },
  });
  const machine = setup({ types: { events: {} as { type: "GO" } } }).createMachine({
    id: "machine",
    initial: "a",
    states: { a: { on: { GO: "b" } }, b: { type: "final" } },
  });
  const working = anyWorkflow("working", (wf) => wf.node("n", gate, wf.node("m", echo, "kept").result).result);
  const waiting = anyWorkflow("waiting", (wf) => wf.node("n", retried, {}).result);
  const flows = [working, waiting, machine];
  const first = await room.boot(flows);
  await room.settled(first.pawl.start(working, { id: "working", input: 1 }));
  await room.settled(first.pawl.start(waiting, { id: "waiting", input: 1 }));
  await room.settled(first.pawl.start(machine, { id: "machine" }));
  await room.clock.advance(10);
  first.kill();
  dead.is = true;
  const client = await room.boot([], { execute: false });
  await expect(room.settled(client.pawl.send("machine", { type: "GO" }))).rejects.toMatchObject({ code: "PAWL_SEND_PENDING" });
  client.kill();
  return flows;
}

describe("F1, dbos-transact-py#716: runs wait for ever after the store failed while they were recovered", () => {
  /** Every k-th call of the store fails, until it has failed so often. */
  function failing(store: Store, every: number, faults: { left: number; calls: number }): Store {
    return new Proxy(store, {
      get: (inner, method: keyof Store) => {
        const call = inner[method] as (...values: unknown[]) => Promise<unknown>;
        if (method === "watch" || method === "close") return call;
        return async (...values: unknown[]) => {
          if (faults.left > 0 && ++faults.calls % every === 0 && faults.left-- > 0) throw new Error("the store is away for a moment");
          return call.apply(inner, values);
        };
      },
    });
  }

  test.each(Array.from({ length: 30 }, (_, i) => i + 1))("every call of number %i times n fails: all runs end when the faults are over", async (every) => {
    const room = new MachineRoom();
    const flows = await left(room);
    const faults = { left: 20, calls: 0 };
    let process: SimProcess | undefined;
    const isDown = (): boolean => process === undefined || process.fatal !== undefined;
    for (let tries = 0; tries < 100 && (isDown() || faults.left > 0); tries++) {
      if (isDown()) process = await room.boot(flows, { wrap: (store) => failing(store, every, faults) }).catch(() => undefined);
      await room.clock.advance(1_000);
    }
    faults.left = 0;
    await room.clock.advance(61_000);
    expect((await process!.pawl.list()).map(({ id, status }) => `${id} ${status}`).sort()).toEqual([
      "machine completed",
      "waiting completed",
      "working completed",
    ]);
  });
});

test("F3, dbos-transact-py#804: a worker that is draining takes on runs again and dies with them, in a rolling restart", async () => {
  const atMs = fc.integer({ min: 0, max: 4_000 });
  const { numRuns, ...parameters } = cases({ short: 60, long: 2_000 });
  await fc.assert(
    fc.asyncProperty(atMs, atMs, atMs, fc.integer({ min: 1, max: 3 }), async (closesAt, bootsAt, diesAt, maxConcurrentAttempts) => {
      const room = new MachineRoom();
      const slow = anyAgent("slow", (ms: number) => new Promise((resolve) => room.clock.after(ms, () => resolve(ms))));
      const flow = anyWorkflow("flow", (wf) => wf.node("b", slow, 700, { after: [wf.node("a", slow, 900)] }).result);
      let isClosing = false;
      let claimsTooLate = 0;
      const claimed = <T>(call: () => T): T => {
        if (isClosing) claimsTooLate++;
        return call();
      };
      const first = await room.boot([flow], {
        maxConcurrentAttempts,
        wrap: (store) =>
          replacing(store, { claim: (...given) => claimed(() => store.claim(...given)), claimRun: (...given) => claimed(() => store.claimRun(...given)) }),
      });
      const client = await room.boot([], { execute: false });
      const starts = ["r1", "r2", "r3", "r4"].map(
        (id, i) => new Promise<void>((resolve) => room.clock.after(i * 900, () => void client.pawl.start(flow, { id, input: 1 }).then(() => resolve()))),
      );
      room.clock.after(closesAt, () => {
        isClosing = true;
        void first.pawl.close({ graceMs: 5_000 });
      });
      room.clock.after(closesAt + diesAt, () => first.kill());
      const second = new Promise<SimProcess>((resolve) => room.clock.after(bootsAt, () => void room.boot([flow]).then(resolve)));
      await room.settled(Promise.all([second, ...starts]));
      await room.clock.advance(closesAt + diesAt + 8_000);
      expect((await client.pawl.list()).map(({ status }) => status)).toEqual(["completed", "completed", "completed", "completed"]);
      expect(claimsTooLate).toBe(0);
    }),
    { numRuns, ...parameters },
  );
}, 300_000);

test("F4, dbos-transact-py#546: what was claimed together with a run that breaks is stuck", async () => {
  const room = new MachineRoom();
  const ids = Array.from({ length: 20 }, (_, i) => `r${i}`);
  let isUp = false;
  const flow = anyWorkflow(
    "flow",
    (wf) =>
      wf.node(
        "n",
        anyAgent("gate", () => (isUp ? "up" : never())),
        {},
      ).result,
  );
  const first = await room.boot([flow]);
  for (const id of ids) await room.settled(first.pawl.start(flow, { id, input: 1 }));
  await room.clock.advance(10);
  first.kill();
  isUp = true;
  room.store.tamper("r3", ({ run }) => Object.assign(run, { body: "{" }));
  const { resume } = DagRun.prototype;
  vi.spyOn(DagRun.prototype, "resume").mockImplementation(function (this: DagRun) {
    if (this.id === "r7") throw new TypeError("poison");
    resume.call(this);
  });
  let unread = 1;
  const { pawl } = await room.boot([flow], {
    wrap: (store) =>
      replacing(store, {
        readActorRange: async (run, ...range) => (run === "r11" && unread-- > 0 ? Promise.reject(new Error("passing")) : store.readActorRange(run, ...range)),
      }),
  });
  await room.clock.advance(1_000);
  const statuses = async (): Promise<Map<string, string>> => new Map((await pawl.list()).map(({ id, status }) => [id, status]));
  const expected = new Map(ids.map((id) => [id, "completed"]));
  for (const id of ["r3", "r7"]) expected.set(id, "quarantined");
  expect(await statuses()).toEqual(new Map(expected).set("r11", "running"));
  await room.clock.advance(30_000);
  expect(await statuses()).toEqual(expected);
});

describe("F6, dbos-transact-ts#706, and F22, trigger.dev#1933, #2931: permits leak, and nothing more starts", () => {
  interface Held {
    now: number;
    most: number;
  }

  /**
   * A workflow whose nodes fail, hang until they are aborted, or take their time; in each process it counts what it holds:
   * a call that is aborted gives its permit back at that moment.
   */
  function permitsOf(room: MachineRoom, limit: number) {
    const held = new Map<number, Held>();
    const flowsOf = (life: number) => {
      const own: Held = { now: 0, most: 0 };
      held.set(life, own);
      const holding = async <T>(signal: AbortSignal, work: Promise<T>): Promise<T> => {
        own.most = Math.max(own.most, ++own.now);
        let isHeld = true;
        const giveBack = (): void => {
          if (isHeld) own.now--;
          isHeld = false;
        };
        signal.addEventListener("abort", giveBack);
        return work.finally(giveBack);
      };
      const pause = (ms: number): Promise<void> => new Promise((resolve) => void room.clock.after(ms, resolve));
      const varied = anyAgent(
        "varied",
        (kind: string, { attempt, signal }) =>
          holding(
            signal,
            kind === "hangs" && attempt === 1
              ? new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted"))))
              : pause(300).then(() => (kind === "fails" && attempt < 3 ? Promise.reject(new Error("down")) : kind)),
          ),
        { retry: { initialInterval: "1s", jitter: "none" }, timeout: "2s" },
      );
      let waiting: (() => void)[] = [];
      const meeting = anyAgent("meeting", (_, { signal }) =>
        holding(
          signal,
          new Promise<void>((resolve) => {
            waiting.push(resolve);
            if (waiting.length < limit) return;
            for (const go of waiting) go();
            waiting = [];
          }),
        ),
      );
      return {
        varied: anyWorkflow("varied", (wf) => wf.node("c", varied, "fails", { after: [wf.node("a", varied, "hangs"), wf.node("b", varied, "works")] }).result),
        /** Ends only when all permits are there at once. */
        meeting: anyWorkflow("meeting", (wf) => void Array.from({ length: limit }, (_, i) => wf.node(`n${i}`, meeting, {}, { timeout: "1h" }))),
      };
    };
    return { held, flowsOf };
  }

  const deed = fc.record({ atMs: fc.integer({ min: 0, max: 12_000 }), run: fc.nat(5), kind: fc.constantFrom("kill", "cancel", "pause") });

  test("a process that holds permits is killed, runs are cancelled and paused: what is held never exceeds the limit, and nothing in the end", async () => {
    const { numRuns, ...parameters } = cases({ short: 30, long: 2_000 });
    await fc.assert(
      fc.asyncProperty(fc.array(deed, { maxLength: 6 }), fc.integer({ min: 1, max: 3 }), async (deeds, limit) => {
        const room = new MachineRoom();
        const { held, flowsOf } = permitsOf(room, limit);
        let life = 0;
        const boot = async (): Promise<SimProcess> => room.boot(Object.values(flowsOf(++life)), { maxConcurrentAttempts: limit });
        let process = await boot();
        const client = await room.boot([], { execute: false });
        const { varied, meeting } = flowsOf(0);
        const runs = [];
        for (let i = 0; i < 6; i++) runs.push(await room.settled(client.pawl.start(varied, { id: `r${i}`, input: 1 })));
        let passed = 0;
        for (const { atMs, run, kind } of [...deeds].sort((a, b) => a.atMs - b.atMs)) {
          await room.clock.advance(atMs - passed);
          passed = atMs;
          if (kind === "kill") {
            process.kill();
            process = await boot();
          } else void runs[run]![kind === "cancel" ? "cancel" : "pause"]().catch(() => {});
        }
        await room.clock.advance(5_000);
        await room.settled(Promise.allSettled(runs.map((run) => run.resume())));
        await room.settled(Promise.all(runs.map((run) => run.ended())));
        const last = await room.settled(client.pawl.start(meeting, { id: "meeting", input: 1 }));
        expect(await room.settled(last.ended())).toMatchObject({ status: "completed" });
        expect(held.get(life)!.now).toBe(0);
        for (const { most } of held.values()) expect(most).toBeLessThanOrEqual(limit);
      }),
      { numRuns, ...parameters },
    );
  }, 300_000);
});

describe("F23, pikku#1544: a step that was running in a dead worker can never be claimed", () => {
  const slowMachine = (isDead: () => boolean) =>
    setup({
      types: { context: {} as { n: number }, events: {} as { type: "GO" } },
      actors: { slow: fromPromise(async () => (isDead() ? 1 : never())) },
    }).createMachine({
      id: "slow",
      context: { n: 0 },
      initial: "working",
      states: {
        working: { invoke: { src: "slow", onDone: { target: "waiting", actions: assign({ n: ({ event }) => event.output }) } } },
        waiting: { after: { 100: "done" } },
        done: { type: "final" },
      },
    });
  const states: Record<string, (isDead: () => boolean) => Startable> = {
    "is running": (isDead) =>
      anyWorkflow(
        "flow",
        (wf) =>
          wf.node(
            "n",
            anyAgent("gate", () => (isDead() ? 1 : never())),
            {},
          ).result,
      ),
    "waits for a permit": (isDead) =>
      anyWorkflow(
        "flow",
        (wf) =>
          void Array.from({ length: 4 }, (_, i) =>
            wf.node(
              `n${i}`,
              anyAgent("gate", () => (isDead() ? 1 : never())),
              {},
            ),
          ),
      ),
    "backs off": (isDead) =>
      anyWorkflow(
        "flow",
        (wf) =>
          wf.node(
            "n",
            anyAgent("fails", () => (isDead() ? 1 : Promise.reject(new Error("down"))), { retry: { initialInterval: 900, jitter: "none" } }),
            {},
          ).result,
      ),
    "is a machine's": slowMachine,
  };

  test.each(Object.keys(states))("one that %s goes on in another worker within a second of the death", async (state) => {
    const room = new MachineRoom();
    let isDead = false;
    const flow = states[state]!(() => isDead);
    const [owner, other] = [await room.boot([flow], { maxConcurrentAttempts: 2 }), await room.boot([flow], { maxConcurrentAttempts: 2 })];
    await room.settled(owner.pawl.start(flow, { id: "r", input: 1 }));
    await room.clock.advance(100);
    const { epoch } = (await room.store.readRun("r"))!;
    isDead = true;
    owner.kill();
    await room.clock.advance(1_000);
    const record = (await room.store.readRun("r"))!;
    expect(record.status).toBe("completed");
    expect(record.epoch).not.toBe(epoch);
    other.kill();
  });
});
