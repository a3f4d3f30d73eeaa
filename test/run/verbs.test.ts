/**
 * Every verb on every kind of node, in the process that has the run and from one that executes nothing: what comes of it, in one
 * table. Each kind is a workflow whose node, item, member or round rests until something is done with it; `after` reads it.
 */
import { once } from "node:events";
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createMachine } from "xstate";
import { z } from "zod";
import { type Agent, agent } from "../../src/define/agent.ts";
import type { Workflow } from "../../src/define/workflow.ts";
import type { Run } from "../../src/run/handle.ts";
import type { OverrideOutcome } from "../../src/run/override.ts";
import type { Startable } from "../../src/run/startable.ts";
import { MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";

// read from the disk while simulated time stands
for (const late of ["fork", "override-ended", "reopen"]) await import(`../../src/run/${late}.ts`);

const echo = anyAgent("echo", (given: unknown) => given ?? "nothing");
const hangs = anyAgent("hangs", never);
const inner = anyWorkflow("inner", (wf) => wf.node("deep", hangs, wf.input).result);
const machine = createMachine({ id: "machine", initial: "waits", states: { waits: {} } });
const asMachine = agent({ name: "as-machine", input: z.any(), output: z.any(), machine } as never);

/** A workflow with such a node, its id, that of the group around it, and the run that it sets going or waits for. */
interface Kind {
  readonly flow: Workflow;
  readonly id: string;
  readonly others?: readonly Startable[];
  readonly child?: string;
  readonly awaited?: string;
  /** It calls no agent. */
  readonly isEvent?: true;
}

let server: Server;
let http: Agent;
beforeAll(async () => {
  server = createServer(() => {}).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  http = agent({ name: "remote", input: z.any(), output: z.any(), http: { url } });
});
afterAll(() => server.close().closeAllConnections());

type Builder = Parameters<Parameters<typeof anyWorkflow>[1]>[0];
const flowOf = (define: (wf: Builder) => { readonly result: any }): Workflow =>
  anyWorkflow("flow", (wf) => wf.node("after", echo, define(wf).result).result, { timeout: 10_000_000 });

const KINDS: Readonly<Record<string, () => Kind>> = {
  call: () => ({ id: "n", flow: flowOf((wf) => wf.node("n", hangs, {})) }),
  http: () => ({ id: "n", flow: flowOf((wf) => wf.node("n", http, {})) }),
  item: () => ({ id: "n[0]", flow: flowOf((wf) => wf.map("n", [1], hangs, (item) => item)) }),
  member: () => ({
    id: "m",
    flow: flowOf((wf) =>
      wf.when(
        "n",
        wf.input,
        () => wf.node("m", hangs, {}).result,
        () => "other",
      ),
    ),
  }),
  round: () => ({ id: "n[0]", flow: flowOf((wf) => wf.repeat("n", hangs, {}, { max: 1 })) }),
  child: () => ({ id: "n", flow: flowOf((wf) => wf.run("n", inner, {})), others: [inner], child: "r/n" }),
  machine: () => ({ id: "n", flow: flowOf((wf) => wf.node("n", asMachine, {})), others: [machine], child: "r/n" }),
  event: () => ({ id: "n", flow: flowOf((wf) => wf.event("n", z.any())), isEvent: true }),
  resultOf: () => ({ id: "n", flow: flowOf((wf) => wf.resultOf("n", inner, "other")), others: [inner], awaited: "other" }),
};

const WHERE = { "in its process": true, "from another process": false } as const;

class Verbs extends MachineRoom {
  readonly kind: Kind;
  run!: Run<unknown>;

  constructor(kind: Kind) {
    super();
    this.kind = kind;
  }

  async begin(isHere: boolean): Promise<this> {
    const { flow, others = [] } = this.kind;
    const { pawl } = await this.boot([flow, ...others]);
    await this.settled(pawl.start(inner, { id: "other", input: 1 }));
    const started = (await this.settled(pawl.start(flow, { id: "r", input: 1 }))) as Run<unknown>;
    await this.clock.advance(50);
    const elsewhere = isHere ? undefined : await this.boot([flow, ...others], { execute: false });
    this.run = elsewhere === undefined ? started : await this.settled(elsewhere.pawl.run("r"));
    expect(await this.node()).toMatchObject({ status: "running" });
    return this;
  }

  async done<T>(work: Promise<T>): Promise<T> {
    const answer = await this.settled(work);
    await this.clock.advance(200);
    return answer;
  }

  async node(id = this.kind.id, run = this.run): Promise<{ status?: string; generation?: number }> {
    return (await run.nodes()).find((node) => node.id === id) ?? {};
  }

  /** The run and the node; with the run that it set going, and the one that it waits for. */
  async standing(): Promise<unknown[]> {
    const { child, awaited } = this.kind;
    const { status } = await this.run.status();
    const of = async (id: string | undefined): Promise<string[]> => (id === undefined ? [] : [(await this.store.readRun(id))!.status]);
    return [status, (await this.node()).status, ...(await of(child)), ...(await of(awaited))];
  }

  /** As `standing`, when the node and the run that it set going stand so; the one that it waits for goes on in any case. */
  expected(run: string, node: string, child: string): unknown[] {
    return [run, node, ...(this.kind.child === undefined ? [] : [child]), ...(this.kind.awaited === undefined ? [] : ["running"])];
  }
}

/** What is done, and how the run, the node and a run of its own stand then. */
const VERBS: Readonly<Record<string, readonly [(room: Verbs) => Promise<unknown>, run: string, node: string, child: string]>> = {
  cancel: [(room) => room.done(room.run.cancel()), "cancelled", "cancelled", "cancelled"],
  terminate: [(room) => room.done(room.run.cancel({ now: true })), "cancelled", "cancelled", "cancelled"],
  pause: [(room) => room.done(room.run.pause()), "paused", "running", "running"],
  "pause, resume": [async (room) => (await room.done(room.run.pause()), room.done(room.run.resume())), "running", "running", "running"],
  "cancel, resume": [async (room) => (await room.done(room.run.cancel()), room.done(room.run.resume())), "running", "running", "cancelled"],
  "override result": [(room) => set(room, { result: ["set"] }), "completed", "completed", "cancelled"],
  "override skip": [(room) => set(room, "skip"), "completed", "skipped", "cancelled"],
  "override fail": [(room) => set(room, "fail"), "failed", "failed", "cancelled"],
  "override fail, result": [async (room) => (await set(room, "fail"), set(room, { result: ["set"] })), "completed", "completed", "cancelled"],
  retry: [async (room) => (await set(room, "fail"), room.done(room.run.retry())), "running", "running", "cancelled"],
};

const set = (room: Verbs, outcome: OverrideOutcome): Promise<unknown> => room.done(room.run.override(room.kind.id, outcome, { by: "ana" }));

describe.each(Object.entries(KINDS))("%s", (_, kindOf) => {
  describe.each(Object.entries(WHERE))("%s", (_, isHere) => {
    test.each(Object.entries(VERBS))("%s", async (verb, [act, run, node, child]) => {
      const room = await new Verbs(kindOf()).begin(isHere);
      await act(room);
      expect(await room.standing()).toEqual(room.expected(run, node, child));
      const after = { completed: "completed", failed: "blocked", cancelled: "cancelled", paused: "waiting", running: "waiting" }[run];
      expect((await room.node("after")).status).toBe(after);
      const { terminated, degraded, output } = await room.run.status();
      expect([terminated, degraded]).toEqual([verb === "terminate", verb === "override skip"]);
      if (verb === "override skip" && run === "completed") expect(output).toEqual(kindIn(room.kind) === "map" ? [undefined] : "nothing");
    });

    test("retry with another input", async () => {
      const room = await new Verbs(kindOf()).begin(isHere);
      await set(room, "fail");
      const { id, isEvent, awaited, child } = room.kind;
      const asked = room.done(room.run.retry({ input: { [id]: awaited === undefined ? { other: 1 } : { runId: "other" } } }));
      if (isEvent === true) return expect(asked).rejects.toMatchObject({ code: "PAWL_INVALID_VALUE", message: expect.stringContaining("calls no agent") });
      await asked;
      expect(await room.node()).toMatchObject({ status: "running", generation: 2 });
      if (child !== undefined) expect((await room.store.readRun(`${child}~2`))!.status).toBe("running");
    });

    test("fork", async () => {
      const room = await new Verbs(kindOf()).begin(isHere);
      const fork = await room.done(room.run.fork({ from: room.kind.id, id: "f" }));
      expect([(await room.node(room.kind.id, fork)).status, ...(await room.standing())]).toEqual([
        "running",
        ...room.expected("running", "running", "running"),
      ]);
    });

    test("send", async () => {
      const room = await new Verbs(kindOf()).begin(isHere);
      const sent = room.done(room.run.send({ type: room.kind.id, ok: true }));
      if (room.kind.isEvent !== true) return expect(sent).rejects.toMatchObject({ code: "PAWL_EVENT_REFUSED" });
      expect(await sent).toMatchObject({ handled: true });
      expect(await room.run.status()).toMatchObject({ status: "completed", output: { ok: true } });
    });
  });
});

const kindIn = ({ flow }: Kind): string => flow.plan.nodes[0]!.kind;
