/**
 * What others hear of commits: listeners in the process, and readers with a cursor, in whatever process.
 */
import { join } from "node:path";
import { expect, test } from "vitest";
import { emit, setup } from "xstate";
import { open } from "../../src/index.ts";
import type { ChangesOptions, StoredChange } from "../../src/run/changes.ts";
import { MachineRoom, anyAgent, anyWorkflow } from "../sim/machine-room.ts";
import type { SimProcess } from "../sim/process.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const folder = temporaryFolder();
const echo = anyAgent("echo", (input) => input);
const broken = anyAgent("broken", () => Promise.reject(new Error("it broke")), { retry: { maxAttempts: 1 } });
const chain = anyWorkflow("chain", (wf) => wf.node("b", echo, wf.node("a", echo, {}).result).result);
const fails = anyWorkflow("fails", (wf) => void wf.node("bad", broken, {}));
const speaker = setup({ types: { emitted: {} as { type: "said" } } }).createMachine({
  id: "speaker",
  initial: "one",
  states: { one: { type: "final", entry: emit({ type: "said" }) } },
});

const said = ({ runId, events }: StoredChange): string[] => events.map(({ type, node }) => `${runId} ${type}${node === undefined ? "" : ` ${node}`}`);

/** The next so many changes. */
async function take(process: SimProcess, count: number, options: ChangesOptions = {}): Promise<StoredChange[]> {
  const taken: StoredChange[] = [];
  if (count > 0) for await (const change of process.pawl.changes(options)) if (taken.push(change) === count) break;
  return taken;
}

test("listeners hear what histories say and machines emit, by type or all of it; one that throws harms nobody", async () => {
  const room = new MachineRoom();
  const errors: string[] = [];
  const log = { debug() {}, info() {}, warn() {}, error: (_: object, message = "") => void errors.push(message) };
  const { pawl } = await room.boot([chain, fails, speaker], { log });
  const [failed, all, spoken]: string[][] = [[], [], []];
  pawl.on("node.failed", () => {
    throw new Error("mine");
  });
  const stop = pawl.on("node.failed", ({ type, node, message }, { runId, commitNo }) => void failed!.push(`${type} ${runId}:${commitNo} ${node} ${message}`));
  pawl.on("*", ({ type }, { runId, commitNo }) => void all!.push(`${runId}:${commitNo ?? "-"} ${type}`));
  pawl.on("said", ({ type }) => void spoken!.push(type));
  await room.settled((await room.settled(pawl.start(fails, { id: "f", input: {} }))).result().catch(() => {}));
  expect(failed).toEqual(["node.failed f:2 bad it broke"]);
  expect(all).toEqual(["f:1 run.started", "f:1 node.started", "f:2 node.failed", "f:2 run.failed"]);
  expect(errors).toEqual(["a listener threw"]);
  stop();
  await room.settled((await room.settled(pawl.start(speaker, { id: "m" }))).result());
  await room.settled((await room.settled(pawl.start(fails, { id: "g", input: {} }))).result().catch(() => {}));
  expect(failed).toHaveLength(1);
  expect(spoken).toEqual(["said"]);
  expect(all).toContain("m:- said");
});

test("a reader gets what is kept of all runs, in the order of the commits, then what comes, and goes on from a cursor", async () => {
  const room = new MachineRoom();
  const process = await room.boot([chain, fails, speaker]);
  await room.settled((await room.settled(process.pawl.start(chain, { id: "c", input: {} }))).result());
  const reading = take(process, 5);
  await room.settled((await room.settled(process.pawl.start(fails, { id: "f", input: {} }))).result().catch(() => {}));
  const changes = await room.settled(reading);
  expect(changes.map(({ id }) => id)).toEqual(["c:1", "c:2", "c:3", "f:1", "f:2"]);
  expect(changes.flatMap(said).slice(-2)).toEqual(["f node.failed bad", "f run.failed"]);
  expect(await room.settled(take(process, 3, { after: changes[1]!.cursor }))).toEqual(changes.slice(2));
  await room.settled((await room.settled(process.pawl.start(speaker, { id: "m" }))).result());
  const ends = await room.settled(take(process, 3, { types: ["run.completed", "run.failed"] }));
  expect(ends.flatMap(said)).toEqual(["c run.completed", "f run.failed", "m run.completed"]);
});

test("'now' leaves out what was before; the signal ends it, also while it waits, and so does a reader that leaves", async () => {
  const room = new MachineRoom();
  const process = await room.boot([chain]);
  await room.settled((await room.settled(process.pawl.start(chain, { id: "before", input: {} }))).result());
  const end = new AbortController();
  const heard: string[] = [];
  const reading = (async () => {
    for await (const { id } of process.pawl.changes({ after: "now", signal: end.signal })) heard.push(id);
  })();
  await room.clock.settle();
  await room.settled((await room.settled(process.pawl.start(chain, { id: "after", input: {} }))).result());
  await room.clock.advance(1_000);
  expect(heard).toEqual(["after:1", "after:2", "after:3"]);
  end.abort();
  await room.settled(reading);
});

test("a process hears of what others commit, and who died goes on from the cursor it kept: nothing is left out", async () => {
  const room = new MachineRoom();
  const worker = await room.boot([chain]);
  const reader = await room.boot([], { execute: false });
  const first = take(reader, 2);
  await room.settled((await room.settled(worker.pawl.start(chain, { id: "r", input: {} }))).result());
  const [one, two] = await room.settled(first);
  reader.kill();
  const next = await room.boot([], { execute: false });
  const rest = await room.settled(take(next, 2, { after: one!.cursor }));
  expect(rest[0]).toEqual(two);
  expect(rest.map(({ id }) => id)).toEqual(["r:2", "r:3"]);
});

test("with a crash before and after every commit a reader gets each commit that is kept, once, in order", async () => {
  for (let group = 1; group <= 4; group++)
    for (const fault of ["crashBefore", "crashAfter"] as const) {
      const room = new MachineRoom();
      const worker = await room.boot([chain], { fault: (now) => (now === group ? fault : undefined) });
      const reader = await room.boot([], { execute: false });
      const heard: StoredChange[] = [];
      const end = new AbortController();
      const reading = (async () => {
        for await (const change of reader.pawl.changes({ signal: end.signal })) heard.push(change);
      })();
      void worker.pawl.start(chain, { id: "r", input: {} });
      await room.clock.advance(2_000);
      const next = await room.boot([chain]);
      await room.settled((await room.settled(next.pawl.start(chain, { id: "r", input: {} }))).result());
      await room.clock.advance(2_000);
      end.abort();
      await room.settled(reading);
      const { commitNo } = (await room.store.readRun("r"))!;
      expect(heard.map(({ id }) => id)).toEqual(Array.from({ length: commitNo }, (_, i) => `r:${i + 1}`));
    }
});

test("what is no type, no cursor, or a cursor of another store is refused", async () => {
  const room = new MachineRoom();
  const process = await room.boot([]);
  for (const options of [{ types: ["run.exploded" as "run.failed"] }, { after: "soon" }, { after: "7" }])
    await expect(room.settled(take(process, 1, options))).rejects.toMatchObject({ code: "PAWL_INVALID_VALUE" });
});

test("a reader of a file hears of another process's commits, and learns that pawl was closed", async () => {
  const path = join(folder.path, "changes.db");
  await using worker = await open(path, { workflows: [chain] });
  const reader = await open(path, { execute: false });
  const heard: string[] = [];
  const reading = (async () => {
    for await (const { id, events } of reader.changes()) {
      heard.push(id);
      if (events.some(({ type }) => type === "run.completed")) await reader.close();
    }
  })();
  await (await worker.start(chain, { id: "r", input: {} })).result();
  await expect(reading).rejects.toMatchObject({ code: "PAWL_CLOSED" });
  expect(heard).toEqual(["r:1", "r:2", "r:3"]);
});
