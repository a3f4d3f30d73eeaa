/**
 * Forks and retries of random workflows of everything agree with the model: what is kept is not called, all else is.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { decode } from "../../src/run/codec.ts";
import { listCheckpoints } from "../../src/run/checkpoints.ts";
import { fork, planFork } from "../../src/run/fork.ts";
import type { WorkflowForkPlan } from "../../src/run/fork-plan.ts";
import { resumeRun, retryRun } from "../../src/run/reopen.ts";
import type { NodeView } from "../../src/run/view.ts";
import { seededRandom } from "../../src/testing/seeded-random.ts";
import { cases } from "../sim/cases.ts";
import { type Act, type NodeSpec, type Spec, hasRuns, shapeSpec, steady } from "../sim/shapes.ts";
import { type Fate, dependenciesOf, indexOf, isCall } from "../sim/shapes-model.ts";
import { ShapeRoom } from "../sim/shapes-room.ts";

const cut = { ending: fc.constantFrom("end", "end", "cancel", "crash"), afterMs: fc.integer({ min: 0, max: 40_000 }) } as const;

test("a fork from any commit, node or item ends as the model says, and calls what it said before", async () => {
  let [forks, kept] = [0, 0];
  const plot = fc.record({
    ...cut,
    froms: fc.array(fc.record({ isCommit: fc.boolean(), which: fc.nat(60), isSet: fc.boolean() }), { minLength: 1, maxLength: 4 }),
  });
  await fc.assert(
    fc.asyncProperty(shapeSpec(5), plot, async (spec, { ending, afterMs, froms }) => {
      const room = new ShapeRoom(spec);
      await room.played(ending, afterMs);
      room.process.kill();
      const made: Forked[] = [];
      for (const from of froms) {
        const forked = await forkedOf(room, from, made.length);
        made.push(forked);
        kept += forked.plan.keeps.length;
      }
      await room.begin();
      for (const { id } of made) room.send(id, id);
      for (const forked of made) await checkFork(room, forked);
      forks += made.length;
      room.process.kill();
    }),
    cases({ short: 30, long: 2_000 }),
  );
  console.log(`${forks} forks, which kept ${kept} nodes`);
  expect(kept).toBeGreaterThan(0);
}, 3_000_000);

interface Forked {
  readonly id: string;
  readonly plan: WorkflowForkPlan;
  readonly set: ReadonlyMap<string, Fate>;
}

const SET_VALUE = { value: 4, list: [{ value: 1 }], flag: true, way: "b" };
const SETTABLE: ReadonlySet<string> = new Set(["call", "event", "other", "when", "route"]);

async function forkedOf(room: ShapeRoom, { isCommit, which, isSet }: { isCommit: boolean; which: number; isSet: boolean }, number: number): Promise<Forked> {
  const { commitNo } = (await room.store.readRun("old"))!;
  const nodes = await nodesOf(room);
  const node = nodes[which % nodes.length]!;
  const from = isCommit ? 1 + (which % commitNo) : node.id;
  const isSettable = !isCommit && isSet && SETTABLE.has(room.spec[indexOf(node.id)]!.kind);
  const set = new Map<string, Fate>(isSettable ? [[node.id, { status: "completed", attempt: 0, value: SET_VALUE, isSet: true }]] : []);
  const options = { id: `fork${number}`, from, set: isSettable ? { [`${node.id}.result`]: SET_VALUE } : {} };
  const said = await planFork(room.store, "old", options);
  const { id, plan } = await fork({ store: room.store, clock: room.clock, random: seededRandom(1) }, "old", options);
  await room.reload(id);
  expect(plan).toEqual(said);
  const ended = await endedBy(room, typeof from === "number" ? from : commitNo);
  const anew = typeof from === "number" ? () => false : anewFrom(room.spec, from);
  const keeps = (plan as WorkflowForkPlan).keeps.map((keep) => keep.node);
  const wanted = nodes.map((view) => view.id).filter((other) => set.has(other) || (ended.has(other) && !anew(other)));
  // a group is kept when none of its members runs again
  const isOpen = (other: string): boolean =>
    nodes.some(({ id: member }) => parentOf(room.spec, member) === other && !wanted.includes(member) && isTaken(nodes, room.spec, member));
  const closed = [...wanted].toReversed().filter((other, _, all) => set.has(other) || !isOpen(other) || !all.includes(other));
  expect(keeps.toSorted()).toEqual(closed.toSorted());
  return { id, plan: plan as WorkflowForkPlan, set };
}

async function checkFork(room: ShapeRoom, { id, plan, set }: Forked): Promise<void> {
  const { nodes } = await room.ended(id, set);
  const keeps = new Set(plan.keeps.map(({ node }) => node));
  const called = nodes.filter((node) => isCall(room.spec, node.id) && !keeps.has(node.id) && ["completed", "skipped", "failed"].includes(node.status));
  expect([...room.callsOf(id)].toSorted()).toEqual(called.map((node) => node.id).toSorted());
}

async function nodesOf(room: ShapeRoom, runId = "old"): Promise<NodeView[]> {
  const { viewNodes } = await import("../../src/run/view.ts");
  return viewNodes(room.store, runId);
}

function parentOf(spec: Spec, id: string): string | undefined {
  if (id.endsWith("]")) return `n${indexOf(id)}`;
  const { within } = spec[indexOf(id)]!;
  return within === undefined ? undefined : `n${within.choice}`;
}

function isTaken(nodes: readonly NodeView[], spec: Spec, id: string): boolean {
  const { within } = spec[indexOf(id)]!;
  if (id.endsWith("]") || within === undefined) return true;
  const choice = nodes.find((node) => node.id === `n${within.choice}`)!;
  const { branches } = spec[within.choice] as Extract<NodeSpec, { by: unknown }>;
  return choice.branch === branches[within.branch]!.name;
}

/** Nodes that had ended with something to keep, by the history up to a commit. */
async function endedBy(room: ShapeRoom, commitNo: number): Promise<Set<string>> {
  const ended = new Set<string>();
  for await (const checkpoint of listCheckpoints(room.store, "old"))
    for (const { type, node } of checkpoint.commitNo <= commitNo ? checkpoint.events : [])
      if (type === "node.completed" || type === "node.skipped") ended.add(node!);
  return ended;
}

/** Says of each node whether it runs anew: the one from which is forked, its members, what depends on them, and what those lie in. */
function anewFrom(spec: Spec, from: string): (id: string) => boolean {
  const first = indexOf(from);
  const isItem = from.endsWith("]");
  // nodes with all of their members, and nodes of which only some member runs anew
  const whole = new Set<number>(isItem ? [] : [first]);
  const partly = new Set<number>(isItem ? [first] : []);
  for (let size = -1; size !== whole.size + partly.size;) {
    size = whole.size + partly.size;
    spec.forEach((node, index) => {
      if (dependenciesOf(node, spec).some((other) => whole.has(other) || partly.has(other))) whole.add(index);
      if (node.within !== undefined && whole.has(node.within.choice)) whole.add(index);
      if (node.within !== undefined && (whole.has(index) || partly.has(index))) partly.add(node.within.choice);
    });
  }
  const position = (id: string): number => Number(/\[(\d+)\]$/.exec(id)![1]);
  return (id) => {
    const index = indexOf(id);
    if (!id.endsWith("]")) return whole.has(index) || partly.has(index);
    if (whole.has(index) || index !== first || !isItem) return whole.has(index);
    return id === from || (spec[index]!.kind === "repeat" && position(id) > position(from));
  };
}

// ---- retry

test("a retry, or going on after a cancel, ends as the model says, whatever was repaired before, and calls only what had not ended well", async () => {
  let retries = 0;
  const round = fc.record({
    repaired: fc.array(fc.nat(20), { maxLength: 4 }),
    named: fc.option(fc.array(fc.nat(20), { minLength: 1, maxLength: 2 })),
    isAnew: fc.boolean(),
    resumes: fc.boolean(),
  });
  const plot = fc.record({
    ending: fc.constantFrom<"end" | "cancel">("end", "end", "cancel"),
    afterMs: cut.afterMs,
    rounds: fc.array(round, { minLength: 1, maxLength: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(shapeSpec(5).map(steady), plot, async (spec, { ending, afterMs, rounds }) => {
      const room = new ShapeRoom(spec);
      await room.played(ending, afterMs);
      for (const [number, { repaired, named, isAnew, resumes }] of rounds.entries()) {
        const { status } = (await room.store.readRun("old"))!;
        if (status === "completed") break;
        const before = await nodesOf(room);
        room.spec = room.spec.map((node, index) => (repaired.includes(index) ? fixed(node) : node));
        const failed = before.filter((node) => node.status === "failed").map(({ id }) => id);
        const nodes = named?.map((which) => failed[which % failed.length]).filter((id) => id !== undefined) ?? [];
        const isResume = resumes && status === "cancelled";
        const kept = keptFates(room, before, (id) => (isResume ? failed.includes(id) : nodes.length > 0 && failed.includes(id) && !nodes.includes(id)));
        if (isAnew) room.process.kill();
        const at = room.clock.now();
        const { runsAgain } = isResume
          ? await resumeRun(room.store, "old", { at })
          : await retryRun(room.store, "old", { at, ...(nodes.length > 0 && { nodes }) });
        retries++;
        await room.reload("old");
        room.callsOf("old").clear();
        if (isAnew) await room.begin();
        else await room.settled(room.process.pawl.reconcile());
        room.send("old", `wave${number}`);
        const { nodes: after } = await room.ended("old", kept, (id) => !hasRuns(room.spec[indexOf(id)]!));
        const ran = after.filter((node) => isCall(room.spec, node.id) && !kept.has(node.id) && ["completed", "skipped", "failed"].includes(node.status));
        expect([...room.callsOf("old")].toSorted()).toEqual(ran.map(({ id }) => id).toSorted());
        for (const { id } of ran) if (before.some((node) => node.id === id)) expect(runsAgain).toContain(id);
        for (const id of runsAgain) expect(kept.has(id)).toBe(false);
      }
      room.process.kill();
    }),
    cases({ short: 40, long: 2_000 }),
  );
  expect(retries).toBeGreaterThan(0);
}, 3_000_000);

function fixed(node: NodeSpec): NodeSpec {
  return "scripts" in node ? { ...node, scripts: [["ok", "ok", "ok"] as Act[]] } : node;
}

/** What stays as it was: what ended well, and what failed and is not tried again. */
function keptFates(room: ShapeRoom, before: readonly NodeView[], staysFailed: (id: string) => boolean): Map<string, Fate> {
  const kept = new Map<string, Fate>();
  for (const { id, status, attempt } of before) {
    const row = room.watch.row("old", id);
    if (status === "completed" || status === "skipped")
      kept.set(id, { status, attempt, alternative: row?.alternative ?? 0, ...(row?.output != null && { value: decode(row.output) }) });
    else if (status === "failed" && staysFailed(id)) kept.set(id, { status, attempt });
  }
  return kept;
}
