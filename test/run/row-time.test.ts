/**
 * The instants of a row that workers write whose clocks differ: by how much others are behind, as far as one worker has seen.
 */
import { expect, test } from "vitest";
import { RowTime } from "../../src/run/row-time.ts";
import { LimitPlot } from "../sim/limit-plot.ts";

test("another worker is behind by the least that was seen of it, and by more when the row's time goes ahead", () => {
  let now = 1_000;
  const time = new RowTime(() => now);
  time.seeShares({ 1: { at: 10 } });
  // it may have been written long ago
  expect(time.lagOf("1")).toBe(0);
  time.seeShares({ 1: { at: 10 }, 2: { at: 950 } });
  expect(time.lagOf("2")).toBe(50);
  now = 1_300;
  for (const at of [950, 1_100]) {
    time.seeShares({ 2: { at } });
    expect(time.lagOf("2")).toBe(50);
  }
  expect([time.advance(1_330), time.advance(1_330), time.now, time.here(1_330)]).toEqual([true, false, 1_330, 1_300]);
  expect(time.lagOf("2")).toBe(80);
  time.seeShares({});
  expect(time.lagOf("2")).toBe(0);
  time.seeShares({ 2: { at: 1_200 } });
  expect(time.lagOf("2")).toBe(130);
});

test("what this worker wrote of others is by its own clock, however late it hears of that; what they write after it is not", () => {
  let now = 1_000;
  const time = new RowTime(() => now);
  time.seeShares({});
  time.seeShares({ 2: { at: 950 } });
  time.owns("2", 1_000);
  now = 1_400;
  time.seeShares({ 2: { at: 1_000 } });
  expect(time.lagOf("2")).toBe(0);
  time.seeShares({ 2: { at: 1_250 } });
  expect(time.lagOf("2")).toBe(50);
  time.owns("2", 1_400);
  time.seeShares({ 2: { at: 1_400, isGone: true } });
  time.seeShares({ 2: { at: 1_300, isGone: true } });
  expect(time.lagOf("2")).toBe(0);
});

test("what a worker used that is gone counts for as long, though somebody had put the row's time ahead meanwhile", async () => {
  const plot = new LimitPlot({ name: "x", max: 1, perMs: 1_000, isPerTenant: false });
  for (let added = 0; added < 2; added++) await plot.add();
  const [finder, user] = plot.peers;
  await plot.round();
  user!.wants(1);
  await plot.round();
  await plot.round();
  expect(user!.taken.length).toBe(1);
  plot.clockOffsetMs = 1_100;
  await plot.add();
  plot.peers[2]!.wants(1);
  await plot.peers[2]!.write();
  await finder!.shared.refresh();
  await plot.kill(2);
  await plot.kill(1);
  finder!.wants(1);
  await finder!.write();
  finder!.pump();
  expect(finder!.taken.length).toBe(0);
  expect(await plot.settle()).toBe(0);
  expect(plot.mostUsed).toBe(1);
});
