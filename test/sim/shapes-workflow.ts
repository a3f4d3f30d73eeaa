/**
 * The workflow of a random spec, with agents that do what their scripts say. Its output is the value of each node.
 */
import { z } from "zod";
import { type Agent, type AgentContext, agent } from "../../src/define/agent.ts";
import { type NodeHandle, type Workflow, type WorkflowBuilder, workflow } from "../../src/define/workflow.ts";
import { AgentError } from "../../src/errors.ts";
import { EVENT_TIMEOUT_MS, type Act, type ChoiceSpec, type NodeSpec, RUN_TIMEOUT_MS, type Source, type Spec } from "./shapes.ts";
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
}

/** What agents need to know of the process that they run in. */
export interface ShapeHost {
  /** Called first in each attempt; says whether the process lives. */
  called(call: Call, context: AgentContext): boolean;
  stepped(call: Call, key: string): void;
  later(delayMs: number, callback: () => void): void;
}

export interface Flows {
  readonly main: Workflow<any, unknown[]>;
  readonly all: Workflow<any, any>[];
}

const never = (): Promise<never> => new Promise<never>(() => {});

/** Where an attempt stands: `run/n3[2]~2` is the second run of its own that item 2 of node 3 is. */
function callOf({ runId, nodeId, attempt }: AgentContext): Call {
  const [, root, inner, again] = /^([^/]+)(?:\/([^~]+))?(?:~(\d+))?$/.exec(runId)!;
  const id = inner ?? nodeId;
  const [, index, position = "0"] = /^n(\d+)(?:\[(\d+)\])?$/.exec(id)!;
  return {
    runId: root!,
    id,
    index: Number(index),
    position: Number(position),
    attempt: inner === undefined ? attempt : Number(again ?? 1),
    keptBy: `${runId}/${nodeId}`,
  };
}

export function flowsOf(spec: () => Spec, host: () => ShapeHost, name = "shapes"): Flows {
  const perform = async (input: unknown, context: AgentContext): Promise<object> => {
    const where = host();
    const call = callOf(context);
    if (!where.called(call, context)) return never();
    const node = spec()[call.index]! as Extract<NodeSpec, { calls: unknown }>;
    const script = node.scripts[call.position % node.scripts.length]!;
    // a run of its own that is taken up again goes on counting
    const act = script[Math.min(call.attempt, script.length) - 1]!;
    const isDone = act === "ok" || act === "okLater" || act === "beats";
    for (let i = 0; i < (isDone ? node.steps : Math.min(1, node.steps)); i++) {
      const kept = await context.step(`s${i}`, () => (where.stepped(call, `s${i}`), digest([call.id, i])));
      if (kept !== digest([call.id, i])) throw new Error("a step gave what it had not been");
    }
    return done(act, given(node, call.id, call.position, input), context, where, call);
  };
  const scripted = agent({
    name: "scripted",
    input: z.any(),
    output: z.looseObject({ value: z.number() }),
    timeout: "12s",
    retry: { initialInterval: "8s" },
    run: perform as never,
  });
  const inner = workflow(
    { name: "inner", input: z.any(), timeout: RUN_TIMEOUT_MS },
    (wf) => wf.node("work", scripted, wf.input, { retry: { maxAttempts: 1 } }).result,
  );
  const other = workflow({ name: "other", input: z.any(), timeout: RUN_TIMEOUT_MS }, (wf) => wf.node("work", otherAgent(host), wf.input).result);
  const main = workflow({ name, input: z.any(), timeout: RUN_TIMEOUT_MS }, (wf) => new Writer(wf, spec(), scripted, inner, other).write()) as Workflow<
    any,
    unknown[]
  >;
  return { main, all: [main, inner, other] };
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

async function done(act: Act, result: object, context: AgentContext, where: ShapeHost, { index, position }: Call): Promise<object> {
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
      return after(15_000).then(() => result);
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
  readonly #scripted: Agent;
  readonly #inner: Workflow<any, any>;
  readonly #other: Workflow<any, any>;

  constructor(wf: WorkflowBuilder<any>, spec: Spec, scripted: Agent, inner: Workflow<any, any>, other: Workflow<any, any>) {
    this.#wf = wf;
    this.#spec = spec;
    this.#scripted = scripted;
    this.#inner = inner;
    this.#other = other;
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
    if (node.kind === "when" || node.kind === "route") return this.#choose(index, node, after);
    this.#handles[index] = this.#leaf(id, node as Exclude<NodeSpec, ChoiceSpec>, after);
  }

  #leaf(id: string, node: Exclude<NodeSpec, ChoiceSpec>, after: NodeHandle<any>[]): NodeHandle<any> {
    const wf = this.#wf;
    if (node.kind === "event") return wf.event(id, z.any(), { after, onFail: node.onFail as "skip", ...(node.hasTimeout && { timeout: EVENT_TIMEOUT_MS }) });
    if (node.kind === "other") return wf.resultOf(id, this.#other, `other-${node.run}`, { after, onFail: node.onFail as "skip" });
    const call: any = node.calls === "agent" ? this.#scripted : this.#inner;
    const isGuarded = node.hasHeartbeat && node.calls === "agent";
    const retry = { maxAttempts: node.maxAttempts, initialInterval: "8s" as const };
    const options = { after, onFail: node.onFail as "skip", retry, ...(isGuarded && { heartbeat: "5s" as const }) };
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
      const until = node.hasUntil ? { until: (last: any) => last.flag } : {};
      return wf.repeat(id, call, { read }, { ...options, ...until, max: node.max, next: (last: any) => ({ read, last: last.value }) });
    }
    return node.calls === "agent" ? wf.node(id, this.#scripted, { read }, options) : wf.run(id, this.#inner, { read }, options);
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
