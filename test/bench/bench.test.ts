/**
 * The suite runs: its quick mode ends well and prints every row. NOT asserted: any time.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { cases } from "../sim/cases.ts";

const ROWS: Readonly<Record<string, readonly string[]>> = {
  chains: ["pawl", "floor live", "info: live, a user's own machine", "floor bare", "info: live + bare"],
  layered: ["4 layers of 10 x 1: pawl", "floor live", "floor bare"],
  fan: ["fan of 500 against 50", "peak RSS", "once it is defined", "fan of 50: longest event-loop delay", "fsync of 5 ms|on a disk of 5 ms"],
  rows: ["rows that stay", "row writes", "bytes of the file", "commits", "transactions"],
  cold: ["pawl: spawn to the first run's result", "floor: imports xstate", "info: imports xstate and zod", "info: pawl, spawn to the end"],
  resume: ["20 chains, half done: first line", "20 chains, half done: the rest", "100 unfinished runs: first line", "100 unfinished runs: the rest"],
  scaling: ["fan of 100 x 1", "chain in one run of 100 x 1", "beside 100 unfinished runs"],
  machines: ["from an event to a commit", "floor: machine.transition", "invoked promises in a row x 20: pawl", "floor live", "floor bare"],
  sends: ["100 at once to one run: pawl", "100 at once to 100 runs: pawl", "floor bare", "p99", "one by one to one run: median latency", "the end x 20"],
  children: ["one by one, 30 children: pawl", "all in one event, 30 children: pawl", "info: live actors"],
  sleepers: ["100 asleep: opening the file", "100 asleep: a wake by an event, median", "100 asleep: a wake by a timer"],
  takeover: ["50 runs at work: from the kill until one had", "50 runs at work: floor: from a cold open until each had", "RSS of the standby"],
  inbox: ["send, one by one, from a client: p50", "send, 20 at once to 20 runs, in the worker: p99", "cancel, from", "start until", "nothing happens"],
  shared: ["20 runs, started by one of them, agent computes: two workers", "share of the busier of two", "longest delay"],
  prune: ["200 runs: events of the worker in a second", "200 runs: longest hold of the file", "200 runs: rows gone in a second"],
  shapes: ["map of 10", "map of 100", "loop of 10", "loop of 50", "50 steps in an agent", "50 nodes of a chain"],
  stream: ["x 20: nobody streams", "beside an agent that streams to 10 readers", "chunks heard", "nobody listens", "one reader a run"],
  health: ["20 runs in memory: a look"],
  protection: [
    "chain of 50: nothing on",
    "layers of 50: breaker and limits on",
    "1000 wait, 50 at once, two workers",
    "1000 shared rows, one changed: to know it",
  ],
  metering: ["x 20: counted", "floor: the same, nothing counted"],
  overhead: ["2 in a row: pawl, all on", "info: pawl, nothing on", "floor: bare promises and a commit", "2 in a row: bare promises"],
  disk: ["this disk: caller", "this disk: thread: longest", "+5 ms per fsync: caller", "+5 ms per fsync: thread: longest"],
};

interface Answer {
  readonly results: readonly { readonly name: string; readonly rows: readonly { readonly measurement: string }[] }[];
  readonly environment: string;
}

/** All in the long form, a quarter of them otherwise, another one each time. */
function chosen(): string[] {
  const { seed } = cases({ short: 1, long: 1 });
  return Object.keys(ROWS).filter((_, i) => process.env["PAWL_CASES"] === "long" || i % 4 === seed % 4);
}

test("the quick mode of the benchmarks ends well, with every row in its table", async () => {
  const main = join(import.meta.dirname, "main.ts");
  const names = chosen();
  const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", "--conditions=pawl-source", main, ...names, "--quick", "--json"]);
  const { results, environment } = JSON.parse(stdout) as Answer;
  expect(results.map(({ name }) => name)).toEqual(names);
  for (const { name, rows } of results) {
    const there = rows.map(({ measurement }) => measurement);
    for (const wanted of ROWS[name]!) expect(there).toContainEqual(expect.stringMatching(wanted.replaceAll("+", "\\+")));
  }
  expect(environment).toContain(`node ${process.version}`);
}, 300_000);
