/**
 * Notices of circuit breakers: one for each time that one opens or closes, whoever dies when.
 */
import { expect, test } from "vitest";
import { breakerOf } from "../../src/define/breaker.ts";
import { BreakerNotices, NOTE_AFTER_MS } from "../../src/run/breaker-notices.ts";
import { forceBreaker } from "../../src/run/breaker-view.ts";
import { readNotice } from "../../src/run/notice.ts";
import { BreakerRoom, type BreakerWorker } from "../sim/breaker-room.ts";

const POLICY = { name: "api", ...breakerOf({ failureThreshold: 1, successThreshold: 1 }, "test").policy };
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

function noting({ clock, store }: BreakerRoom, { shared, breakers }: BreakerWorker, addNotice = store.addNotice.bind(store)): BreakerNotices {
  const notices = new BreakerNotices(shared, breakers, { store: { addNotice }, clock, log: silent });
  notices.begin();
  return notices;
}

/** The promises that are under way are kept. */
async function noted(room: BreakerRoom): Promise<string[]> {
  for (let i = 0; i < 5; i++) await room.pump();
  return (await room.store.readNotices(0, 100)).map((record) => `${record.id}: ${readNotice(record).message} ${readNotice(record).code ?? ""}`.trim());
}

const fail = async (room: BreakerRoom, worker: BreakerWorker): Promise<void> => {
  worker.breakers.ended("api", "yes", "failure", 0);
  await room.pump();
};

const OPENED = 'breaker:api:1: the circuit breaker "api" opened (failures) PAWL_CIRCUIT_OPEN';
const CLOSED = 'breaker:api:3: the circuit breaker "api" closed (probesSucceeded)';

test("it opened, and it closed: each is noted once, however many workers note, and what is between is not", async () => {
  const room = new BreakerRoom(POLICY);
  const [first, second] = [await room.boot(), await room.boot()];
  noting(room, first);
  noting(room, second);
  await fail(room, first);
  expect(await noted(room)).toEqual([OPENED]);
  await room.pass(60_000);
  expect(await room.admit(second, "api")).toBe("probe");
  second.breakers.ended("api", "probe", "success", 0);
  expect(await noted(room)).toEqual([OPENED, CLOSED]);
  await room.store.forgetNotices([1, 2]);
  await room.pass(60_000);
  noting(room, await room.boot());
  await room.pass(60_000);
  expect(await noted(room)).toEqual([]);
});

test("who made the change dies before it noted it: another does, when it has waited, or one that comes later", async () => {
  const room = new BreakerRoom(POLICY);
  const [first, second] = [await room.boot(), await room.boot()];
  noting(room, second);
  await fail(room, first);
  await room.kill(first);
  await room.pass(NOTE_AFTER_MS - 1);
  expect(await noted(room)).toEqual([]);
  await room.pass(1);
  expect(await noted(room)).toEqual([OPENED]);
  await forceBreaker(room.store, "api", "closed", room.clock.now());
  await room.kill(second);
  noting(room, await room.boot());
  await room.pass(NOTE_AFTER_MS);
  expect(await noted(room)).toEqual([OPENED, 'breaker:api:2: the circuit breaker "api" closed (forced)']);
});

test("one that could not be written is written later; who is stopped notes nothing more", async () => {
  const room = new BreakerRoom(POLICY);
  const worker = await room.boot();
  let isFull = true;
  const notices = noting(room, worker, async (notice) => {
    if (isFull) throw new Error("full");
    await room.store.addNotice(notice);
  });
  await fail(room, worker);
  expect(await noted(room)).toEqual([]);
  isFull = false;
  await room.pass(NOTE_AFTER_MS);
  expect(await noted(room)).toEqual([OPENED]);
  notices.stop();
  worker.breakers.force("api", undefined);
  await room.pump();
  await room.pass(NOTE_AFTER_MS);
  expect(await noted(room)).toEqual([OPENED]);
});
