/**
 * Whether somebody works on a run, or would: from the open epochs, and what their workers say of themselves.
 */
import { planChanges } from "../define/plan-structure.ts";
import type { RunRecord, Store } from "../store/store.ts";
import { isMachineRun } from "./machine-view.ts";
import { readFacts } from "./peers.ts";
import { type Asking, type Draft, named } from "./why-cause.ts";
import { structureChanges } from "./xstate/structure-changes.ts";

/** A worker whose process is there. */
interface Hand {
  readonly epoch: number;
  readonly pid: number;
  readonly definitions: readonly string[];
  readonly migrates: readonly string[];
  /** So many more runs it would take on. */
  readonly wants: number;
  /** So many runs it works on at the same time. */
  readonly activeRunsMax: number;
}

export type Crew = readonly Hand[];

/** Digits of a definition's hash that people are shown. */
const HASH_SHOWN = 12;

export async function readCrew(store: Store): Promise<Crew> {
  const crew: Hand[] = [];
  for (const record of await store.readEpochs()) {
    if (await store.isAbandoned(record.id)) continue;
    const { pid, definitions, migrates, wants, activeRunsMax } = readFacts(record);
    crew.push({ epoch: record.id, pid, definitions, migrates, wants, activeRunsMax });
  }
  return crew;
}

/** Has a worker that is there the run, with its own definition? */
export function isOwned({ epoch, definition }: RunRecord, crew: Crew): boolean {
  const owner = crew.find((hand) => hand.epoch === epoch);
  return owner !== undefined && (owner.definitions.includes(definition) || !owner.migrates.includes(definition));
}

/** Why a run has not begun that a worker has. */
export function placeDraft({ epoch }: RunRecord, crew: Crew): Draft {
  const { pid, activeRunsMax } = crew.find((hand) => hand.epoch === epoch)!;
  return {
    kind: "queued",
    message: `it waits for a place among the ${activeRunsMax} active runs of its worker (${pid})`,
    next: "wait; or start another worker: `pawl work FILE`; or raise maxActiveRuns (`pawl work --max-active-runs`)",
  };
}

/** Why nobody works on an unfinished run; nothing when somebody does. `sleeps`: it has nothing to do for the time being. */
export async function handDrafts({ store, record, crew }: Asking, sleeps: boolean): Promise<Draft[]> {
  if (isOwned(record, crew)) return [];
  const { workflow, definition } = record;
  if (crew.length === 0)
    return [
      {
        kind: "noWorker",
        message: "no worker is there",
        next: `start one that has "${workflow}": \`pawl work FILE\``,
        isLater: sleeps,
      },
    ];
  const isParked = crew.some(({ epoch }) => epoch === record.epoch);
  const able = isParked ? [] : crew.filter(({ definitions, migrates }) => [...definitions, ...migrates].includes(definition));
  if (able.length === 0) return [{ ...(await unknownDraft(store, record, crew)), isLater: sleeps }];
  return sleeps ? [] : [unclaimedDraft(record, able)];
}

function unclaimedDraft({ suspicion }: RunRecord, able: Crew): Draft {
  const pids = named(able.map(({ pid }) => String(pid)));
  const isBusy = able.every(({ wants }) => wants === 0);
  const crashed = suspicion > 0 ? `; a worker ended ${suspicion} ${suspicion === 1 ? "time" : "times"} while it had just loaded it` : "";
  return {
    kind: "queued",
    message: `no worker has taken it on yet: ${isBusy ? "those that have its definition are busy" : "one that has its definition is about to"} (${pids})${crashed}`,
    next: isBusy ? "start another worker: `pawl work FILE`" : null,
  };
}

/** Workers are there that cannot go on with it: they have another version of what it is a run of, or none. */
async function unknownDraft(store: Store, record: RunRecord, crew: Crew): Promise<Draft> {
  const { workflow, definition } = record;
  const known = new Set(await store.definitionsOf(workflow));
  const given = new Set(crew.flatMap(({ definitions }) => definitions));
  const others = [...known].filter((hash) => hash !== definition && given.has(hash));
  const version = `definition ${definition.slice(0, HASH_SHOWN)} of "${workflow}"`;
  if (others.length === 0)
    return {
      kind: "definitionMissing",
      message: `no worker that is there was given ${version} (workers ${named(crew.map(({ pid }) => String(pid)))})`,
      next: `start a worker that has "${workflow}": \`pawl work FILE\``,
    };
  const changes = await changesBetween(store, record, others.at(-1)!);
  return {
    kind: "definitionChanged",
    message: `the workers were given another version of "${workflow}" than ${version}${changes.length === 0 ? "" : `: ${named(changes)}`}`,
    next: "give a worker this version too, in open(url, { workflows }), or the machine a `migrate`; `pawl check FILE` lists what is different",
  };
}

async function changesBetween(store: Store, record: RunRecord, hash: string): Promise<string[]> {
  const [before, after] = [await store.readDefinition(record.definition), await store.readDefinition(hash)];
  if (before === undefined || after === undefined) return [];
  const isMachine = (text: string): boolean => "machines" in (JSON.parse(text) as object);
  if (isMachine(after) !== isMachineRun(record)) return ["it is another kind of workflow now"];
  return isMachineRun(record) ? structureChanges(before, after) : planChanges(before, after);
}
