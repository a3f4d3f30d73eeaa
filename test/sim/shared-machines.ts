/**
 * A machine that writes down what it is sent, by a client and by workers, while these die, hang, close and come back and
 * the run is paused. Whoever gets no answer sends again under the same id. In the end each event was taken once, those of
 * one sender in their order.
 */
import { assign, setup } from "xstate";
import type { SendResult } from "../../src/index.ts";
import type { Store } from "../../src/store/store.ts";
import { type Harm, SharedWorkers } from "./shared-workers.ts";

export interface MachinesPlot {
  readonly workers: number;
  readonly seed: number;
  readonly harms: readonly Harm[];
  readonly pauses: readonly { readonly atMs: number; readonly forMs: number }[];
  /** Events of each sender, with the pause before each: of the client first, then through whichever worker is there. */
  readonly sends: readonly (readonly number[])[];
  readonly wrap?: (store: Store) => Store;
  readonly endMs?: number;
}

interface Said {
  readonly type: "said";
  readonly by: number;
  readonly n: number;
}

/** What no answer means: it is asked again. */
const AGAIN = ["PAWL_SEND_PENDING", "PAWL_OUTCOME_UNKNOWN", "PAWL_CLOSED", "PAWL_RUN_MOVED"];

function machineOf(total: number) {
  return setup({ types: { context: {} as { heard: [by: number, n: number][] }, events: {} as Said } }).createMachine({
    id: "listener",
    context: { heard: [] },
    initial: "listening",
    states: {
      listening: {
        always: { guard: ({ context }) => context.heard.length >= total, target: "heard" },
        on: { said: { actions: assign({ heard: ({ context, event }) => [...context.heard, [event.by, event.n] as [number, number]] }) } },
      },
      heard: {
        after: { 5_000: "done" },
        on: { said: { actions: assign({ heard: ({ context, event }) => [...context.heard, [event.by, event.n] as [number, number]] }) } },
      },
      done: { type: "final" },
    },
    output: ({ context }) => context.heard,
  });
}

/** Plays the plot to its end; answers how many runs moved and how many answers said that the event had been taken before. */
export async function playMachines(plot: MachinesPlot): Promise<{ moves: number; fenced: number; duplicates: number }> {
  const machine = machineOf(plot.sends.reduce((sum, pauses) => sum + pauses.length, 0));
  const shared = new SharedWorkers({ workers: plot.workers, seed: plot.seed, workflows: () => [machine], wrap: plot.wrap, endMs: plot.endMs });
  const { clock } = shared;
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => clock.after(ms, resolve));
  const commits = new Map<string, number>();
  let duplicates = 0;

  const sendOnce = (by: number, event: Said, eventId: string): Promise<SendResult> => {
    const process = by === 0 ? shared.client : shared.slots.find((slot) => slot.process?.isAlive === true && !slot.process.isStopped)?.process;
    // who dies with it answers never
    return process === undefined
      ? Promise.reject(Object.assign(new Error("nobody is there"), { code: "PAWL_CLOSED" }))
      : Promise.race([
          process.pawl.send("run", { ...event }, { eventId, timeout: "5s" }),
          sleep(20_000).then(() => Promise.reject(Object.assign(new Error("no answer"), { code: "PAWL_SEND_PENDING" }))),
        ]);
  };

  const send = async (by: number, n: number): Promise<void> => {
    const eventId = `${by}-${n}`;
    for (;;) {
      try {
        const { commitNo, duplicate } = await sendOnce(by, { type: "said", by, n }, eventId);
        if (duplicate) duplicates++;
        if (commits.has(eventId) && commits.get(eventId) !== commitNo)
          shared.violations.push(`${eventId} was taken by commits ${commits.get(eventId)} and ${commitNo}`);
        commits.set(eventId, commitNo);
        if ((await shared.store.readEvent("run", eventId)) !== commitNo)
          shared.violations.push(`${eventId} was answered before commit ${commitNo} was durable`);
        return;
      } catch (error) {
        if (shared.isRightlySetAside("run")) return;
        if (!AGAIN.includes((error as { code?: string }).code ?? "")) throw error;
        await sleep(500);
      }
    }
  };

  await shared.play(async () => {
    const run = await shared.client.pawl.start(machine, { id: "run" });
    shared.harm(plot.harms);
    const quietly = (asked: Promise<void>): void => void asked.catch(() => {});
    for (const { atMs, forMs } of plot.pauses) {
      clock.after(atMs, () => quietly(run.pause()));
      clock.after(atMs + forMs, () => quietly(run.resume({ timeout: "1d" })));
    }
    await Promise.all(
      plot.sends.map(async (pauses, by) => {
        for (const [n, pause] of pauses.entries()) {
          await sleep(pause);
          await send(by, n);
        }
      }),
    );
    const { output, status } = await run.ended();
    if (status === "quarantined" && shared.isRightlySetAside("run")) return;
    if (status !== "completed") shared.violations.push(`the run is ${status}`);
    for (const [by, pauses] of plot.sends.entries()) {
      const heard = (output as [number, number][]).filter(([sender]) => sender === by).map(([, n]) => n);
      if (heard.join(" ") !== pauses.map((_, n) => n).join(" ")) shared.violations.push(`of sender ${by} it heard ${heard.join(" ")}`);
    }
  });
  return { moves: shared.moves, fenced: shared.fenced, duplicates };
}
