/**
 * A journey in a simulated world in which processes die: each commit of each life can be the last.
 */
import { MemoryStore } from "../../src/store/memory.ts";
import { SimClock } from "./clock.ts";
import type { Workflow } from "../../src/index.ts";
import type { Commit } from "../../src/store/store.ts";
import { type EndedRun, type Seen, checkJourney, endedRuns, journeyOf } from "./journey.ts";
import { SimProcess } from "./process.ts";

const TRIP = "trip";

/** Dies before, or after, this group of commits, counted from 1. */
export interface Death {
  readonly group: number;
  readonly fault: "crashBefore" | "crashAfter";
}

/** Deaths at each of these groups. */
export const deathsAt = (groups: number): Death[] =>
  Array.from({ length: groups }, (_, i) => (["crashBefore", "crashAfter"] as const).map((fault) => ({ group: i + 1, fault }))).flat();

/** What came of it: groups of commits in the last life, and how many calls undid something. */
export interface Travelled {
  readonly groups: number;
  readonly lives: number;
  readonly undone: number;
}

/** Plays it to its end, with a death in the first, second, … life. Throws when something is not as it must be. */
export async function travel(deaths: readonly Death[]): Promise<Travelled> {
  const room = new JourneyRoom();
  for (let life = 0; life <= deaths.length; life++) {
    const ended = await room.live(life, deaths[life]);
    if (ended === undefined) continue;
    const undone = checkJourney(TRIP, room.seen, ended);
    return { groups: room.groups, lives: life + 1, undone };
  }
  throw new Error("it never ends");
}

class JourneyRoom {
  readonly #clock = new SimClock();
  readonly #store = new MemoryStore();
  readonly seen: Seen[] = [];
  /** `run/node` of what is durably completed. */
  readonly #completed = new Set<string>();
  readonly #wrong: string[] = [];
  groups = 0;

  /** One life of a process: undefined when it died before all was done. */
  async live(life: number, death: Death | undefined): Promise<ReadonlyMap<string, EndedRun> | undefined> {
    const flows = this.#flowsOf(life, () => process);
    const process: SimProcess = new SimProcess({
      clock: this.#clock,
      store: this.#store,
      seed: life,
      workflows: flows,
      fault: (group) => (group === death?.group ? death.fault : undefined),
      onApplied: (group, outcomes) => group.forEach((commit, i) => outcomes[i] === "committed" && this.#committed(commit)),
    });
    let ended: ReadonlyMap<string, EndedRun> | undefined;
    let failure: unknown;
    storyOf(process, flows[0]!).then(
      (all) => (ended = all),
      (error: unknown) => (failure = error),
    );
    await this.#clock.until(() => !process.isAlive || ended !== undefined || failure !== undefined || this.#wrong.length > 0);
    if (this.#wrong.length > 0) throw new Error(this.#wrong.join("; "));
    if (process.isAlive && failure !== undefined) throw failure;
    const isOver = process.isAlive;
    this.groups = process.groups;
    process.kill();
    return isOver ? ended : undefined;
  }

  #flowsOf(life: number, process: () => SimProcess): Workflow<any, unknown>[] {
    const { journey, parts } = journeyOf({
      note: (what, { runId, nodeId, attempt }) => {
        if (!process().isAlive) return;
        if (what === "start" && this.#completed.has(`${runId}/${nodeId}`)) this.#wrong.push(`${runId}/${nodeId} was called though it had completed`);
        this.seen.push({ what, run: runId, node: nodeId, attempt, life });
      },
      pause: (ms) => new Promise((resolve) => void process().clock.after(ms, resolve)),
    });
    return [journey, ...parts];
  }

  #committed({ runId, actors }: Commit): void {
    for (const { key, status } of actors) if (status === "completed") this.#completed.add(`${runId}/${key}`);
  }
}

/** Starts the journey, or finds it, and waits for its end. */
async function storyOf(process: SimProcess, journey: Workflow<any, unknown>): Promise<ReadonlyMap<string, EndedRun>> {
  await process.boot();
  const run = await process.pawl.start(journey, { id: TRIP, input: {} });
  await run.ended();
  return endedRuns(process.pawl, TRIP);
}
