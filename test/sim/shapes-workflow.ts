/**
 * The workflow of a random spec, with agents that do what their scripts say. Its output is the value of each node.
 */
import { setup } from "xstate";
import { z } from "zod";
import { type Agent, type AgentContext, agent } from "../../src/define/agent.ts";
import { type NodeHandle, type Workflow, type WorkflowBuilder, workflow } from "../../src/define/workflow.ts";
import { AgentError } from "../../src/errors.ts";
import type { Startable } from "../../src/run/startable.ts";
import { step } from "../../src/run/xstate/step.ts";
import { EVENT_TIMEOUT_MS, type Act, type Callee, type ChoiceSpec, type NodeSpec, OTHER_IDS, RUN_TIMEOUT_MS, type Source, type Spec } from "./shapes.ts";
import { OTHER_RESULT, digest, given } from "./shapes-model.ts";

/** Which call it is: of which run and node, item or round, and the how manieth. */
export interface Call {
  readonly runId: string;
  readonly id: string;
  readonly index: number;
  readonly position: number;
  readonly attempt: number;
  /** Where its steps are kept: the run, and the node there. */
  readonly keptBy: string;
  /** Which nodes it is told were skipped before it; undefined in a run of its own. */
  readonly upstream: readonly string[] | undefined;
}

/** What agents need to know of the process that they run in. */
export interface ShapeHost {
  /** Called first in each attempt; says whether the process lives. */
  called(call: Call, context: AgentContext): boolean;
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
  readonly callees: Readonly<Record<Callee, any>>;
  readonly other: Workflow;
  readonly heartbeatMs: number;
}

const never = (): Promise<never> => new Promise<never>(() => {});

/** Where an attempt stands: what works in `run/n3[2]~2` does so in the second run of its own that item 2 of node 3 is. */
function callOf({ runId, nodeId, attempt, upstreamFailures }: AgentContext): Call {
  const [root, own] = runId.split("/");
  const [id, again] = (own ?? nodeId).split("~");
  const [, index, position = "0"] = /^n(\d+)(?:\[(\d+)\])?$/.exec(id!)!;
  return {
    runId: root!,
    id: id!,
    index: Number(index),
    position: Number(position),
    attempt: own === undefined ? attempt : Number(again ?? 1),
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
    const script = node.scripts[call.position % node.scripts.length]!;
    // a run of its own that is taken up again goes on counting
    const act = script[Math.min(call.attempt, script.length) - 1]!;
    await performSteps(node, act, context, where, call);
    return done(act, given(node, call.id, call.position, input), context, where, call, attemptMs + 3_000);
  };
  const options = { name: "scripted", input: z.any(), output: z.looseObject({ value: z.number() }), timeout: attemptMs, run: perform as never } as const;
  const scripted = agent({ ...options, retry: { initialInterval: "8s" } });
  const once = agent({ ...options, name: "once", retry: { maxAttempts: 1 } });
  const within = { input: z.any(), timeout: RUN_TIMEOUT_MS };
  const inner = workflow({ ...within, name: "inner" }, (wf) => wf.node("work", once, wf.input).result);
  const nested = workflow({ ...within, name: "nested" }, (wf) => wf.run("deep", inner, wf.input).result);
  const other = workflow({ ...within, name: "other" }, (wf) => wf.node("work", otherAgent(host), wf.input).result);
  const machine = setup({ actors: { work: step(once) } }).createMachine({
    id: "machine",
    context: ({ input }) => ({ given: input }),
    initial: "working",
    states: {
      working: { invoke: { src: "work", input: ({ context }: any) => context.given, onDone: "done" } },
      done: { type: "final", output: ({ event }: any) => event.output },
    },
    output: ({ event }: any) => event.output,
  });
  const callees = { agent: scripted, workflow: inner, nested, machine: agent({ name: "machine", input: z.any(), output: z.any(), machine }) };
  const mains = specs.map((spec, i) =>
    workflow({ name: `shapes${i}`, input: z.any(), timeout: runMs }, (wf) => new Writer(wf, spec, { callees, other, heartbeatMs }).write()),
  ) as Flows["mains"];
  return { mains, other, all: [...mains, inner, nested, other, machine] };
}

/** Every other step takes its time; one of an attempt that fails is kept, too. */
async function performSteps(
  { calls, steps }: Extract<NodeSpec, { calls: unknown }>,
  act: Act,
  context: AgentContext,
  where: ShapeHost,
  call: Call,
): Promise<void> {
  if (calls === "machine") return;
  const isDone = act === "ok" || act === "okLater" || act === "beats";
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
    if (node.kind === "other")
      return wf.resultOf(id, this.#parts.other, node.isReferred ? wf.input.ids[node.run] : OTHER_IDS[node.run], { after, onFail: node.onFail as "skip" });
    const call = this.#parts.callees[node.calls];
    const isGuarded = node.hasHeartbeat && node.calls === "agent";
    const retry = { maxAttempts: node.maxAttempts, initialInterval: "8s" as const };
    const options = { after, onFail: node.onFail as "skip", retry, ...(isGuarded && { heartbeat: this.#parts.heartbeatMs }) };
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
