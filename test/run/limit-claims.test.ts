/**
 * What nodes claim of limits while they wait, and what becomes of it when they go or can do nothing with it: nobody waits
 * for what nobody uses.
 */
import { expect, test } from "vitest";
import { Claims } from "../../src/run/claims.ts";
import { Flow } from "../../src/run/flow.ts";
import { Limit } from "../../src/run/limit.ts";
import { namedFlows } from "../../src/run/limit-flows.ts";
import { held, start, wide } from "../sim/held-agent.ts";
import { MachineRoom, anyAgent } from "../sim/machine-room.ts";

/** So soon nobody has told others of it by the way. */
const AT_ONCE_MS = 500;

test("who lacks something that another worker wants, too, keeps nothing else from that one", async () => {
  const room = new MachineRoom();
  const slow = held({ uses: { b: 1 } }, "slow");
  const both = held({ uses: { a: 1, b: 2 } }, "both");
  const first = held({ uses: { a: 1 } }, "first");
  const other = held({ uses: { b: 1 } }, "other");
  const limits = { a: { max: 1 }, b: { max: 2 } };
  const [one, two] = [await room.boot([], { limits }), await room.boot([], { limits })];
  await start(room, one, wide(slow.agent, 1, "slow"), "slow");
  await room.clock.until(() => slow.calls().length === 1);
  await start(room, one, wide(both.agent, 1, "both"), "both");
  await start(room, one, wide(first.agent, 1, "first"), "first");
  await room.clock.until(() => first.calls().length === 1);
  await start(room, two, wide(first.agent, 1, "second"), "second");
  await start(room, two, wide(other.agent, 1, "other"), "other");
  await room.clock.advance(10_000);
  expect([both.calls().length, other.calls().length]).toEqual([0, 1]);
  for (let n = 0; n < 2; n++) {
    first.endAll();
    await room.clock.advance(2_000);
  }
  slow.endOne();
  other.endOne();
  await room.clock.until(() => both.calls().length === 1);
});

test("who needs much of what another worker takes little by little gets it, whoever waits behind", async () => {
  const room = new MachineRoom();
  const [big, small] = [held({ uses: { db: 2 } }, "big"), held({ uses: { db: 1 } }, "small")];
  const [one, two] = await room.bootAll(2, [], { limits: { db: { max: 2 } } }).then(({ processes }) => processes);
  await start(room, two!, wide(small.agent, 20, "theirs"), "theirs");
  await room.clock.until(() => small.calls().length === 2);
  await start(room, one!, wide(big.agent, 1, "big"), "big");
  await start(room, one!, wide(small.agent, 1, "mine"), "mine");
  for (let ended = 0; ended < 10 && big.calls().length === 0; ended++) {
    await room.clock.advance(1_000);
    small.endOne();
  }
  await room.clock.advance(1_000);
  expect(big.calls()).toHaveLength(1);
});

test("when who needs much gives up, those that waited behind go on at once", async () => {
  const room = new MachineRoom();
  const [big, small] = [held({ uses: { db: 2 } }, "big"), held({ uses: { db: 1 } }, "small")];
  const process = await room.boot([], { limits: { db: { max: 2 } } });
  await start(room, process, wide(small.agent, 1, "running"), "running");
  await room.clock.until(() => small.calls().length === 1);
  await start(room, process, wide(big.agent, 1, "big"), "big");
  await start(room, process, wide(small.agent, 1, "behind"), "behind");
  await room.clock.advance(100);
  expect(small.calls()).toHaveLength(1);
  void (await process.pawl.run("big")).cancel();
  await room.clock.advance(AT_ONCE_MS);
  expect(small.calls()).toEqual(["running-0", "behind-0"]);
});

test("of two flows whose agents have one name others are told until both have gone", () => {
  const limit = new Limit("limit:db", { name: "db", max: 2, perMs: undefined, isPerTenant: false }, { now: () => 0, epoch: () => 1 });
  const claims = new Claims(() => {});
  const flows = [1, 2].map(
    () =>
      new Flow(
        anyAgent("same", () => {}),
        "",
        [{ limit, amount: 1 }],
        undefined,
      ),
  );
  const named: number[] = [];
  for (const upTo of [1, 0])
    for (const flow of flows) {
      claims.claim(flow, upTo);
      named.push(namedFlows(limit.waiters).length);
    }
  expect(named).toEqual([1, 1, 1, 0]);
});
