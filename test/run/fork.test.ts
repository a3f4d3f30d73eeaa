/**
 * Forks of workflows' runs: what is kept, what runs again, what can be set; and that a fork says it beforehand.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { agent } from "../../src/define/agent.ts";
import { workflow } from "../../src/define/workflow.ts";
import { type FindDefinition, type ForkRunOptions, fork, lineageOf, planFork } from "../../src/run/fork.ts";
import { listCheckpoints } from "../../src/run/checkpoints.ts";
import { definitionOf } from "../../src/run/definition.ts";
import type { ForkPlan, WorkflowForkPlan } from "../../src/run/fork-plan.ts";
import type { Commit, Store } from "../../src/store/store.ts";
import { summaryOf } from "../../src/run/view.ts";
import { cases } from "../sim/cases.ts";
import { type DagSpec, dagSpec, expectedOf, workflowOf } from "../sim/dag.ts";
import { MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";
import { replacing } from "../sim/process.ts";
import { seededRandom } from "../../src/testing/seeded-random.ts";

/** A room with a small research workflow, whose calls are counted. */
class Research extends MachineRoom {
  readonly calls: string[] = [];
  /** Nodes whose agent fails. */
  readonly broken = new Set<string>();

  readonly flow = anyWorkflow("research", (wf) => {
    const answers = anyAgent("answers", (given, { nodeId, idempotencyKey }) => this.#answer(given, nodeId, idempotencyKey), { retry: { maxAttempts: 1 } });
    const plan = wf.node("plan", answers, { topic: wf.input.topic });
    const web = wf.node("web", answers, { q: plan.result.questions[0] });
    const docs = wf.node("docs", answers, { q: plan.result.questions[1] });
    const notes = wf.node("notes", answers, { depth: wf.input.depth });
    const report = wf.node("report", answers, { web: web.result.said, docs: docs.result.said, notes: notes.result.said });
    return { report: report.result.said };
  });

  #answer(given: any, node: string, key: string): unknown {
    this.calls.push(key);
    if (this.broken.has(node)) throw new Error("no");
    return { said: `${node}(${Object.values(given).join(",")})`, questions: [`${given.topic}?`, `${given.topic}!`] };
  }

  get seams(): Parameters<typeof fork>[0] {
    return { store: this.store, clock: this.clock, random: seededRandom(1) };
  }

  /** The run `id`, when it has ended. */
  async played(id = "old"): Promise<void> {
    const process = await this.boot([this.flow]);
    await this.settled((await this.settled(process.pawl.start(this.flow, { id, input: { topic: "ratchets", depth: 1 } }))).ended());
    await this.settled(process.pawl.close());
  }

  /** The output of a fork, and the keys under which its agents were called. */
  async forked(options: ForkRunOptions, id = "old"): Promise<{ output: any; calls: string[]; plan: WorkflowForkPlan; id: string }> {
    this.calls.length = 0;
    const { id: forkId, plan } = await fork(this.seams, id, { id: "new", ...options });
    const process = await this.boot([this.flow]);
    const { output } = await this.settled((await this.settled(process.pawl.run(forkId))).ended());
    await this.settled(process.pawl.close());
    return { output, calls: [...this.calls], plan: plan as WorkflowForkPlan, id: forkId };
  }
}

async function researched(): Promise<Research> {
  const room = new Research();
  await room.played();
  return room;
}

const BEFORE = { report: "report(web(ratchets?),docs(ratchets!),notes(1))" };

describe("a fork from a node", () => {
  test("runs that node and its dependents again, under keys of its own, and keeps the rest", async () => {
    const room = await researched();
    const { output, calls, plan } = await room.forked({ from: "web" });
    expect(plan).toMatchObject({ kind: "workflow", runId: "old", from: "web", runsAgain: ["web", "report"], outdated: [], changes: [] });
    expect(plan.keeps.map(({ node, status }) => `${node} ${status}`)).toEqual(["plan completed", "docs completed", "notes completed"]);
    expect(calls).toEqual(["new/web#1", "new/report#1"]);
    expect(output).toEqual(BEFORE);
  });

  test("with another input gives another output, and names what is kept though it had read the old one", async () => {
    const room = await researched();
    const { output, plan } = await room.forked({ from: "notes", set: { "input.depth": 7, "input.topic": "cogs" } });
    expect(output).toEqual({ report: "report(web(ratchets?),docs(ratchets!),notes(7))" });
    expect(plan.changes).toEqual([
      { path: "input.depth", before: 1, after: 7 },
      { path: "input.topic", before: "ratchets", after: "cogs" },
    ]);
    expect(plan.outdated).toEqual(["plan", "web", "docs"]);
  });

  test("whose result is set does not run: its dependents do, with a part of the result changed", async () => {
    const room = await researched();
    const { output, calls, plan } = await room.forked({ from: "plan", set: { "plan.result.questions[0]": "why?" } });
    expect(plan.keeps).toEqual([
      { node: "plan", status: "set" },
      { node: "notes", status: "completed" },
    ]);
    expect(plan.changes).toEqual([{ path: "plan.result.questions[0]", before: "ratchets?", after: "why?" }]);
    expect(calls).not.toContain("new/plan#1");
    expect(output).toEqual({ report: "report(web(why?),docs(ratchets!),notes(1))" });
  });

  test("takes what had failed elsewhere along as something that runs again, unless its result is set", async () => {
    const room = new Research();
    room.broken.add("docs");
    await room.played();
    expect((await planFork(room.store, "old", { from: "web" })) as WorkflowForkPlan).toMatchObject({ runsAgain: ["web", "docs", "report"] });
    const { output, calls, plan } = await room.forked({ from: "report", set: { "docs.result": { said: "by hand" } } });
    expect(plan.runsAgain).toEqual(["report"]);
    expect(plan.keeps).toContainEqual({ node: "docs", status: "set" });
    expect(calls).toEqual(["new/report#1"]);
    expect(output).toEqual({ report: "report(web(ratchets?),by hand,notes(1))" });
  });
});

test("a fork from a commit keeps what had ended by then", async () => {
  const room = await researched();
  const checkpoints = await Array.fromAsync(listCheckpoints(room.store, "old"));
  expect(checkpoints.every(({ canFork }) => canFork)).toBe(true);
  expect(checkpoints.map(({ commitNo }) => commitNo)).toEqual(checkpoints.map((_, i) => i + 1));
  const done = new Set<string>();
  for (const { commitNo, events } of checkpoints) {
    for (const { type, node } of events) if (type === "node.completed") done.add(node!);
    const plan = (await planFork(room.store, "old", { from: commitNo })) as WorkflowForkPlan;
    expect(new Set(plan.keeps.map(({ node }) => node))).toEqual(done);
    const { output, calls } = await room.forked({ from: commitNo, id: `new${commitNo}` });
    expect(calls.toSorted()).toEqual(plan.runsAgain.map((node) => `new${commitNo}/${node}#1`).toSorted());
    expect(output).toEqual(BEFORE);
  }
  expect(done.size).toBe(5);
});

test("a fork of a fork knows where it came from, as long as that is there", async () => {
  const room = await researched();
  await room.store.commit([]);
  await room.forked({ from: "web", id: "second", subject: "ratchets", tags: ["again"] });
  await room.forked({ from: 1, id: "third" }, "second");
  const origin = (runId: string, commitNo: number, from: string | number): object => ({ runId, commitNo, from });
  const { commitNo } = (await room.store.readRun("old"))!;
  expect(await lineageOf(room.store, "third")).toEqual([origin("second", 1, 1), origin("old", commitNo, "web")]);
  expect(await lineageOf(room.store, "old")).toEqual([]);
  const third = (await room.store.readRun("third"))!;
  expect(summaryOf(third)).toMatchObject({ subject: "ratchets", tags: ["again"], forkedFrom: origin("second", 1, 1) });
  expect((await room.store.readHistory("third", 0, 1))[0]!.body).toBe('[["run.forked"]]');
  await room.store.discard({ status: "completed", endedBefore: room.clock.now() + 1, workflow: "research" }, 1);
  expect(await lineageOf(room.store, "second")).toEqual([origin("old", commitNo, "web")]);
});

describe("what cannot be forked is refused, with what to do instead", () => {
  const refusals: [string, ForkRunOptions, string, RegExp][] = [
    ["an unknown node", { from: "wep" }, "PAWL_INVALID_VALUE", /no node "wep"; did you mean "web"\? {3}nodes: plan, web/],
    ["a commit that is not there", { from: 99 }, "PAWL_INVALID_VALUE", /no commit 99; its commits are 1 to/],
    ["no whole commit", { from: 1.5 }, "PAWL_INVALID_VALUE", /no commit 1.5/],
    ["an unknown node in set", { from: "web", set: { "plam.result.x": 1 } }, "PAWL_INVALID_VALUE", /no node "plam".* did you mean "plan"/],
    ["a path without .result", { from: "web", set: { "plan.questions": 1 } }, "PAWL_INVALID_VALUE", /lacks \.result/],
    ["no path at all", { from: "web", set: { "input topic": 1 } }, "PAWL_INVALID_VALUE", /cannot set "input topic"/],
    ["two paths in one", { from: "web", set: { "input.a} ${input.b": 1 } }, "PAWL_INVALID_VALUE", /it is not a path/],
    ["a path through text", { from: "web", set: { "input.topic.name": 1 } }, "PAWL_INVALID_VALUE", /"topic" is a string, which has no "name"/],
    ["a path through nothing", { from: "web", set: { "input.topics.name": 1 } }, "PAWL_INVALID_VALUE", /has no "topics"; it has topic, depth/],
    ["a gap in a list", { from: "web", set: { "plan.result.questions[5]": 1 } }, "PAWL_INVALID_VALUE", /has 2 items/],
    ["a name in a list", { from: "web", set: { "plan.result.questions.length": 1 } }, "PAWL_INVALID_VALUE", /items have numbers/],
    ["a prototype", { from: "web", set: { "input.__proto__": { a: 1 } } }, "PAWL_INVALID_VALUE", /__proto__/],
    ["a prototype's field", { from: "web", set: { "input.constructor.name": 1 } }, "PAWL_INVALID_VALUE", /has no "constructor"/],
    ["a value that cannot be stored", { from: "web", set: { "input.topic": () => 1 } }, "PAWL_VALUE_NOT_STORABLE", /function/],
    ["a taken id", { from: "web", id: "old" }, "PAWL_RUN_CONFLICT", /there is a run "old" already/],
    ["a bad id", { from: "web", id: "a/b" }, "PAWL_INVALID_ID", /run id/],
  ];
  test.each(refusals)("%s", async (_, options, code, message) => {
    const room = await researched();
    await expect(fork(room.seams, "old", options)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(await room.store.listRuns({ limit: 10 })).toHaveLength(1);
  });

  test("a part of a result that is not there", async () => {
    const room = await researched();
    const options = { from: 1, set: { "web.result.said": "x" } };
    await expect(fork(room.seams, "old", options)).rejects.toMatchObject({ code: "PAWL_INVALID_VALUE", next: 'set "web.result" as a whole' });
  });

  test("a run that nobody knows, and one that was set aside", async () => {
    const room = await researched();
    await expect(planFork(room.store, "nobody", { from: 1 })).rejects.toMatchObject({ code: "PAWL_RUN_NOT_FOUND" });
    room.store.tamper("old", ({ run }) => Object.assign(run, { status: "quarantined", reason: "its rows are damaged" }));
    const refused = { code: "PAWL_RUN_QUARANTINED", message: expect.stringContaining("its rows are damaged") };
    await expect(planFork(room.store, "old", { from: "web" })).rejects.toMatchObject(refused);
    await expect(fork(room.seams, "old", { from: 1 })).rejects.toMatchObject(refused);
    expect((await Array.fromAsync(listCheckpoints(room.store, "old"))).some(({ canFork }) => canFork)).toBe(false);
  });

  test("damaged rows", async () => {
    const room = await researched();
    room.store.tamper("old", ({ actors }) => actors.set("plan", { ...actors.get("plan")!, output: '{"said":"other"}' }));
    await expect(planFork(room.store, "old", { from: "web" })).rejects.toMatchObject({ code: "PAWL_ROW_CORRUPT" });
  });
});

test("what is set is checked by the schemas, where the definition is known", async () => {
  const doubles = agent({ name: "doubles", input: z.object({ n: z.number() }), output: z.object({ n: z.number() }), run: async ({ n }) => ({ n: n * 2 }) });
  const flow = workflow({ name: "doubling", input: z.object({ n: z.number(), unit: z.string().default("m") }) }, (wf) => {
    const first = wf.node("first", doubles, { n: wf.input.n });
    const second = wf.node("second", doubles, { n: first.result.n });
    return { n: second.result.n, unit: wf.input.unit };
  });
  const room = new MachineRoom();
  const process = await room.boot([flow]);
  await room.settled((await room.settled(process.pawl.start(flow, { id: "old", input: { n: 1 } }))).ended());
  const find: FindDefinition = (hash) => (hash === flow.plan.hash ? definitionOf(flow) : undefined);
  const seams = { store: room.store, clock: room.clock, random: seededRandom(1) };
  await expect(fork(seams, "old", { from: "first", set: { "input.n": "two" } }, find)).rejects.toMatchObject({ code: "PAWL_INPUT_INVALID" });
  const wrong = fork(seams, "old", { from: "second", set: { "first.result": { m: 1 } } }, find);
  await expect(wrong).rejects.toMatchObject({ code: "PAWL_INVALID_VALUE", message: expect.stringContaining('node "first"') });
  await fork(seams, "old", { id: "new", from: "first", set: { input: { n: 5 } } }, find);
  await room.settled(process.pawl.reconcile());
  const { output } = await room.settled((await room.settled(process.pawl.run("new"))).ended());
  expect(output).toEqual({ n: 20, unit: "m" });
});

/** A run of two steps that can be undone and a last one that fails, for which they are. */
async function unwound({ hangs = false, cancels = false } = {}): Promise<{
  room: MachineRoom;
  calls: string[];
  flow: ReturnType<typeof anyWorkflow>;
  first: number;
}> {
  const room = new MachineRoom();
  const calls: string[] = [];
  let isFixed = false;
  const step = anyAgent(
    "step",
    (_, { nodeId, idempotencyKey }) => {
      calls.push(idempotencyKey);
      if (nodeId !== "ship" || isFixed) return nodeId;
      isFixed = true;
      return cancels ? never() : Promise.reject(new Error("no ship"));
    },
    { retry: { maxAttempts: 1 } },
  );
  const undo = anyAgent("undo", (_, { nodeId }) => (calls.push(nodeId), hangs && nodeId.startsWith("pay") ? never() : null), { timeout: "10d" });
  const flow = anyWorkflow("saga", (wf) => {
    const pay = wf.node("pay", step, wf.input, { compensate: undo });
    const pack = wf.node("pack", step, pay.result, { compensate: undo });
    return wf.node("ship", step, pack.result, { onFail: "compensate" }).result;
  });
  const process = await room.boot([flow]);
  const run = await room.settled(process.pawl.start(flow, { id: "old", input: 1 }));
  await room.clock.advance(100);
  if (cancels) await room.settled(run.cancel());
  if (!hangs) await room.settled(run.ended());
  process.kill();
  const began = (await Array.fromAsync(listCheckpoints(room.store, "old"))).find(({ events }) => events.some(({ type }) => type === "run.compensating"))!;
  return { room, calls, flow, first: began.commitNo };
}

test.each([{}, { hangs: true }, { cancels: true }])("what was undone, or is being undone, is not forked, but from before that: %o", async (how) => {
  const { room, calls, flow, first } = await unwound(how);
  const { commitNo: newest } = (await room.store.readRun("old"))!;
  expect(newest).toBeGreaterThan(first);
  expect((await Array.fromAsync(listCheckpoints(room.store, "old"))).map(({ canFork }) => canFork)).toEqual(
    Array.from({ length: newest }, (_, i) => i + 1 < first),
  );
  const from = (point: string | number): Promise<ForkPlan> => planFork(room.store, "old", { from: point });
  for (const point of [...Array.from({ length: newest - first + 1 }, (_, i) => first + i), "pay", "ship"])
    await expect(from(point)).rejects.toMatchObject({
      code: "PAWL_INVALID_VALUE",
      message: expect.stringContaining(`is undone from commit ${first} on`) as string,
      next: expect.stringContaining(`fork it from commit ${first - 1}`) as string,
      data: { last: first - 1 },
    });
  expect(await from(1)).toMatchObject({ keeps: [], runsAgain: ["pay", "pack", "ship"], undone: [] });
  expect(await from(first - 1)).toMatchObject({
    keeps: ["pay", "pack"].map((node) => ({ node, status: "completed" })),
    runsAgain: ["ship"],
    undone: how.hangs ? ["pack"] : ["pay", "pack"],
  });
  calls.length = 0;
  const { id } = await fork({ store: room.store, clock: room.clock, random: seededRandom(1) }, "old", { from: first - 1, id: "new" });
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.run(id));
  expect(await room.settled(run.ended())).toMatchObject({ status: "completed", output: "ship", compensated: false });
  expect(calls.filter((call) => call.startsWith("new"))).toEqual(["new/ship#1"]);
  // whoever goes on with the old run still knows when that began
  const since = (await Array.fromAsync(listCheckpoints(room.store, "old"))).filter(({ canFork }) => canFork);
  expect(since).toHaveLength(first - 1);
  expect((await room.store.readRun("old"))!.commitNo).toBeGreaterThan(how.hangs ? newest : 0);
  expect((await room.store.readActors("new")).map(({ key }) => key).filter((key) => key.includes("[undo]"))).toEqual([]);
});

test("a compensation is no node to fork from", async () => {
  const room = await researched();
  await expect(planFork(room.store, "old", { from: "web[undo]" })).rejects.toMatchObject({ code: "PAWL_INVALID_VALUE" });
});

test("a fork of which nobody says whether it was written is found, or said not to be there", async () => {
  const room = await researched();
  const store = bound(room.store);
  const written = replacing(store, { commit: async (group: readonly Commit[]) => (await room.store.commit(group)).map(() => "unknown" as const) });
  const lost = replacing(store, { commit: async () => ["unknown" as const] });
  const full = replacing(store, { commit: async () => ["full" as const] });
  await expect(fork({ ...room.seams, store: lost }, "old", { from: 1, id: "a" })).rejects.toMatchObject({ code: "PAWL_STORE_FAILED" });
  await expect(fork({ ...room.seams, store: full }, "old", { from: 1, id: "a" })).rejects.toMatchObject({ code: "PAWL_STORE_FULL" });
  expect((await fork({ ...room.seams, store: written }, "old", { from: 1, id: "a" })).id).toBe("a");
  expect((await room.store.readRun("a"))!.epoch).toBe(0);
});

function bound(store: Store): Store {
  return new Proxy(store, { get: (inner, key: keyof Store) => (inner[key] as () => unknown).bind(inner) });
}

// ---- random workflows

/** The nodes that depend on one, with itself. */
function dependents(spec: DagSpec, first: number): Set<number> {
  const found = new Set([first]);
  spec.forEach(({ reads, after }, index) => [...reads, ...after].some((dependency) => found.has(dependency)) && found.add(index));
  return found;
}

const rowsOf = async ({ store }: MachineRoom, id: string): Promise<string> =>
  JSON.stringify([await store.readRun(id), await store.readActors(id), await store.readHistory(id, 0, 1_000)]);

/** A run that was played for so many ms, and then cancelled, or left by a process that died. */
async function played(spec: DagSpec, afterMs: number, ending: "cancel" | "crash" | "end"): Promise<{ room: MachineRoom; calls: Map<string, Set<number>> }> {
  const room = new MachineRoom();
  const calls = new Map<string, Set<number>>();
  let isAlive = (): boolean => true;
  const flow = workflowOf(spec, () => ({
    called: (index, { runId }) => isAlive() && !!(calls.get(runId) ?? calls.set(runId, new Set()).get(runId)!).add(index),
    later: (delayMs, callback) => void room.clock.after(delayMs, callback),
  }));
  const process = await room.boot([flow]);
  isAlive = () => process.isAlive;
  const run = await room.settled(process.pawl.start(flow, { id: "old", input: { start: 1 } }));
  if (ending === "end") await room.settled(run.ended());
  else await room.clock.advance(afterMs);
  if (ending === "cancel") await room.settled(run.cancel());
  process.kill();
  Object.assign(room, { flow });
  isAlive = () => true;
  return { room, calls };
}

/** Nodes that had ended with something to keep, by the history up to a commit. */
async function endedBy(room: MachineRoom, commitNo: number): Promise<Set<number>> {
  const ended = new Set<number>();
  for await (const checkpoint of listCheckpoints(room.store, "old"))
    for (const { type, node } of checkpoint.commitNo <= commitNo ? checkpoint.events : [])
      if (type === "node.completed" || type === "node.skipped") ended.add(Number(node!.slice(1)));
  return ended;
}

test("a fork from any commit, any node and with any result set ends as the model says, and calls what it said before", async () => {
  let forks = 0;
  await fc.assert(
    fc.asyncProperty(
      dagSpec(6),
      fc.integer({ min: 0, max: 30_000 }),
      fc.constantFrom("cancel", "crash", "end"),
      fc.nat(5),
      async (spec, afterMs, ending, setNode) => {
        const { room, calls } = await played(spec, afterMs, ending);
        const before = await rowsOf(room, "old");
        const { commitNo: newest, status } = (await room.store.readRun("old"))!;
        const froms = [...Array.from({ length: newest }, (_, i) => i + 1), ...spec.map((_, i) => `n${i}`)];
        const made: { id: string; plan: ForkPlan; given: Map<number, number> }[] = [];
        for (const from of froms)
          for (const isSet of [false, true]) {
            const given = new Map(isSet ? [[setNode % spec.length, 1_000]] : []);
            const set = Object.fromEntries([...given].map(([index, value]) => [`n${index}.result`, { value }]));
            const options = { id: `fork-${from}-${isSet}`, from, set };
            const said = await planFork(room.store, "old", options);
            const { id, plan } = await fork({ store: room.store, clock: room.clock, random: seededRandom(1) }, "old", options);
            expect(plan).toEqual(said);
            const ended = await endedBy(room, typeof from === "number" ? from : newest);
            const anew = typeof from === "number" ? new Set() : dependents(spec, Number(from.slice(1)));
            const kept = spec.map((_, i) => i).filter((i) => given.has(i) || (ended.has(i) && !anew.has(i)));
            expect((plan as WorkflowForkPlan).keeps.map(({ node }) => node)).toEqual(kept.map((i) => `n${i}`));
            made.push({ id, plan, given });
          }
        expect(await rowsOf(room, "old")).toBe(before);
        calls.clear();
        const process = await room.boot([(room as never as { flow: ReturnType<typeof workflowOf> }).flow]);
        for (const { id, plan, given } of made) {
          forks++;
          const run = await room.settled(process.pawl.run(id));
          const ended = await room.settled(run.ended());
          const nodes = await run.nodes();
          const known = new Map(given);
          // what is kept was computed from what the old run had, and what runs again from what is set
          const expected = expectedWithKept(spec, plan as WorkflowForkPlan, known);
          expect([ended.status, nodes.map((node) => [node.status, node.attempt])]).toEqual([
            expected.status,
            expected.nodes.map((node) => [node.status, node.attempt]),
          ]);
          if (expected.status === "completed") expect(ended.output).toEqual({ values: expected.nodes.map(({ value }) => value) });
          const runsAgain = new Set((plan as WorkflowForkPlan).runsAgain);
          const wanted = expected.nodes.flatMap((node, i) => (runsAgain.has(`n${i}`) && node.status !== "blocked" ? i : []));
          expect([...(calls.get(id) ?? [])].toSorted((a, b) => a - b)).toEqual(wanted);
        }
        if (status !== "running") expect(await rowsOf(room, "old")).toBe(before);
        process.kill();
      },
    ),
    cases({ short: 60, long: 1_500 }),
  );
  expect(forks).toBeGreaterThan(100);
}, 900_000);

/** The model, in which kept nodes have what the old run gave them. */
function expectedWithKept(spec: DagSpec, plan: WorkflowForkPlan, given: ReadonlyMap<number, number>): ReturnType<typeof expectedOf> {
  const old = expectedOf(spec);
  const kept = new Map(plan.keeps.filter(({ status }) => status === "completed").map(({ node }) => [Number(node.slice(1)), node]));
  const fixed = new Map(given);
  for (const index of kept.keys()) fixed.set(index, old.nodes[index]!.value!);
  const skipped = new Set(plan.keeps.filter(({ status }) => status === "skipped").map(({ node }) => Number(node.slice(1))));
  const known = expectedOf(spec, fixed);
  return { ...known, nodes: known.nodes.map((node, i) => (kept.has(i) ? { ...node, attempt: old.nodes[i]!.attempt } : skipped.has(i) ? old.nodes[i]! : node)) };
}
