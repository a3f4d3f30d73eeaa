/**
 * A test of the tests: what the host does so that a run comes back as it was is taken away, one thing at a time, and the
 * comparison of random machines must notice each.
 */
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ActorTable } from "../../src/run/actor-table.ts";
import { ActorTimers } from "../../src/run/actor-timers.ts";
import { Cascade, type Frame } from "../../src/run/cascade.ts";
import { Deeds } from "../../src/run/deeds.ts";
import { MachineRun } from "../../src/run/machine-run.ts";
import { CASCADE_KEY, REDO_KEY, actorRow, runChecksum } from "../../src/run/row.ts";
import type { ActorIdentity, ActorTimer } from "../../src/run/xstate/actor.ts";
import type { ActorRecord, Commit, Store } from "../../src/store/store.ts";
import { CRASH_POLICIES } from "../sim/durable-driver.ts";
import { replacing } from "../sim/process.ts";
import { HAND_MADE_CASES } from "../sim/hand-made-machines.ts";
import { check } from "../sim/statechart-check.ts";
import { statechartSpec } from "../sim/statechart-spec.ts";
import { subjectOf } from "../sim/statechart-trace.ts";

const SYSTEMS_MAX = 120;
const CRASHING = CRASH_POLICIES.filter((policy) => policy !== "none");
/** Set by the ablation that takes numbers out of keys. */
const planted = vi.hoisted(() => ({ isWithoutNumbers: false }));

vi.mock("../../src/run/xstate/actor.ts", async (original) => {
  const actual = await original<typeof import("../../src/run/xstate/actor.ts")>();
  const depthIn = (key: string): number => key.split("/").length + 1;
  class Unnumbered extends actual.Actor {
    constructor(identity: ActorIdentity) {
      const { key, parent } = identity;
      super(planted.isWithoutNumbers && parent !== undefined ? { ...identity, key: key.replace(/~\d+$/, `~${depthIn(key)}`) } : identity);
    }
  }
  return { ...actual, Actor: Unnumbered };
});

type Wrap = (store: Store) => Store;

/**
 * The system, or the machine made by hand, where the hunt begins: the one that notices, when it is far from the first.
 * Should it no longer do so, the hunt goes round and asks all the others.
 */
const BEGIN: Readonly<Record<string, number | string>> = {
  "keys have no incarnation": 12,
  "a stopped actor's row is deleted before its cascade rests": "a child that is stopped with its children and theirs",
  "history values are not written": "history, shallow and deep",
  "the active state nodes are not written where they are not those of the value": "a way through history that leaves state nodes out",
  "system ids are not written": 35,
  "a parent that was not told yet is forgotten": 41,
  "rows of actors that are gone stay": 70,
  "who was busy in a cascade that goes on is forgotten": 41,
};
const SYSTEMS = fc.sample(statechartSpec({ speaks: false }), { numRuns: SYSTEMS_MAX, seed: 20_260_102 }).map((spec, i) => ({
  subject: subjectOf(spec),
  policy: CRASHING[i % CRASHING.length]!,
  number: i + 1,
}));

/** The number of the random system that notices; undefined if none does. */
async function hunt(begin: number | string = 1, wrap?: Wrap): Promise<number | undefined> {
  for (const { subject, policy, number } of beginningWith(SYSTEMS, (system) => system.number === begin)) {
    const { difference } = await check(subject, policy, wrap);
    if (difference !== undefined) return number;
  }
  return undefined;
}

/** The machine made by hand that notices; undefined if none does. */
async function huntByHand(begin: number | string, wrap?: Wrap): Promise<string | undefined> {
  const alike = HAND_MADE_CASES.filter(({ differs, restarts }) => (differs ?? restarts) === undefined);
  for (const subject of beginningWith(alike, ({ name }) => name === begin))
    for (const policy of CRASHING) {
      const { difference } = await check(subject, policy, wrap);
      if (difference !== undefined) return subject.name;
    }
  return undefined;
}

function beginningWith<T>(all: readonly T[], isFirst: (each: T) => boolean): T[] {
  const first = all.findIndex(isFirst);
  expect(first).toBeGreaterThanOrEqual(0);
  return [...all.slice(first), ...all.slice(0, first)];
}

beforeEach(() => void vi.spyOn(console, "warn").mockImplementation(() => {}));
afterEach(() => {
  vi.restoreAllMocks();
  planted.isWithoutNumbers = false;
});

type Plant = (() => void) | { readonly wrap: Wrap };

/** The store, whose commits are changed on their way. */
const commits = (change: (commit: Commit) => Commit): Plant => ({
  wrap: (store) => replacing(store, { commit: (group) => store.commit(group.map(change)) }),
});
/** Rows of actors are changed on their way: what they say of who the actor is, or their state. */
const rows = (change: (row: ActorRecord) => Partial<ActorRecord> | undefined): Plant =>
  commits((commit) => ({
    ...commit,
    actors: commit.actors.map((row) => {
      const { key, status, body, output } = { ...row, ...change(row) };
      return actorRow(commit.runId, key, status, body, output);
    }),
  }));
const without = (text: string, ...fields: string[]): string =>
  JSON.stringify({ ...(JSON.parse(text) as object), ...Object.fromEntries(fields.map((field) => [field, undefined])) });
const bodies = (...fields: string[]): Plant => rows(({ body }) => ({ body: without(body, ...fields) }));
const states = (...fields: string[]): Plant =>
  rows(({ output }) => (output?.startsWith('{"status"') === true ? { output: without(output, ...fields) } : undefined));
const textOf = (key: string, change: (text: any) => object): Plant =>
  rows((row) => (row.key === key ? { output: JSON.stringify({ ...JSON.parse(row.output!), ...change(JSON.parse(row.output!)) }) } : undefined));

const ABLATIONS: Readonly<Record<string, Plant>> = {
  "events are delivered first in, first out, and not depth first": () => {
    const { deliver } = Cascade.prototype;
    vi.spyOn(Cascade.prototype, "deliver").mockImplementation(function (this: Cascade, to, event) {
      const { length } = this.stack;
      deliver.call(this, to, event);
      if (this.stack.length > length) this.stack.unshift(this.stack.pop() as Frame);
    });
  },
  "keys have no incarnation": () => {
    planted.isWithoutNumbers = true;
  },
  "undefined has no tag": () => {
    const { encode } = ActorTable.prototype;
    vi.spyOn(ActorTable.prototype, "encode").mockImplementation(function (this: ActorTable, value) {
      const drop = (_: string, inner: any): unknown => (inner?.$ === "undefined" ? undefined : inner);
      return JSON.stringify(JSON.parse(encode.call(this, value), drop)) ?? "null";
    });
  },
  "there is no redo record": commits((commit) => ({ ...commit, actors: commit.actors.filter(({ key }) => key !== REDO_KEY) })),
};

/** What random systems come upon too seldom: found by machines made by hand, each of which `BEGIN` names. */
const SELDOM: Readonly<Record<string, Plant>> = {
  "a stopped actor's row is deleted before its cascade rests": commits((commit) => {
    const isStopped = ({ status }: ActorRecord): boolean => status === "stopped";
    const gone = commit.actors.filter(isStopped).map(({ key }) => key);
    return { ...commit, actors: commit.actors.filter((row) => !isStopped(row)), ...(gone.length > 0 && { gone: [...(commit.gone ?? []), ...gone] }) };
  }),
  "history values are not written": states("history"),
  "the active state nodes are not written where they are not those of the value": states("nodes"),
};

const STORED: Readonly<Record<string, Plant>> = {
  "timers are not written": bodies("timers"),
  "names of children are not written": bodies("held"),
  "system ids are not written": bodies("system"),
  "who follows a child's snapshots is not written": bodies("sync"),
  "mailboxes of a cascade that does not rest are not written": textOf(CASCADE_KEY, () => ({ mail: [] })),
  "what effects are still to come is not written": textOf(CASCADE_KEY, ({ frames }) => ({
    frames: frames.map((frame: object) => ({ ...frame, effects: [] })),
  })),
  "a parent that was not told yet is forgotten": textOf(CASCADE_KEY, ({ frames }) => ({
    frames: frames.map((frame: object) => ({ ...frame, isOpen: false })),
  })),
  "acts are computed again from the new rows": textOf(REDO_KEY, () => ({ rows: [], absent: [] })),
  "of several stimuli only the first is remembered": textOf(REDO_KEY, ({ stimuli }) => ({ stimuli: stimuli.slice(0, 1) })),
  "rows of actors that are gone stay": commits((commit) => ({ ...commit, gone: [] })),
  "a commit is torn: the last of its rows is missing": commits((commit) => ({
    ...commit,
    actors: commit.actors.slice(0, Math.max(1, commit.actors.length - 1)),
  })),
  "the counter of the run starts anew": commits((commit) => {
    const body = commit.run.body.replace(/"sequence":\d+/, '"sequence":1');
    const { definition, status } = commit.run;
    return { ...commit, run: { ...commit.run, body, checksum: runChecksum(commit.runId, definition, status, commit.from + 1, body) } };
  }),
  "an event that is sent again is applied again: ids of events are not written": commits((commit) => ({ ...commit, eventIds: [] })),
};

const ENGINE: Readonly<Record<string, Plant>> = {
  "timers are not taken up when a run comes back": () => void vi.spyOn(ActorTimers.prototype, "restore").mockReturnValue(false),
  "timers fire early": () => {
    const { set } = ActorTimers.prototype;
    vi.spyOn(ActorTimers.prototype, "set").mockImplementation(function (this: ActorTimers, scheduled, number, event) {
      set.call(this, { ...scheduled, delayMs: scheduled.delayMs - 10 }, number, event);
    });
  },
  "a cancel overlooks timers that came back": () => {
    const { restore, remove } = ActorTimers.prototype;
    const cameBack = new WeakSet<ActorTimer>();
    vi.spyOn(ActorTimers.prototype, "restore").mockImplementation(function (this: ActorTimers, actor) {
      const isToBeSaid = restore.call(this, actor);
      for (const timer of actor.timers) cameBack.add(timer);
      return isToBeSaid;
    });
    vi.spyOn(ActorTimers.prototype, "remove").mockImplementation(function (this: ActorTimers, actor, isVoid) {
      const isCancel = (timer: ActorTimer): boolean => isVoid({ ...timer }) && !isVoid({} as ActorTimer);
      remove.call(this, actor, (timer) => isVoid(timer) && !(cameBack.has(timer) && isCancel(timer)));
    });
  },
  "a send is answered before its commit": () => {
    const { takeCommit } = MachineRun.prototype;
    vi.spyOn(MachineRun.prototype, "takeCommit").mockImplementation(function (this: MachineRun, epoch) {
      const commit = takeCommit.call(this, epoch);
      this.sends.committed(this.commitNo + 1);
      return commit;
    });
  },
  "promises are not started again": () => void vi.spyOn(Deeds.prototype, "restart").mockImplementation(() => {}),
  "acts are not done again": () => void vi.spyOn(Deeds.prototype, "redo").mockImplementation(() => {}),
  "the error of a child is swallowed": () => {
    const { deliver } = Cascade.prototype;
    vi.spyOn(Cascade.prototype, "deliver").mockImplementation(function (this: Cascade, to, event) {
      if (!event.type.startsWith("xstate.error.actor.")) deliver.call(this, to, event);
    });
  },
  "who was busy in a cascade that goes on is forgotten": () => {
    vi.spyOn(Cascade.prototype, "resume").mockImplementation(function (this: Cascade, frames) {
      this.stack = frames;
    });
  },
  "a cascade that is too long is cut off": () => {
    const { run } = Cascade.prototype;
    vi.spyOn(Cascade.prototype, "run").mockImplementation(function (this: Cascade, turnsMax) {
      const isAtRest = run.call(this, turnsMax);
      if (!isAtRest) this.stack = [];
      return isAtRest;
    });
  },
  "refs come back as refs to the root": () => {
    const { untag } = ActorTable.prototype;
    vi.spyOn(ActorTable.prototype, "untag").mockImplementation(function (this: ActorTable, word, data) {
      return word === "actor" ? this.root.ref : untag.call(this, word, data);
    });
  },
};

describe.each(Object.entries({ ABLATIONS, SELDOM, STORED, ENGINE }))("noticed, %s:", (_, plants) => {
  test.each(Object.entries(plants))("%s", async (bug, plant) => {
    if (typeof plant === "function") plant();
    const found = await (plants === SELDOM ? huntByHand : hunt)(BEGIN[bug] ?? 1, typeof plant === "function" ? undefined : plant.wrap);
    console.log(`"${bug}": ${found ?? "never"}`);
    expect(found).toBeDefined();
  });
});

/** That the machines made by hand notice nothing then is what `conformance.test.ts` tests. */
test("without a planted bug nothing is noticed", async () => {
  expect(await hunt()).toBeUndefined();
});
