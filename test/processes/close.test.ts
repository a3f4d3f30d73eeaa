/**
 * Workers that are asked to end under load: what they have begun they end, others go on with the rest at once, and no
 * attempt is lost or counted.
 */
import { expect, test } from "vitest";
import { isPawlError } from "../../src/index.ts";
import { crew } from "./crew.ts";
import { flows } from "./flows.ts";
import { present } from "./inspector.ts";
import { rounds } from "./rounds.ts";
import { Stage } from "./stage.ts";

test("a worker gets SIGTERM under load: it ends what it has begun, the standby goes on with the rest, no call is made twice", async () => {
  const waitsMs: number[] = [];
  await rounds({ short: 4, long: 200 }, async (chance) => {
    const stage = await Stage.make(crew);
    const workers = [await stage.worker(), await stage.worker()];
    const leaving = chance.of(workers);
    await stage.mills(20);
    await stage.calls(chance.between(1, 180));
    const departure = { pid: leaving.pid, runs: stage.eyes.runsOf(stage.epochOf(leaving)!), at: present() };
    await stage.terminate(leaving);
    await stage.end();
    const own = stage.eyes.lines().filter(({ pid }) => pid === leaving.pid);
    expect(own.filter(({ what }) => what !== "start")).toHaveLength(own.filter(({ what }) => what === "start").length);
    const waitMs = stage.takeOverMs(departure);
    if (waitMs !== undefined) waitsMs.push(waitMs);
  });
  waitsMs.sort((a, b) => a - b);
  console.log(`gone on with after ${waitsMs.map(Math.round).join(" ")} ms`);
  expect(waitsMs.length).toBeGreaterThan(0);
}, 1_800_000);

test("an attempt that does not end in the grace is cut off, and runs again in the standby under the same number", async () => {
  await rounds({ short: 2, long: 200 }, async (chance) => {
    const stage = await Stage.make(crew);
    const first = await stage.worker();
    await first.order({ do: "start", flow: "held", ids: ["held"], input: { gate: stage.gate } });
    await stage.calls(1);
    const standby = await stage.worker();
    await stage.close(first, chance.between(0, 60));
    stage.cutOff(first);
    await stage.until(() => stage.eyes.lines().some(({ what, pid }) => what === "start" && pid === standby.pid), "the standby has gone on");
    stage.openGate();
    const run = await stage.client.run("held");
    expect(await run.ended()).toMatchObject({ status: "completed", output: "after" });
    expect((await run.nodes()).map(({ attempt }) => attempt)).toEqual([1, 1]);
    const calls = stage.eyes.lines().filter(({ what, node }) => what === "start" && node === "before");
    expect(calls.map(({ attempt, pid }) => ({ attempt, pid }))).toEqual([
      { attempt: 1, pid: first.pid },
      { attempt: 1, pid: standby.pid },
    ]);
    await stage.end();
  });
}, 1_800_000);

test("workers are replaced one after the other while runs are started and events are sent: all is done once, and in order", async () => {
  let [sent, sentAgain] = [0, 0];
  await rounds({ short: 2, long: 200 }, async (chance) => {
    const stage = await Stage.make(crew);
    let worker = await stage.worker();
    const journal = await stage.client.start(flows.journal, { id: "journal" });
    const state = { isOver: false };
    const starting = async (): Promise<void> => {
      while (!state.isOver) {
        await stage.mills(2);
        await stage.until(() => state.isOver || stage.eyes.unfinished() < 12, "there is room for more runs");
      }
    };
    const sending = async (): Promise<number> => {
      for (let item = 0; ; item++) {
        if (state.isOver) return item;
        sentAgain += (await insist(() => journal.send({ type: "NOTE", item }, { eventId: `note-${item}` }))) - 1;
      }
    };
    const replacing = async (): Promise<void> => {
      for (let generation = 1; generation <= 3; generation++) {
        await stage.calls(stage.eyes.lines().length + chance.between(5, 40));
        const next = await stage.worker();
        await stage.calls(stage.eyes.lines().length + chance.between(0, 20));
        await (chance.between(0, 1) === 0 ? stage.terminate(worker) : stage.close(worker));
        worker = next;
      }
    };
    const ending = replacing().finally(() => (state.isOver = true));
    const [items] = await Promise.all([sending(), starting(), ending]);
    sent += items;
    await insist(() => journal.send({ type: "END" }, { eventId: "end" }));
    expect(await journal.result()).toEqual({ items: Array.from({ length: items }, (_, i) => i) });
    const commits = await Array.fromAsync(journal.history(), ({ commitNo }) => commitNo);
    expect(commits).toEqual(commits.map((_, i) => i + 1));
    await stage.end();
  });
  console.log(`${sent} events, ${sentAgain} of them sent again`);
  expect(sent).toBeGreaterThan(0);
}, 1_800_000);

/** Asks again, under the same id, when nobody could answer; says how often. */
async function insist(send: () => Promise<unknown>): Promise<number> {
  for (let tries = 1; ; tries++) {
    try {
      await send();
      return tries;
    } catch (error) {
      if (!isPawlError(error, "PAWL_SEND_PENDING") && !isPawlError(error, "PAWL_OUTCOME_UNKNOWN")) throw error;
    }
  }
}
