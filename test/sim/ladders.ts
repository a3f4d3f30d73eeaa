/**
 * Random workflows whose agents fail and hang, with recovery actions, warnings and stages, in a simulated world that dies once:
 * what must be true of each, whatever the actions say.
 */
import fc from "fast-check";
import { z } from "zod";
import { type Agent, agent } from "../../src/define/agent.ts";
import type { Workflow } from "../../src/define/workflow.ts";
import { workflow } from "../../src/define/workflow.ts";
import type { HistoryEntry, HistoryEvent } from "../../src/run/history.ts";
import type { StageView } from "../../src/run/stage-view.ts";
import type { NodeView, RunView } from "../../src/run/view.ts";
import { readHistory } from "../../src/run/view.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import { SimClock } from "./clock.ts";
import { anyAgent } from "./machine-room.ts";
import { type Fault, SimProcess } from "./process.ts";

/** What an agent does in one attempt; with `asks` its error handler asks for a recovery action. */
type Act = "ok" | "slow" | "fails" | "asks" | "hangs";
/** What a recovery action says, or does instead. */
type Said = "continue" | "restart" | "fail" | "throws" | "hangs" | "nonsense";

interface Warned {
  readonly warns: boolean;
  /** Recovery actions after the warning. */
  readonly actions: number;
  /** What the first of them says, the second and so on, from the front again. */
  readonly said: readonly Said[];
}

interface LadderNode extends Warned {
  readonly acts: readonly Act[];
  readonly after: readonly number[];
  readonly onFail: "block" | "skip" | "use";
  readonly stage: number | undefined;
  readonly kind: "node" | "map";
}

interface LadderSpec {
  readonly nodes: readonly LadderNode[];
  /** The first is the run. */
  readonly spans: readonly (Warned & { readonly hasTimeout: boolean })[];
}

const warned = {
  warns: fc.boolean(),
  actions: fc.nat(3),
  said: fc.array(fc.constantFrom<Said>("continue", "continue", "restart", "fail", "throws", "hangs", "nonsense"), { minLength: 1, maxLength: 4 }),
};

export const ladderSpec: fc.Arbitrary<LadderSpec> = fc
  .record({
    nodes: fc.array(
      fc.record({
        ...warned,
        acts: fc.array(fc.constantFrom<Act>("ok", "ok", "slow", "fails", "asks", "asks", "hangs", "hangs"), { minLength: 1, maxLength: 4 }),
        after: fc.array(fc.nat(4), { maxLength: 2 }),
        onFail: fc.constantFrom("block", "skip", "use"),
        stage: fc.option(fc.constantFrom(1, 2), { nil: undefined, freq: 3 }),
        kind: fc.constantFrom("node", "node", "node", "map"),
      }),
      { minLength: 1, maxLength: 5 },
    ),
    spans: fc.array(fc.record({ ...warned, hasTimeout: fc.boolean() }), { minLength: 3, maxLength: 3 }),
  })
  .map(({ nodes, spans }) => ({
    spans,
    nodes: nodes.map((node, i) => ({ ...node, after: [...new Set(node.after.filter((other) => other < i))] })),
  }));

export interface LadderPlot {
  readonly spec: LadderSpec;
  readonly seed: number;
  readonly fault: Fault;
  /** The commit that it comes with. */
  readonly group: number;
  readonly cancelAfterMs: number | undefined;
}

interface Ended {
  readonly run: RunView;
  readonly nodes: readonly NodeView[];
  readonly stages: readonly StageView[];
  readonly history: readonly HistoryEntry[];
}

/** What happened in a play, to see that plays are not all empty. */
export interface LadderTally {
  readonly crashes: number;
  readonly verdicts: number;
  readonly timedOut: number;
}

/** Plays it to its end. Throws when something was not as it must be. */
export async function playLadder(plot: LadderPlot): Promise<LadderTally> {
  const [clock, store] = [new SimClock(), new MemoryStore()];
  let current!: SimProcess;
  let gone: ReadonlySet<string> = new Set();
  const called = (id: string): void => {
    if (current.isAlive && gone.has(id)) throw new Error(`${id} was called again`);
  };
  const repeated: string[] = [];
  const flow = flowOf(
    plot.spec,
    (id) => {
      try {
        called(id);
      } catch {
        repeated.push(id);
      }
    },
    () => current.clock,
  );
  for (let life = 0; life < 3; life++) {
    gone = endedActions(await Array.fromAsync(readHistory(store, "run")));
    const fault = (group: number): Fault | undefined => (life === 0 && group === plot.group ? plot.fault : undefined);
    current = new SimProcess({ clock, store, seed: plot.seed + life, workflows: [flow], fault });
    const ended = await live(current, clock, flow, plot.cancelAfterMs);
    if (ended === undefined) continue;
    current.kill();
    if (repeated.length > 0) throw new Error(`called again after its end was durable: ${repeated.join()}`);
    check(plot, ended);
    const events = ended.history.flatMap(({ events: all }) => all);
    const count = (type: string): number => events.filter((event) => event.type === type).length;
    const verdicts = count("node.recovered") + count("stage.recovered") + count("run.actionEnded");
    return { crashes: life, verdicts, timedOut: count("stage.timedOut") + count("run.timedOut") };
  }
  throw new Error("it never ends");
}

const NODE = { timeout: "5s", retry: { maxAttempts: 2, initialInterval: "100ms" } } as const;
const ACTION = { timeout: "3s", retry: { maxAttempts: 1 } } as const;

function flowOf({ nodes, spans }: LadderSpec, called: (id: string) => void, clock: () => SimProcess["clock"]): Workflow {
  const later = <T>(value: T): Promise<T> => new Promise((resolve) => clock().after(700, () => resolve(value)));
  const action = (said: readonly Said[]): Agent =>
    anyAgent(
      "action",
      (_, { nodeId }) => {
        called(nodeId);
        const says = saidBy(nodeId, said);
        if (says === "throws") throw new Error("no");
        return says === "hangs" ? new Promise(() => {}) : later(says);
      },
      ACTION,
    );
  const ladder = ({ warns, actions, said, hasTimeout }: LadderSpec["spans"][number], timeout: number) => ({
    ...(warns && { warnAfter: timeout / 3, recovery: { help: action(said) }, onWarn: Array<string>(actions).fill("help") }),
    ...(hasTimeout && { timeout }),
  });
  return workflow({ name: "ladder", input: z.any(), timeout: 40_000, ...ladder({ ...spans[0]!, hasTimeout: false }, 30_000) }, (wf) => {
    const handles: { readonly id: string }[] = [];
    const write = ({ acts, after, onFail, warns, actions, said, kind }: LadderNode, i: number): void => {
      const work = agent({
        ...{ ...NODE, name: "work", input: z.any(), output: z.any(), recovery: { act: action(said) } },
        onError: (error) => (String(error).includes("asks") ? { recover: "act" } : undefined),
        run: (_, { attempt }) => {
          const act = acts[(attempt - 1) % acts.length]!;
          if (act === "fails" || act === "asks") throw new Error(act);
          return act === "hangs" ? new Promise(() => {}) : act === "slow" ? later("done") : "done";
        },
      });
      const options = {
        after: after.map((other) => handles[other]) as never,
        onFail: onFail === "use" ? { use: anyAgent("other", () => "instead", NODE) } : onFail,
        ...(warns && { warnAfter: 2_000, onWarn: Array<string>(actions).fill("act") }),
      } as const;
      handles.push(kind === "map" ? wf.map(`n${i}`, [1, 2], work, (item) => item, options) : wf.node(`n${i}`, work, {}, options));
    };
    // what a stage is limited by is said once, with its first node
    const said = new Set<number>();
    for (const [i, node] of nodes.entries()) {
      const { stage } = node;
      if (stage === undefined) write(node, i);
      else if (said.has(stage)) wf.stage(`s${stage}`, () => write(node, i));
      else wf.stage(`s${stage}`, ladder(spans[stage]!, 8_000), () => write(node, i));
      if (stage !== undefined) said.add(stage);
    }
    return "end";
  }) as Workflow;
}

const ACTION_ID = /^(.+)\[recovery-(\d+)\]$/;
const ENDS: ReadonlySet<string> = new Set(["node.completed", "node.failed", "node.skipped", "node.cancelled"]);

function saidBy(actionId: string, said: readonly Said[]): Said {
  return said[(Number(ACTION_ID.exec(actionId)![2]) - 1) % said.length]!;
}

function endedActions(history: readonly HistoryEntry[]): Set<string> {
  const ends = history.flatMap(({ events }) => events.filter(({ type, node }) => ENDS.has(type) && ACTION_ID.test(node ?? "")));
  return new Set(ends.map(({ node }) => node!));
}

/** One life of a process: undefined when it died before the run ended. */
async function live(process: SimProcess, clock: SimClock, flow: Workflow, cancelAfterMs: number | undefined): Promise<Ended | undefined> {
  let [ended, failure]: [Ended | undefined, unknown] = [undefined, undefined];
  const story = async (): Promise<void> => {
    await process.boot();
    const run = await process.pawl.start(flow, { id: "run", input: 1 });
    if (cancelAfterMs !== undefined) process.clock.after(cancelAfterMs, () => void run.cancel().catch((error: unknown) => (failure = error)));
    await run.ended();
    ended = { run: await run.status(), nodes: await run.nodes(), stages: await run.stages(), history: await Array.fromAsync(run.history()) };
  };
  story().catch((error: unknown) => (failure = error));
  await clock.until(() => !process.isAlive || ended !== undefined || failure !== undefined);
  if (failure !== undefined && process.isAlive) throw failure;
  return process.isAlive ? ended : undefined;
}

// ---- what must be true

const ACTIONS_MAX = 10;
const LEGAL: Readonly<Record<string, readonly string[]>> = {
  completed: ["completed", "skipped"],
  failed: ["completed", "skipped", "failed", "blocked"],
  timedOut: ["completed", "skipped", "failed", "blocked", "cancelled"],
  cancelled: ["completed", "skipped", "failed", "blocked", "cancelled"],
};
/** What becomes of the node at once, in the commit of the verdict. */
const FOLLOWS: Readonly<Record<string, readonly string[]>> = { restart: ["node.backingOff"], fail: ["node.failed", "node.skipped", "node.alternative"] };

function check({ spec, cancelAfterMs }: LadderPlot, { run, nodes, stages, history }: Ended): void {
  const wrong = (what: string): never => {
    throw new Error(`${what}; the run is ${run.status}: ${nodes.map(({ id, status }) => `${id} ${status}`).join(", ")}`);
  };
  if (LEGAL[run.status] === undefined || (run.status === "cancelled" && cancelAfterMs === undefined)) wrong("it ended as it cannot");
  for (const { id, status, recoveries } of nodes) {
    if (!LEGAL[run.status]!.includes(status)) wrong(`${id} cannot be ${status}`);
    if (recoveries > ACTIONS_MAX) wrong(`${id} had ${recoveries} actions`);
  }
  for (const { name, status, recoveries } of stages) {
    if (status === "running" || status === "warned" || (status === "waiting" && run.status === "completed")) wrong(`stage ${name} is ${status}`);
    if (recoveries > spec.spans[Number(name.slice(1))]!.actions) wrong(`stage ${name} had ${recoveries} actions`);
  }
  const ends = history.flatMap(({ events }) => events.filter(({ type, node }) => ENDS.has(type) && ACTION_ID.test(node ?? "")).map(({ node }) => node!));
  if (new Set(ends).size < ends.length) wrong(`an action ended twice: ${ends.join()}`);
  const warnings = history.flatMap(({ events }) => events.filter(({ type }) => type === "stage.warned" || type === "run.warned").map(({ stage }) => stage));
  if (new Set(warnings).size < warnings.length) wrong("a stage was warned of twice");
  for (const { events } of history)
    for (const [i, event] of events.entries()) if (event.verdict !== undefined) checkVerdict(spec, event, events.slice(0, i), events.slice(i + 1), wrong);
}

/** A verdict is what its action said, and what it says happens at once. */
function checkVerdict(
  spec: LadderSpec,
  event: HistoryEvent,
  before: readonly HistoryEvent[],
  after: readonly HistoryEvent[],
  wrong: (what: string) => never,
): void {
  const { node, stage, verdict } = event;
  const of = node ?? (stage === undefined ? "[run]" : `[stage.${stage}]`);
  const end = before.findLast(({ type, node: id }) => ENDS.has(type) && ACTION_ID.exec(id ?? "")?.[1] === of);
  if (end === undefined) return wrong(`${of} was told to ${verdict} by nobody`);
  const said = saidBy(
    end.node!,
    (node === undefined ? spec.spans[stage === undefined ? 0 : Number(stage.slice(1))]! : spec.nodes[Number(/^n(\d+)/.exec(node)![1])]!).said,
  );
  const wanted = said === "restart" || said === "fail" ? said : "continue";
  if (verdict !== wanted) wrong(`${end.node} said ${said}, and ${of} was told to ${verdict}`);
  if (node !== undefined) {
    const next = after.find((other) => other.node === node)?.type;
    if (FOLLOWS[wanted]?.includes(next ?? "") === false) wrong(`${node} was told to ${wanted}, and then: ${next}`);
  } else if (
    wanted === "fail" &&
    !after.some(({ type, stage: other }) => (stage === undefined ? type === "run.timedOut" : type === "stage.timedOut" && other === stage))
  )
    wrong(`${of} was told to fail, and did not`);
}
