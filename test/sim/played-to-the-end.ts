/**
 * A workflow run to its end in the simulator, in as many processes as that takes: each goes on where the last one died.
 */
import type { Startable } from "../../src/run/startable.ts";
import type { Run } from "../../src/run/handle.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import { SimClock } from "./clock.ts";
import { type Fault, SimProcess } from "./process.ts";

interface Played {
  readonly output: unknown;
  /** Groups of commits of the first process. */
  readonly groups: number;
  readonly processes: number;
  readonly run: Run<unknown>;
}

/** What it gives. Only the first process has faults; events are sent by all of them, under the same ids. */
export async function playedToTheEnd(
  workflow: Startable,
  input: unknown,
  {
    fault,
    events = [],
  }: {
    readonly fault?: (group: number) => Fault | undefined;
    readonly events?: readonly ({ readonly type: string } & Readonly<Record<string, unknown>>)[];
  } = {},
): Promise<Played> {
  const [clock, store] = [new SimClock(), new MemoryStore()];
  const first = new SimProcess({ clock, store, seed: 1, workflows: [workflow], ...(fault !== undefined && { fault }) });
  for (let [process, processes] = [first, 1]; ; processes++) {
    const ended = process.boot().then(async () => {
      const run = (await process.pawl.start(workflow as never, { id: "run", input } as never)) as Run<unknown>;
      for (const [i, event] of events.entries()) await run.send(event, { eventId: `event-${i}` });
      return { run, output: await run.result() };
    });
    let isOver = false;
    ended.then(
      () => (isOver = true),
      () => (isOver = true),
    );
    await clock.until(() => isOver || !process.isAlive);
    if (isOver) return { ...(await ended), groups: first.groups, processes };
    process = new SimProcess({ clock, store, seed: processes + 1, workflows: [workflow] });
  }
}
