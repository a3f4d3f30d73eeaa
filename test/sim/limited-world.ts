/**
 * Random workflows under random limits on workers that die and come back. What runs at any instant, and what was used
 * within any time, is recounted from the histories of the runs, commit by commit, and held against the limits.
 */
import fc from "fast-check";
import type { Agent } from "../../src/define/agent.ts";
import type { LimitsOptions } from "../../src/define/limits.ts";
import type { Workflow } from "../../src/define/workflow.ts";
import type { Run } from "../../src/run/handle.ts";
import { readHistoryEntry } from "../../src/run/history.ts";
import type { Commit, Outcome } from "../../src/store/store.ts";
import { MachineRoom, anyAgent, anyWorkflow } from "./machine-room.ts";
import type { SimProcess } from "./process.ts";
import { seededRandom } from "./random.ts";

const PER_MS = 10_000;
/** By then everything has ended that can. */
const END_MS = 1_200_000;
const TENANTS = ["a", "b", undefined];

const use = fc.record({ held: fc.nat(2), window: fc.nat(2), mine: fc.nat(1), concurrency: fc.nat(3), hasTimeout: fc.boolean() });
const node = fc.record({ agent: fc.nat(2), after: fc.nat(6) });
const action = fc.record({
  afterMs: fc.nat(4_000),
  kind: fc.constantFrom("crash" as const, "pause" as const, "resume" as const, "cancel" as const, "clockBack" as const, "nothing" as const),
  which: fc.nat(9),
});

export const LIMITED = fc.record({
  seed: fc.nat(),
  held: fc.integer({ min: 2, max: 4 }),
  window: fc.integer({ min: 2, max: 6 }),
  mine: fc.integer({ min: 1, max: 2 }),
  uses: fc.array(use, { minLength: 3, maxLength: 3 }),
  nodes: fc.array(node, { minLength: 1, maxLength: 7 }),
  runs: fc.array(fc.record({ tenant: fc.nat(2), priority: fc.integer({ min: -2, max: 2 }) }), { minLength: 1, maxLength: 5 }),
  workers: fc.integer({ min: 1, max: 2 }),
  /** So long after a group was applied its worker hears of it. */
  heardAfterMs: fc.constantFrom(0, 0, 5, 40),
  actions: fc.array(action, { maxLength: 12 }),
});
type Plan = typeof LIMITED extends fc.Arbitrary<infer P> ? P : never;

/** An attempt, as the history tells of it. */
interface Attempted {
  readonly epoch: number;
  readonly agent: number;
  readonly tenant: string | undefined;
  readonly at: number;
  /** Of the window. */
  amount: number;
  /** It had waited for too long, and was never called. */
  isRefused: boolean;
}

/** One after the other: what began and what ended with a group of commits. */
interface Step {
  readonly at: number;
  readonly began: Attempted[];
  readonly ended: Attempted[];
}

export class LimitedWorld {
  readonly room = new MachineRoom();
  /** What was more than its limit, in words. */
  readonly exceeded: string[] = [];
  started = 0;
  readonly #plan: Plan;
  readonly #flow: Workflow;
  readonly #limits: LimitsOptions;
  readonly #running = new Map<string, Attempted>();
  readonly #steps: Step[] = [];
  #processes: SimProcess[] = [];

  constructor(plan: Plan) {
    this.#plan = plan;
    const { held, window, mine } = plan;
    this.#limits = { held: { max: held }, window: { max: window, per: `${PER_MS}ms` }, mine: { max: mine, each: "tenant" } };
    const agents = plan.uses.map((_, i) => this.#agent(i));
    this.#flow = anyWorkflow("limited", (wf) => {
      const nodes: ReturnType<typeof wf.node>[] = [];
      for (const { agent, after } of plan.nodes)
        nodes.push(wf.node(`n${nodes.length}`, agents[agent]!, null, { onFail: "skip", after: after < nodes.length ? [nodes[after]!] : [] }));
    });
  }

  #agent(i: number): Agent {
    const { held, window, mine, concurrency, hasTimeout } = this.#plan.uses[i]!;
    const random = seededRandom(this.#plan.seed + i);
    const uses = { ...(held > 0 && { held }), ...(window > 0 && { window }), ...(mine > 0 && { mine }) };
    const waits = concurrency > 0 || Object.keys(uses).length > 0;
    return anyAgent(
      `agent${i}`,
      async (_, ctx) => {
        await new Promise<void>((resolve) => this.room.clock.after(Math.floor(random.next() * 3_000), resolve));
        if (window > 0 && !ctx.signal.aborted && random.next() < 0.3) this.#corrects(`${ctx.runId}/${ctx.nodeId}`, () => ctx.used({ window: 1 }));
        if (random.next() < 0.2) throw new Error("it is not its day");
      },
      { uses, ...(concurrency > 0 && { concurrency }), ...(hasTimeout && waits && { queueTimeout: "20s" }), retry: { maxAttempts: 2, initialInterval: "1s" } },
    );
  }

  #corrects(key: string, tell: () => void): void {
    const attempted = this.#running.get(key);
    tell();
    if (attempted !== undefined) attempted.amount = 1;
  }

  async play(): Promise<void> {
    const { workers, runs, actions } = this.#plan;
    for (let n = 0; n < workers; n++) await this.#boot();
    for (const [n, { tenant, priority }] of runs.entries()) {
      const { pawl } = this.#processes[n % this.#processes.length]!;
      const of = TENANTS[tenant];
      await this.room.settled(pawl.start(this.#flow, { id: this.#idOf(n), input: null, priority, ...(of !== undefined && { tenant: of }) }));
    }
    for (const { afterMs, kind, which } of actions) {
      await this.room.clock.advance(afterMs);
      await this.#act(kind, which);
    }
    for (const [n] of runs.entries()) {
      const run = await this.#processes[0]!.pawl.run(this.#idOf(n));
      if ((await run.status()).status === "paused") await this.room.settled(run.resume().catch(() => {}));
      await this.#ends(run);
    }
    for (const process of this.#processes) process.kill();
    this.#recount();
  }

  async #ends(run: Run<unknown>): Promise<void> {
    let hasEnded = false;
    void run.result().then(
      () => (hasEnded = true),
      () => (hasEnded = true),
    );
    await this.room.clock
      .until(() => hasEnded, END_MS)
      .catch(async (error: unknown) => {
        throw new Error(JSON.stringify((await run.why()).causes), { cause: error });
      });
  }

  #idOf(n: number): string {
    return `r${n % this.#plan.runs.length}`;
  }

  async #boot(): Promise<void> {
    this.#processes.push(
      await this.room.boot([this.#flow], { limits: this.#limits, seed: this.#plan.seed, onApplied: (...applied) => this.#applied(...applied) }),
    );
  }

  async #act(kind: Plan["actions"][number]["kind"], which: number): Promise<void> {
    if (kind === "crash") {
      const [process] = this.#processes.splice(which % this.#processes.length, 1);
      const epochs = new Set((await process!.pawl.workers()).map(({ epoch }) => epoch));
      process!.kill();
      await this.#boot();
      for (const { epoch } of await this.#processes[0]!.pawl.workers()) epochs.delete(epoch);
      const step = this.#newStep();
      for (const [key, { epoch }] of this.#running) if (epochs.has(epoch)) this.#end(step, key);
    } else if (kind === "clockBack") {
      // workers that began before and after it would not agree when a window is over
      this.room.clock.wallOffsetMs -= which * 1_000;
    } else if (kind !== "nothing") {
      const run = await this.#processes[0]!.pawl.run(this.#idOf(which));
      await this.room.settled(run[kind]().catch(() => {}));
    }
  }

  // ---- the recount

  #newStep(): Step {
    const step: Step = { at: this.room.clock.mono(), began: [], ended: [] };
    this.#steps.push(step);
    return step;
  }

  #end(step: Step, key: string, code?: string): void {
    const attempted = this.#running.get(key);
    if (attempted === undefined) return;
    attempted.isRefused = code === "PAWL_QUEUE_TIMEOUT";
    step.ended.push(attempted);
    this.#running.delete(key);
  }

  #applied(group: readonly Commit[], outcomes: readonly Outcome[]): Promise<void> | undefined {
    const step = this.#newStep();
    for (const [i, commit] of group.entries()) if (outcomes[i] === "committed") this.#note(step, commit);
    const { heardAfterMs } = this.#plan;
    return heardAfterMs === 0 ? undefined : new Promise((resolve) => void this.room.clock.after(heardAfterMs, resolve));
  }

  #note(step: Step, { runId, epoch, at, history, from, run }: Commit): void {
    for (const [key, running] of this.#running) if (key.startsWith(`${runId}/`) && running.epoch !== epoch) this.#end(step, key);
    const { events } = readHistoryEntry({ commitNo: from + 1, at, body: history });
    for (const { type, node: id, code } of events) {
      if (id === undefined) continue;
      const key = `${runId}/${id}`;
      this.#end(step, key, code);
      if (type !== "node.started") continue;
      const { agent } = this.#plan.nodes[Number(id.slice(1))]!;
      const tenant = TENANTS[this.#plan.runs[Number(runId.slice(1))]!.tenant];
      const attempted = { epoch, agent, tenant, at: step.at, amount: this.#plan.uses[agent]!.window, isRefused: false };
      this.#running.set(key, attempted);
      step.began.push(attempted);
    }
    if (run.finished) for (const key of this.#running.keys()) if (key.startsWith(`${runId}/`)) this.#end(step, key);
  }

  #recount(): void {
    const running = new Set<Attempted>();
    const all: Attempted[] = [];
    for (const { at, began, ended } of this.#steps) {
      for (const attempted of ended) running.delete(attempted);
      const called = began.filter(({ isRefused }) => !isRefused);
      all.push(...called);
      this.started += called.length;
      for (const attempted of called) if (!ended.includes(attempted)) running.add(attempted);
      this.#check(at, [...running], all);
    }
  }

  #check(now: number, running: readonly Attempted[], all: readonly Attempted[]): void {
    const { uses, held, mine, window, heardAfterMs } = this.#plan;
    const sum = (amounts: readonly number[]): number => amounts.reduce((a, b) => a + b, 0);
    const expectMost = (name: string, used: number, max: number): void => {
      if (used > max) this.exceeded.push(`${name}: ${used} of ${max} at ${now}`);
    };
    expectMost("held", sum(running.map(({ agent }) => uses[agent]!.held)), held);
    for (const of of TENANTS) expectMost(`mine of ${of}`, sum(running.filter(({ tenant }) => tenant === of).map(({ agent }) => uses[agent]!.mine)), mine);
    for (const [i, { concurrency }] of uses.entries())
      if (concurrency > 0) expectMost(`agent${i}`, running.filter(({ agent }) => agent === i).length, concurrency);
    // what is granted while a group is on its way is written with the next one
    const since = now - PER_MS + heardAfterMs;
    expectMost("window", sum(all.filter(({ at }) => at > since).map(({ amount }) => amount)), window);
  }
}
