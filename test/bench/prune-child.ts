/**
 * `prune-child.ts fill FILE RUNS | busy FILE | prune FILE`: ended runs by the number; a worker that takes events as fast as
 * it can and says every so often how many; a prune of all ended runs, with how long it held the file.
 * NOT measured: the start of Node; the filling.
 */
import { DatabaseSync } from "node:sqlite";
import { open } from "pawl";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import type { Commit } from "../../src/store/store.ts";
import { counter } from "./machine-definitions.ts";
import type { PruneAnswer } from "./prune.ts";

const [what, file, runs] = process.argv.slice(2) as ["fill" | "busy" | "prune", string, string];
const GROUP = 500;
const LANES = 20;
const TELL_EVERY_MS = 100;
/** As a small workflow leaves them. */
const ACTORS = ["input~1", "supervisor~1", "a", "b", "c"];

if (what === "fill") await fill();
else if (what === "busy") await beBusy();
else console.log(JSON.stringify(await prune()));

async function fill(): Promise<void> {
  const store = openSqliteStore(file, { mustExist: false });
  const epoch = await store.openEpoch(1, "{}");
  for (let first = 0; first < Number(runs); first += GROUP)
    await store.commit(Array.from({ length: Math.min(GROUP, Number(runs) - first) }, (_, i) => ended(`old-${first + i}`, epoch)));
  await store.close();
}

function ended(runId: string, epoch: number): Commit {
  const text = `{"text":"${"x".repeat(200)}"}`;
  const run = { workflow: "old", definition: "old", status: "completed", body: "{}", checksum: 0, wakeAt: null, finished: true };
  const actors = ACTORS.map((key) => ({ key, status: "completed", body: "{}", output: text, checksum: 0 }));
  return { runId, from: 0, epoch, at: 1_000, run, actors, history: text, facts: { tags: ["old"] } };
}

async function beBusy(): Promise<void> {
  const pawl = await open(file, { workflows: [counter] });
  let events = 0;
  let longestMs = 0;
  const lane = async (i: number): Promise<void> => {
    const run = await pawl.start(counter, { id: `busy-${process.pid}-${i}` });
    for (;;) {
      const startedAt = performance.now();
      await run.send({ type: "add", by: 1, note: "busy" });
      longestMs = Math.max(longestMs, performance.now() - startedAt);
      events++;
    }
  };
  for (let i = 0; i < LANES; i++) void lane(i);
  setInterval(() => {
    console.log(JSON.stringify({ at: performance.timeOrigin + performance.now(), events, longestMs }));
    longestMs = 0;
  }, TELL_EVERY_MS);
}

async function prune(): Promise<PruneAnswer> {
  const holdsMs = measureHolds();
  const pawl = await open(file, { execute: false });
  const startedAt = performance.now();
  const { discarded, rows } = await pawl.prune({ olderThan: "1d" });
  const tookMs = performance.now() - startedAt;
  await pawl.close();
  return { discarded, rows, tookMs, holds: holdsMs.length, longestHoldMs: Math.max(...holdsMs), heldMs: holdsMs.reduce((sum, ms) => sum + ms, 0) };
}

/** From when a transaction has the file to when it gives it back. */
function measureHolds(): number[] {
  const holdsMs: number[] = [];
  let heldAt: number | undefined;
  const { prepare } = DatabaseSync.prototype;
  DatabaseSync.prototype.prepare = function (sql) {
    const statement = prepare.call(this, sql);
    const run = statement.run.bind(statement);
    if (sql === "BEGIN IMMEDIATE")
      statement.run = (...values: never[]) => {
        const result = run(...values);
        heldAt = performance.now();
        return result;
      };
    if (sql === "COMMIT")
      statement.run = (...values: never[]) => {
        const result = run(...values);
        if (heldAt !== undefined) holdsMs.push(performance.now() - heldAt);
        heldAt = undefined;
        return result;
      };
    return statement;
  };
  return holdsMs;
}
