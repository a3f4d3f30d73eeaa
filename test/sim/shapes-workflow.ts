/**
 * The workflow of a random spec, with agents that do what their scripts say. Its output is the value of each node.
 */
import { setup } from "xstate";
import { z } from "zod";
import { type Agent, type AgentContext, agent } from "../../src/define/agent.ts";
import type { OnFail } from "../../src/define/on-fail.ts";
import { type NodeHandle, type Undo, type Workflow, type WorkflowBuilder, workflow } from "../../src/define/workflow.ts";
import { AgentError } from "../../src/errors.ts";
import type { Startable } from "../../src/run/startable.ts";
import { step } from "../../src/run/xstate/step.ts";
import {
  EVENT_TIMEOUT_MS,
  type Act,
  type Callee,
  type ChoiceSpec,
  type NodeSpec,
  OTHER_IDS,
  RUN_TIMEOUT_MS,
  type Source,
  type Spec,
  type UndoSpec,
} from "./shapes.ts";
import { OTHER_RESULT, actOf, digest, given } from "./shapes-model.ts";

/** Which call it is: of which run and node, item or round, and the how manieth. */
export interface Call {
  readonly runId: string;
  readonly id: string;
  readonly index: number;
  readonly position: number;
  readonly attempt: number;
  /** How many stand-ins had taken over; 0 in a run of its own, which knows of none. */
  readonly alternative: number;
  /** It is a step of a machine, which keeps none of its own. */
  readonly isOfMachine: boolean;
  /** Where its steps are kept: the run, and the node there. */
  readonly keptBy: string;
  /** Which nodes it is told were skipped before it; undefined in a run of its own. */
  readonly upstream: readonly string[] | undefined;
}

/** What agents need to know of the process that they run in. */
export interface ShapeHost {
  /** Called first in each attempt; says whether the process lives. */
  called(call: Call, context: AgentContext): boolean;
  /** Called first in each attempt to undo a node; says whether the process lives. */
  undoing(call: Call, given: Undo<unknown, unknown>): boolean;
  /** A step is performed. */
  stepped(call: Call, key: string): void;
  /** A step has given what it gave, now or before. */
  kept(call: Call, key: string): void;
  later(delayMs: number, callback: () => void): void;
}

/** Workflows that are held against the model, and what they call and wait for. */
export interface Flows {
  readonly mains: readonly Workflow<any, unknown[]>[];
  readonly other: Workflow;
  readonly all: readonly Startable[];
}

/** How long things may take: the run, an attempt, and until a guarded one shows itself. */
export interface Limits {
  readonly runMs?: number | undefined;
  readonly attemptMs?: number;
  readonly heartbeatMs?: number;
}

/** What workflows are made of: what nodes call, by the word for it, and what runs elsewhere. */
interface Parts {
  readonly callees: Readonly<Record<Callee | "standIn", any>>;
  readonly undoers: (undo: UndoSpec) => Agent;
  readonly other: Workflow;
  readonly heartbeatMs: number;
}

const never = (): Promise<never> => new Promise<never>(() => {});

/** Where an attempt stands: what works in `run/n3[2]~2` does so in the second run of its own that item 2 of node 3 is. */
function callOf({ runId, nodeId, attempt, upstreamFailures, idempotencyKey }: AgentContext): Call {
  const [root, own] = runId.split("/");
  const [id, again] = (own ?? nodeId).split("~");
  const [, index, position = "0"] = /^n(\d+)(?:\[(\d+)\])?/.exec(id!)!;
  return {
    runId: root!,
    id: id!.replace("[undo]", ""),
    index: Number(index),
    position: Number(position),
    attempt: own === undefined ? attempt : Number(again ?? 1),
    alternative: Number(/\+(\d+)#/.exec(idempotencyKey)?.[1] ?? 0),
    isOfMachine: own !== undefined && nodeId !== "work",
    keptBy: `${runId}/${nodeId}`,
    upstream: own === undefined ? upstreamFailures.map((failure) => failure.nodeId) : undefined,
  };
}

/** `specs` are called shapes0, shapes1, …; `specOf` says which a run is of, or what it has become since. */
export function flowsOf(specs: readonly Spec[], specOf: (runId: string) => Spec, host: () => ShapeHost, limits: Limits = {}): Flows {
  const { runMs = RUN_TIMEOUT_MS, attemptMs = 12_000, heartbeatMs = 5_000 } = limits;
  const perform = async (input: unknown, context: AgentContext): Promise<object> => {
    const where = host();
    const call = callOf(context);
    if (!where.called(call, context)) return never();
    const node = specOf(call.runId)[call.index]! as Extract<NodeSpec, { calls: unknown }>;
    const act = actOf(node, call.position, call.attempt);
    await performSteps(node, act, context, where, call);
    return done(act, given(node, call.id, call.position, input, call.alternative), context, where, call, attemptMs + 3_000);
  };
  const options = { name: "scripted", input: z.any(), output: z.looseObject({ value: z.number() }), timeout: attemptMs, run: perform as never } as const;
  const scripted = agent({ ...options, retry: { initialInterval: "8s" } });
  const once = agent({ ...options, name: "once", retry: { maxAttempts: 1 } });
  const within = { input: z.any(), timeout: RUN_TIMEOUT_MS };
  const inner = workflow({ ...within, name: "inner" }, (wf) => wf.node("work", once, wf.input).result);
  const nested = workflow({ ...within, name: "nested" }, (wf) => wf.run("deep", inner, wf.input).result);
  const other = workflow({ ...within, name: "other" }, (wf) => wf.node("work", otherAgent(host), wf.input).result);
  const machine = machineOf("machine", once);
  const undoing = undoingBy(specOf, host, attemptMs);
  const callees = { agent: scripted, standIn: agent({ ...options, name: "standIn" }), workflow: inner, nested, machine: machineAgent("machine", machine) };
  const mains = specs.map((spec, i) =>
    workflow({ name: `shapes${i}`, input: z.any(), timeout: runMs }, (wf) =>
      new Writer(wf, spec, { callees, undoers: undoing.agentOf, other, heartbeatMs }).write(),
    ),
  ) as Flows["mains"];
  return { mains, other, all: [...mains, inner, nested, other, machine, undoing.machine] };
}

/** A machine that calls an agent with what it is given. */
function machineOf(id: string, work: Agent) {
  return setup({ actors: { work: step(work) } }).createMachine({
    id,
    context: ({ input }) => ({ given: input }),
    initial: "working",
    states: {
      working: { invoke: { src: "work", input: ({ context }: any) => context.given, onDone: "done" } },
      done: { type: "final", output: ({ event }: any) => event.output },
    },
    output: ({ event }: any) => event.output,
  });
}

function machineAgent(name: string, machine: ReturnType<typeof machineOf>, maxAttempts?: number): Agent {
  return agent({ name, input: z.any(), output: z.any(), machine, ...(maxAttempts !== undefined && { retry: { maxAttempts, initialInterval: "8s" } }) });
}

/** What undoes nodes: an agent, or a machine that calls it. */
function undoingBy(specOf: (runId: string) => Spec, host: () => ShapeHost, timeout: number) {
  const run = async (input: Undo<unknown, unknown>, context: AgentContext): Promise<unknown> => {
    const [where, call] = [host(), callOf(context)];
    if (!where.undoing(call, input)) return never();
    const { undo } = specOf(call.runId)[call.index]! as Extract<NodeSpec, { undo: unknown }>;
    const act = undo!.acts[(call.attempt - 1) % undo!.acts.length]!;
    if (act === "okLater") await new Promise<void>((resolve) => where.later(700, resolve));
    if (act === "throws") throw new Error("cannot be undone");
    if (act === "fatal") throw new AgentError("cannot be undone", { kind: "critical" });
    return act === "hangs" ? never() : null;
  };
  const agentWith = (name: string, maxAttempts: number): Agent =>
    agent({ name, input: z.any(), output: z.any(), timeout, retry: { maxAttempts, initialInterval: "8s" }, run: run as never });
  const machine = machineOf("undoing", agentWith("undoOnce", 1));
  const agents = new Map<string, Agent>();
  const agentOf = ({ calls, maxAttempts }: UndoSpec): Agent => {
    const name = `undo-${calls}-${maxAttempts}`;
    if (!agents.has(name)) agents.set(name, calls === "agent" ? agentWith(name, maxAttempts) : machineAgent(name, machine, maxAttempts));
    return agents.get(name)!;
  };
  return { machine, agentOf };
}

/** Every other step takes its time; one of an attempt that fails is kept, too. */
async function performSteps({ steps }: Extract<NodeSpec, { calls: unknown }>, act: Act, context: AgentContext, where: ShapeHost, call: Call): Promise<void> {
  if (call.isOfMachine) return;
  const isDone = act === "ok" || act === "okLater" || act === "beats" || act === "heeds";
  for (let i = 0; i < (isDone ? steps : Math.min(1, steps)); i++) {
    const kept = await context.step(`s${i}`, async () => {
      where.stepped(call, `s${i}`);
      if (i % 2 === 1) await new Promise<void>((resolve) => where.later(400, resolve));
      return digest([call.id, i]);
    });
    where.kept(call, `s${i}`);
    if (kept !== digest([call.id, i])) throw new Error("a step gave what it had not been");
  }
}

function otherAgent(host: () => ShapeHost): Agent {
  return agent({
    name: "other",
    input: z.any(),
    output: z.any(),
    retry: { maxAttempts: 1 },
    run: (input: { which: string }) =>
      new Promise((resolve, reject) => host().later(5_000, () => (input.which === "good" ? resolve(OTHER_RESULT) : reject(new Error("bad"))))),
  });
}

async function done(act: Act, result: object, context: AgentContext, where: ShapeHost, { index, position }: Call, tooLateMs: number): Promise<object> {
  const after = (ms: number): Promise<void> => new Promise((resolve) => where.later(ms, resolve));
  switch (act) {
    case "ok":
      return result;
    case "okLater":
      return after(1 + ((index + position) % 3) * 700).then(() => result);
    case "beats":
      for (let i = 0; i < 3; i++) {
        context.heartbeat({ beat: i });
        await after(3_000);
      }
      return result;
    case "heeds": {
      const stopped = new Promise<never>((_, reject) => context.signal.addEventListener("abort", () => reject(new Error("stopped"))));
      return Promise.race([after(2_500), stopped]).then(() => result);
    }
    case "tooLate":
      return after(tooLateMs).then(() => result);
    case "throws":
      throw new Error("scripted");
    case "throwsUndefined":
      // eslint-disable-next-line no-throw-literal
      throw undefined;
    case "fatal":
      throw new AgentError("scripted", { kind: "critical" });
    case "hangs":
    case "silent":
      return never();
    case "invalid":
      return { value: "wrong" };
    case "unstorable":
      return { ...result, self: () => result };
  }
}

/** Writes a spec down with the builder, as a user would. */
class Writer {
  readonly #wf: WorkflowBuilder<any>;
  readonly #spec: Spec;
  readonly #handles: NodeHandle<any>[] = [];
  readonly #parts: Parts;

  constructor(wf: WorkflowBuilder<any>, spec: Spec, parts: Parts) {
    this.#wf = wf;
    this.#spec = spec;
    this.#parts = parts;
  }

  write(): unknown[] {
    this.#spec.forEach(({ within }, index) => within === undefined && this.#add(index));
    return this.#handles.map((handle) => handle.result as unknown);
  }

  #ref = ({ node, path }: Source): any => {
    let ref: any = node < 0 ? this.#wf.input : this.#handles[node]!.result;
    for (const step of path) ref = ref[step];
    return ref;
  };

  #add(index: number): void {
    const node = this.#spec[index]!;
    const id = `n${index}`;
    const after = node.after.map((other) => this.#handles[other]!);
    if (node.stage !== undefined) return this.#wf.stage(node.stage, () => this.#addTo(index, id, node, after));
    this.#addTo(index, id, node, after);
  }

  #addTo(index: number, id: string, node: NodeSpec, after: NodeHandle<any>[]): void {
    if (node.kind === "when" || node.kind === "route") return this.#choose(index, node, after);
    this.#handles[index] = this.#leaf(id, node as Exclude<NodeSpec, ChoiceSpec>, after);
  }

  #leaf(id: string, node: Exclude<NodeSpec, ChoiceSpec>, after: NodeHandle<any>[]): NodeHandle<any> {
    const wf = this.#wf;
    if (node.kind === "event")
      return wf.event(id, z.looseObject({ value: z.number() }), {
        after,
        onFail: node.onFail as "skip",
        ...(node.hasTimeout && { timeout: EVENT_TIMEOUT_MS }),
      });
    const undo = "undo" in node && node.undo !== undefined ? { compensate: this.#parts.undoers(node.undo) } : {};
    if (node.kind === "other") {
      const runId = node.isReferred ? wf.input.ids[node.run] : OTHER_IDS[node.run];
      return wf.resultOf(id, this.#parts.other, runId, { after, onFail: node.onFail as "skip", ...undo });
    }
    const call = this.#parts.callees[node.calls];
    const isGuarded = node.hasHeartbeat && node.calls === "agent";
    const retry = { maxAttempts: node.maxAttempts, initialInterval: "8s" as const };
    const options = { after, onFail: this.#onFail(node) as "skip", ...undo, retry, ...(isGuarded && { heartbeat: this.#parts.heartbeatMs }) };
    const read = node.reads.map(this.#ref);
    if (node.kind === "map") {
      const list = Array.isArray(node.list) ? node.list.map(this.#ref) : this.#ref(node.list as Source);
      const concurrency = node.concurrency;
      return wf.map(id, list, call, (item: any, position: any) => ({ item, index: position, read }), {
        ...options,
        ...(concurrency !== undefined && { concurrency }),
      });
    }
    if (node.kind === "repeat") {
      const { until: by, max } = node;
      const until = by === undefined ? {} : { until: (last: any) => (by === "last" ? last.flag : this.#ref(by)) };
      return wf.repeat(id, call, { read }, { ...options, ...until, max, ...(node.hasNext && { next: (last: any) => ({ read, last: last.value }) }) });
    }
    return "plan" in call ? wf.run(id, call, { read }, options) : wf.node(id, call, { read }, options);
  }

  #onFail({ standIns, onFail }: Extract<NodeSpec, { standIns: unknown }>): OnFail {
    const { standIn, machine } = this.#parts.callees;
    return standIns.reduceRight<OnFail>(
      (next, { calls, maxAttempts }) => ({ use: calls === "agent" ? standIn : machine, retry: { maxAttempts, initialInterval: "8s" }, onFail: next }),
      onFail,
    );
  }

  #choose(index: number, node: ChoiceSpec, after: NodeHandle<any>[]): void {
    const ways = node.branches.map(({ result }, branch) => () => {
      this.#spec.forEach(({ within }, member) => within?.choice === index && within.branch === branch && this.#add(member));
      return result === "constant" ? { value: 1, way: "b" } : { got: result.map(this.#ref) };
    });
    const by = this.#ref(node.by);
    const id = `n${index}`;
    if (node.kind === "when") {
      this.#handles[index] = this.#wf.when(id, by, ways[0]!, ways[1], { after });
      return;
    }
    const named = node.branches.flatMap(({ name }, branch) => (name === "" ? [] : [[name, ways[branch]!] as const]));
    const otherwise = ways[node.branches.findIndex(({ name }) => name === "")];
    this.#handles[index] = this.#wf.route(id, by, Object.fromEntries(named), otherwise, { after });
  }
}
