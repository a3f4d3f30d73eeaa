/**
 * Limits of which somebody has let go: who died, who was taken for dead, who has not used them for long.
 */
import { expect, test } from "vitest";
import { z } from "zod";
import { agent } from "../../src/define/agent.ts";
import type { LimitsOptions } from "../../src/define/limits.ts";
import { RowTime } from "../../src/run/row-time.ts";
import { type LimitRow, swept } from "../../src/run/limit-row.ts";
import { Limits } from "../../src/run/limits.ts";
import { SharedRows } from "../../src/run/shared-rows.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import type { Store } from "../../src/store/store.ts";
import { held, start, wide } from "../sim/held-agent.ts";
import { MachineRoom, anyAgent } from "../sim/machine-room.ts";
import { replacing } from "../sim/process.ts";

test("what a worker held that died goes to who waits for it, though nobody there knows its runs", async () => {
  const room = new MachineRoom();
  const [theirs, mine] = [held({ uses: { db: 1 } }, "theirs"), held({ uses: { db: 1 } }, "mine")];
  const limits: LimitsOptions = { db: { max: 1 } };
  const dying = await room.boot([], { limits });
  const process = await room.boot([], { limits });
  await start(room, dying, wide(theirs.agent, 1, "theirs"), "theirs");
  await room.clock.until(() => theirs.calls().length === 1);
  await start(room, process, wide(mine.agent, 1, "mine"), "mine");
  await room.clock.advance(20_000);
  expect(mine.calls()).toHaveLength(0);
  dying.kill();
  await room.clock.advance(20_000);
  expect(mine.calls()).toHaveLength(1);
});

test("a limit that was not used for long is one and the same for all agents when it is used again", async () => {
  const room = new MachineRoom();
  const [one, other] = [held({ uses: { calls: 1 } }, "one"), held({ uses: { calls: 1 } }, "other")];
  const process = await room.boot([], { limits: { calls: { max: 1, each: "tenant" } } });
  await start(room, process, wide(one.agent, 1, "one"), "first", { tenant: "a" });
  await room.clock.until(() => one.running() === 1);
  one.endOne();
  await room.clock.advance(300_000);
  expect(await room.store.readShared()).toEqual([]);
  await start(room, process, wide(other.agent, 1, "other"), "other", { tenant: "a" });
  await room.clock.until(() => other.running() === 1);
  await start(room, process, wide(one.agent, 1, "one"), "second", { tenant: "a" });
  await room.clock.advance(10_000);
  expect([one.running(), other.running()]).toEqual([0, 1]);
  other.endOne();
  await room.clock.until(() => one.running() === 1);
});

test("what a worker used that died is counted as taken back once, and goes when it is over, though nobody needs it any more", async () => {
  const room = new MachineRoom();
  const limits: LimitsOptions = { tokens: { max: 10, per: "10m" } };
  const uses = anyAgent("uses", () => 1, { uses: { tokens: 1 } });
  const usesNothing = anyAgent("uses-nothing", (_, ctx) => ctx.used({ tokens: 0 }), { uses: { tokens: 1 } });
  const [dying, process] = [await room.boot([], { limits }), await room.boot([], { limits })];
  await start(room, dying, wide(uses, 1, "uses"), "uses");
  await room.settled((await dying.pawl.run("uses")).result());
  dying.kill();
  await room.clock.advance(20_000);
  for (let n = 0; n < 5; n++) {
    await start(room, process, wide(usesNothing, 1, "nothing"), `nothing${n}`);
    await room.clock.advance(2_000);
  }
  expect((await process.pawl.metrics()).limits["tokens"]).toMatchObject({ swept: 1 });
  await room.clock.advance(400_000);
  expect(await room.store.readShared()).toHaveLength(1);
  await room.clock.advance(400_000);
  expect(await room.store.readShared()).toEqual([]);
});

test("a worker that others took for dead takes nothing back, and asks for nothing until it hears of that", async () => {
  const [store, quiet] = [new MemoryStore(), (): void => {}];
  const make = async () => {
    const epochId = await store.openEpoch(0, "{}");
    const epoch = (): number => epochId;
    const shared = new SharedRows(store, { debug: quiet, info: quiet, warn: quiet, error: quiet }, { epoch, wantsWrite: quiet });
    const told: string[] = [];
    const seams = { shared, epoch, now: () => 0, after: () => quiet, forgotten: quiet, wantsTick: quiet };
    const limits = new Limits([{ name: "db", max: 1, perMs: undefined, isPerTenant: false }], {
      ...seams,
      changed: () => told.push("changed"),
      swept: () => told.push("swept"),
    });
    await shared.refresh();
    const limit = limits.of("db", undefined)!;
    limit.waits(1, 1);
    limit.head = 1;
    limits.touch(limit);
    limits.review();
    return { epochId, shared, limits, limit, told };
  };
  const first = await make();
  await store.amend(first.shared.take());
  first.shared.written();
  expect(first.told).toContain("changed");
  const second = await make();
  second.told.length = 0;
  await store.closeEpoch(first.epochId);
  // a transaction that is rolled back, and is not repeated before others take this worker for dead, too
  const rows = new Map((await store.readShared()).map(({ key, body }) => [key, body]));
  for (const { key, amend } of second.shared.take()) amend(rows.get(key), (epoch) => epoch === second.epochId);
  second.shared.notWritten();
  await store.closeEpoch(second.epochId);
  await store.amend(second.shared.take());
  second.shared.written();
  second.limits.review();
  expect([second.told, second.shared.isDirty]).toEqual([[], false]);
});

test("a row is left as it is, to the letter, where nobody is gone", () => {
  const share = { share: 1, use: 1, want: 0, head: 0 };
  const row: LimitRow = { says: { max: 2 }, shares: { 1: share, 2: share } };
  expect(swept(row, () => true, new RowTime(() => 0))).toBe(row);
  expect(swept(row, (epoch) => epoch === 1, new RowTime(() => 0))).toEqual({ says: { max: 2 }, shares: { 1: share } });
  expect(swept(row, () => false, new RowTime(() => 0))).toBeUndefined();
});

// of a worker that dies, others know only when its grant was written
test.each([
  { fate: "lives", waitMs: 58_000 },
  { fate: "dies", waitMs: 53_000 },
])("a call that began long after it was granted, for the disk was slow, counts from then; its worker $fate", async ({ fate, waitMs }) => {
  const room = new MachineRoom();
  const calls: number[] = [];
  const call = (): void => {
    if (calls.push(room.clock.mono()) === 2 && fate === "dies") process.kill();
  };
  const agent = anyAgent("caller", call, { uses: { calls: 1 } });
  const limits = { calls: { max: 2, per: "60s" } } as const;
  let slowMs = 5_000;
  // the disk is slow to begin, and slow to say that it is done
  const commit = (store: Store): Store["commit"] => {
    const slow = (): Promise<void> => new Promise((resolve) => room.clock.after(slowMs, resolve));
    return async (...given) => {
      await slow();
      const outcomes = await store.commit(...given);
      await slow();
      return outcomes;
    };
  };
  const process = await room.boot([], { limits, wrap: (store) => replacing(store, { commit: commit(store) }) });
  await Promise.all([start(room, process, wide(agent, 3), "r"), room.clock.until(() => calls.length === 2)]);
  slowMs = 0;
  if (fate === "dies") await room.boot([wide(agent, 3)], { limits });
  await room.clock.advance(waitMs);
  const first = calls.filter((at) => at === calls[0]).length;
  expect([first, calls.length]).toEqual([2, 2]);
  await room.clock.advance(20_000);
  expect(calls.length).toBeGreaterThan(2);
});

test("a call that begins later than its window after it was granted counts all the while", async () => {
  const room = new MachineRoom();
  const calls: number[] = [];
  // the input of the first takes long to be checked
  const input = z.any().refine(async (value) => {
    if (value === "wide-0") await new Promise<void>((resolve) => void room.clock.after(3_500, resolve));
    return true;
  });
  const caller = agent({ name: "caller", input, output: z.any(), uses: { calls: 1 }, run: () => void calls.push(room.clock.mono()) });
  const process = await room.boot([], { limits: { calls: { max: 1, per: "1s" } } });
  await start(room, process, wide(caller, 4), "r");
  await room.clock.until(() => calls.length === 4);
  for (const [n, at] of calls.slice(1).entries()) expect(at - calls[n]!).toBeGreaterThanOrEqual(1_000);
});
