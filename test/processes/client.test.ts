/**
 * Clients whose worker dies before it answers, and clients that die themselves: what was asked is done once, and whoever
 * asked can learn what became of it.
 */
import { describe, expect, test } from "vitest";
import { isPawlError } from "../../src/index.ts";
import { type Member, crew } from "./crew.ts";
import { flows } from "./flows.ts";
import { type Chance, rounds } from "./rounds.ts";
import { Stage } from "./stage.ts";

const WRITES = "^(BEGIN|COMMIT|INSERT|UPDATE|DELETE)";
/** So many writes there are from the request to the answer, and some more. */
const WRITES_MAX = 14;

/** Who answers when the owner has died: a worker that is there already, or one that comes when the client was told. */
type Next = "standby" | "later";

interface Scene {
  readonly stage: Stage;
  readonly owner: Member;
  /** Resolves with what was answered; undefined when it is only recorded. The worker that goes on is there then. */
  ask<T>(request: () => Promise<T>): Promise<T | undefined>;
}

/** An owner that will die at one of its next writes. */
async function scene(chance: Chance, next: Next, flow: "held" | "journal"): Promise<Scene> {
  const stage = await Stage.make(crew);
  const owner = await stage.worker();
  await owner.order({ do: "start", flow, ids: ["run"], input: { gate: stage.gate } });
  if (flow === "held") await stage.calls(1);
  if (next === "standby") await stage.worker();
  const at = chance.between(1, WRITES_MAX);
  const ask = async <T>(request: () => Promise<T>): Promise<T | undefined> => {
    await stage.dies(owner, at, WRITES);
    const asked = request().catch((error: unknown) => {
      if (next === "later" && isPawlError(error, "PAWL_SEND_PENDING")) return undefined;
      throw error;
    });
    const answer = await asked;
    await stage.kill(owner);
    if (next === "later") await stage.worker();
    return answer;
  };
  return { stage, owner, ask };
}

describe.each<Next>(["standby", "later"])("the owner dies before or after it answers; the next worker: %s", (next) => {
  test("an event is applied once", async () => {
    await rounds({ short: 2, long: 200 }, async (chance) => {
      const { stage, ask } = await scene(chance, next, "journal");
      const run = await stage.client.run("run", flows.journal);
      await run.send({ type: "NOTE", item: 0 });
      const answer = await ask(() => run.send({ type: "NOTE", item: 1 }, { eventId: "note-1" }));
      if (answer !== undefined) expect(answer).toMatchObject({ handled: true, changed: true, duplicate: false });
      await stage.until(() => run.outcome("note-1"), "the event is consumed");
      expect(await run.send({ type: "NOTE", item: 1 }, { eventId: "note-1" })).toMatchObject({ duplicate: true, commitNo: await run.outcome("note-1") });
      await run.send({ type: "NOTE", item: 2 });
      await run.send({ type: "END" });
      expect(await run.result()).toEqual({ items: [0, 1, 2] });
      await stage.end();
    });
  }, 1_800_000);

  test("a run is cancelled once", async () => {
    await rounds({ short: 2, long: 200 }, async (chance) => {
      const { stage, ask } = await scene(chance, next, "held");
      const run = await stage.client.run("run");
      await ask(() => run.cancel());
      expect(await run.ended()).toMatchObject({ status: "cancelled" });
      expect(await timesOf(stage, "run.cancelled")).toBe(1);
      await stage.end();
    });
  }, 1_800_000);

  test("a run is paused once, and resumed once", async () => {
    await rounds({ short: 2, long: 200 }, async (chance) => {
      const { stage, ask } = await scene(chance, next, "held");
      const run = await stage.client.run("run");
      await ask(() => run.pause());
      await stage.until(async () => (await run.status()).status === "paused", "the run is paused");
      await run.resume();
      stage.openGate();
      expect(await run.ended()).toMatchObject({ status: "completed" });
      expect([await timesOf(stage, "run.paused"), await timesOf(stage, "run.resumed")]).toEqual([1, 1]);
      await stage.end();
    });
  }, 1_800_000);
});

async function timesOf({ client }: Stage, type: string): Promise<number> {
  const history = await Array.fromAsync((await client.run("run")).history());
  return history.flatMap(({ events }) => events).filter((event) => event.type === type).length;
}

test("a client is killed while it sends: its event is applied once or was never recorded, and nothing waits for it", async () => {
  let recorded = 0;
  await rounds({ short: 4, long: 200 }, async (chance) => {
    const stage = await Stage.make(crew);
    const owner = await stage.worker();
    await owner.order({ do: "start", flow: "journal", ids: ["run"], input: {} });
    const sender = await stage.worker({ execute: false });
    await stage.dies(sender, chance.between(1, 6), WRITES);
    await sender.order({ do: "note", run: "run", item: 0 }).catch(() => {});
    const run = await stage.client.run("run", flows.journal);
    const isRecorded = (): boolean => stage.eyes.rows("SELECT 1 FROM inbox").length > 0;
    await Promise.race([sender.ended, stage.until(async () => isRecorded() || (await run.outcome("note-0")) !== undefined, "it is recorded")]);
    await stage.kill(sender);
    if (isRecorded() || (await run.outcome("note-0")) !== undefined) {
      recorded++;
      await stage.until(() => run.outcome("note-0"), "what was recorded is applied");
    }
    await run.send({ type: "NOTE", item: 0 }, { eventId: "note-0" });
    await run.send({ type: "END" });
    expect(await run.result()).toEqual({ items: [0] });
    await stage.end();
  });
  console.log(`${recorded} events were recorded`);
}, 1_800_000);

test("a client is killed while it starts a run: started again, it is one run", async () => {
  await rounds({ short: 2, long: 200 }, async (chance) => {
    const stage = await Stage.make(crew);
    await stage.worker();
    const starter = await stage.worker({ execute: false });
    await stage.dies(starter, chance.between(1, 10), WRITES);
    await starter.order({ do: "start", flow: "mill", ids: ["mill0"], input: {} }).catch(() => {});
    await stage.kill(starter);
    await stage.mills(1);
    await stage.end();
  });
}, 1_800_000);
