/**
 * Large maps and long loops through crashes: what was durable is not called again, and what a commit writes and memory holds
 * does not grow with the number of items.
 */
import { expect, test } from "vitest";
import type { Commit } from "../../src/store/store.ts";
import { MachineRoom, anyAgent, anyWorkflow } from "../sim/machine-room.ts";

/** A room that sees each commit, and whose process dies at some of them. */
class CrashRoom extends MachineRoom {
  readonly durable = new Set<string>();
  readonly calls = new Map<string, number>();
  readonly calledAgain: string[] = [];
  /** Rows of what is written beside the items and rounds themselves. */
  otherRows = 0;
  /** The most rows in one commit. */
  mostRows = 0;
  commits = 0;
  lives = 0;

  called(nodeId: string): void {
    if (this.durable.has(nodeId)) this.calledAgain.push(nodeId);
    this.calls.set(nodeId, (this.calls.get(nodeId) ?? 0) + 1);
  }

  #applied({ actors }: Commit): void {
    this.commits++;
    this.mostRows = Math.max(this.mostRows, actors.length);
    for (const { key, status } of actors)
      if (key.endsWith("]") && status === "completed") this.durable.add(key);
      else this.otherRows++;
  }

  /** Plays a run to its end. Its n-th process dies at this group of commits. */
  async play(flow: ReturnType<typeof anyWorkflow>, crashes: readonly number[]): Promise<unknown> {
    for (let life = 0; ; life++) {
      this.lives++;
      const process = await this.boot([flow], {
        fault: (group) => (group === crashes[life] ? (life % 2 === 0 ? "crashAfter" : "crashBefore") : undefined),
        onApplied: (group, outcomes) => group.forEach((commit, i) => outcomes[i] === "committed" && this.#applied(commit)),
      });
      let output: unknown;
      let hasEnded = false;
      void process.pawl
        .start(flow, { id: "run", input: {} })
        .then((run) => run.result())
        .then((result) => ([output, hasEnded] = [result, true]));
      await this.clock.until(() => hasEnded || !process.isAlive);
      if (hasEnded) return output;
    }
  }
}

test("a map of 10,000 items goes on after crashes without calling again what was durable, and writes a row for each item and no more", async () => {
  const items = 10_000;
  const room = new CrashRoom();
  const square = anyAgent("square", ({ n }: { n: number }, { nodeId }) => (room.called(nodeId), n * n));
  const flow = anyWorkflow("flow", (wf) => {
    const list = wf.node(
      "list",
      anyAgent("list", () => Array.from({ length: items }, (_, i) => i)),
      {},
    );
    return wf.map("map", list.result, square, (n) => ({ n }), { concurrency: 50 }).result;
  });
  const output = (await room.play(flow, [50, 60, 70])) as number[];
  expect(output).toHaveLength(items);
  expect(output.every((value, i) => value === i * i)).toBe(true);
  expect(room.lives).toBe(4);
  expect(room.calledAgain).toEqual([]);
  expect(room.calls.size).toBe(items);
  // only what was under way when a process died
  expect([...room.calls.values()].filter((times) => times > 1).length).toBeLessThanOrEqual(3 * 50);
  // input, supervisor, list and map, each when it begins and ends; the output
  expect(room.otherRows).toBeLessThanOrEqual(8);
  expect(room.mostRows).toBeLessThanOrEqual(50 + 5);
  expect(room.durable.size).toBe(items);
});

test("a loop of 300 rounds goes on after each of ten crashes with the round that was under way", async () => {
  const rounds = 300;
  const room = new CrashRoom();
  const count = anyAgent("count", ({ n }: { n: number }, { nodeId }) => (room.called(nodeId), { n: n + 1 }));
  const flow = anyWorkflow(
    "flow",
    (wf) => wf.repeat("loop", count, { n: 0 }, { next: (last) => ({ n: last.n }), until: (last) => last.enough, max: rounds }).result,
  );
  const crashes = Array.from({ length: 10 }, (_, i) => 20 + i);
  expect(await room.play(flow, crashes)).toEqual({ n: rounds });
  expect(room.calledAgain).toEqual([]);
  expect(room.lives).toBe(crashes.length + 1);
  expect(room.calls.size).toBe(rounds);
  expect([...room.calls.values()].filter((times) => times > 1).length).toBeLessThanOrEqual(crashes.length);
  expect(room.otherRows).toBeLessThanOrEqual(6);
  // a round is granted with the commit of the round before it
  expect(room.commits).toBeLessThanOrEqual(2 * rounds + 3 * crashes.length + 10);
});
