/**
 * The board's invariant for maps, loops, choices and events: fed the history, it shows what the rows say, at any moment.
 */
import { expect, test } from "vitest";
import { z } from "zod";
import { type Agent, type NodeHandle, type Run, type RunView, type Workflow, type WorkflowBuilder, agent, open, workflow } from "pawl";
import type { Board } from "../../src/serve/board.ts";
import { standingOf } from "../../src/serve/standing.ts";

const any = { input: z.any(), output: z.any(), retry: { maxAttempts: 2, initialInterval: "1ms" } } as const;
const echo = agent({ ...any, name: "echo", run: (input) => input as unknown });
/** Fails while this is true. */
let isLacking = true;
const lacking = agent({ ...any, name: "lacking", run: () => (isLacking ? Promise.reject(new Error("no")) : {}) });

const SEEDS = 40;

/** Numbers in [0, 1) from a seed. */
function draw(seed: number): () => number {
  return () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed / 2 ** 31;
  };
}

interface Given {
  list: number[];
  yes: boolean;
  way: string;
}

/** Adds nodes of all kinds; choices have some of their own. */
class Shapes {
  readonly #wf: WorkflowBuilder<Given>;
  readonly #next: () => number;
  #count = 0;

  constructor(wf: WorkflowBuilder<Given>, next: () => number) {
    this.#wf = wf;
    this.#next = next;
  }

  add(amount: number, depth: number): void {
    const nodes: NodeHandle<any>[] = [];
    for (let i = 0; i < amount; i++) nodes.push(this.#one({ after: nodes.filter(() => this.#next() < 0.3) }, depth));
  }

  #one(options: { readonly after: readonly NodeHandle<any>[] }, depth: number): NodeHandle<any> {
    const id = `n${this.#count++}`;
    const wf = this.#wf;
    const kind = this.#next();
    const call: Agent = this.#next() < 0.2 ? lacking : echo;
    const onFail = this.#next() < 0.5 ? ("skip" as const) : ("block" as const);
    const inner = (): void => this.add(2, depth + 1);
    if (kind < 0.2) return wf.map(id, wf.input.list, call, (item) => ({ item }), { ...options, onFail });
    if (kind < 0.35) return wf.repeat(id, call, {}, { ...options, onFail, max: 3 });
    if (kind < 0.5 && depth < 2) return wf.when(id, wf.input.yes, inner, inner, options);
    if (kind < 0.6 && depth < 2) return wf.route(id, wf.input.way, { one: inner, other: inner }, undefined, options);
    if (kind < 0.7) return wf.event(id, z.object({}), { ...options, onFail, timeout: this.#next() < 0.5 ? "5ms" : "1h" });
    return wf.node(id, call, {}, { ...options, onFail });
  }
}

function shapes(seed: number): Workflow {
  const next = draw(seed);
  return workflow({ name: `shapes-${seed}`, input: z.object({ list: z.array(z.number()), yes: z.boolean(), way: z.string() }) }, (wf) => {
    new Shapes(wf, next).add(8, 0);
    return {};
  });
}

async function boardOf(run: Run<unknown>): Promise<Board> {
  const standing = await standingOf(run, "workflow");
  if (standing.kind !== "workflow") throw new TypeError("a workflow's run has nodes");
  for await (const entry of run.history()) standing.board.apply(entry);
  return standing.board;
}

async function expectAgreement(run: Run<unknown>, what: string): Promise<void> {
  const views = await run.nodes();
  const board = await boardOf(run);
  const facts = ({ id, status, branch }: { id: string; status: string; branch: string | undefined }): object => ({ id, status, branch });
  expect(board.nodes.map(facts), what).toEqual(views.map(facts));
  expect(board.tally.size).toBe(views.length);
  for (const { id, parts } of board.top) if (parts !== undefined) expect(parts.tally.size).toBe(views.find((view) => view.id === id)?.items ?? 0);
}

/** Of a run that goes on: if nothing was committed meanwhile. */
async function expectAgreementAt(run: Run<unknown>, { commitNo, status, waitingFor }: RunView): Promise<void> {
  const views = await run.nodes();
  const board = await boardOf(run);
  if (status !== "running" || (await run.status()).commitNo !== commitNo) return;
  expect(board.nodes.map(({ id, status: of }) => [id, of])).toEqual(views.map(({ id, status: of }) => [id, of]));
  const awaiting = [...board.awaiting].map(({ id }) => id);
  for (const event of waitingFor?.events ?? []) expect(awaiting).toContain(event);
}

/** Sends what it waits for, until it has ended or waits no more. */
async function answered(run: Run<unknown>): Promise<void> {
  const end = { hasCome: false };
  const ended = run.ended().then(
    () => (end.hasCome = true),
    () => (end.hasCome = true),
  );
  while (!end.hasCome) {
    const view = await run.status();
    await expectAgreementAt(run, view);
    for (const type of view.waitingFor?.events ?? []) await run.send({ type }).catch(() => {});
    await new Promise(setImmediate);
  }
  await ended;
}

test("a board made from the history agrees with the rows, for random workflows of all shapes", async () => {
  await using pawl = await open(":memory:");
  for (let seed = 1; seed <= SEEDS; seed++) {
    isLacking = true;
    const run = await pawl.start(shapes(seed), { input: { list: [1, 2, 3], yes: seed % 2 === 0, way: "other" } });
    await answered(run);
    await expectAgreement(run, `seed ${seed}`);
    if ((await run.status()).status === "completed") continue;
    const failed = (await run.nodes()).filter(({ status }) => status === "failed").map(({ id }) => id);
    await run.retry({ nodes: failed.slice(0, 1) });
    await answered(run);
    await expectAgreement(run, `seed ${seed}, one tried again`);
    if ((await run.status()).status === "completed") continue;
    isLacking = false;
    await run.retry();
    await answered(run);
    await expectAgreement(run, `seed ${seed}, tried again`);
  }
});

test("it agrees for runs that were cancelled while they waited, and go on; and for forks", async () => {
  await using pawl = await open(":memory:");
  isLacking = false;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const run = await pawl.start(shapes(seed), { input: { list: [1, 2], yes: seed % 2 === 1, way: "other" } });
    await run.cancel().catch(() => {});
    await run.ended();
    await expectAgreement(run, `seed ${seed}, cancelled`);
    if ((await run.status()).status === "cancelled") await run.resume();
    await answered(run);
    await expectAgreement(run, `seed ${seed}, resumed`);
    const node = (await run.nodes()).findLast(({ status, memberOf }) => status === "completed" && memberOf === undefined);
    if (node === undefined) continue;
    const fork = await run.fork({ from: node.id });
    await answered(fork);
    await expectAgreement(fork, `seed ${seed}, forked from ${node.id}`);
  }
});
