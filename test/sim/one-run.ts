/**
 * The story of one run, "r", in a machine room of its own: played to its end, through the death of a process or without, and
 * what can be read of it.
 */
import type { Agent } from "../../src/define/agent.ts";
import type { Workflow } from "../../src/define/workflow.ts";
import type { Run } from "../../src/run/handle.ts";
import type { HistoryEvent } from "../../src/run/history.ts";
import type { RunNotice } from "../../src/run/notice.ts";
import { MachineRoom, anyWorkflow } from "./machine-room.ts";

const DAY_MS = 86_400_000;
const START = { id: "r", input: "x" };

/** A workflow of one node, "n". */
export function oneNode(work: Agent, options: object = {}): Workflow {
  return anyWorkflow("flow", (wf) => wf.node("n", work, "x", options).result, { timeout: DAY_MS });
}

/** Its run, ended; the notices of it are delivered. */
export async function played(flow: Workflow, notices: RunNotice[] = []): Promise<Run<unknown>> {
  const room = new MachineRoom();
  const { pawl } = await room.boot([flow], { notify: (notice) => void notices.push(notice) });
  const run = await room.settled(pawl.start(flow, START));
  await room.settled(run.ended());
  await room.clock.advance(10_000);
  return run as Run<unknown>;
}

/** A process dies before or after its commit of this number. */
export interface Death {
  readonly kind: "crashBefore" | "crashAfter";
  readonly at: number;
}

export function deaths(from: number, below: number): Death[] {
  return (["crashBefore", "crashAfter"] as const).flatMap((kind) => Array.from({ length: below - from }, (_, i) => ({ kind, at: from + i })));
}

/** Its run, ended, of which the first process died so and another did the rest. */
export async function playedThrough(flow: Workflow, { kind, at }: Death): Promise<Run<unknown>> {
  const room = new MachineRoom();
  let commits = 0;
  const first = await room.boot([flow], { fault: () => (++commits === at ? kind : undefined) });
  const ended = first.pawl.start(flow, START).then((run) => run.ended());
  let isEnded = false;
  ended.then(
    () => (isEnded = true),
    () => {},
  );
  await room.clock.until(() => !first.isAlive || isEnded);
  first.kill();
  const { pawl } = await room.boot([flow]);
  await room.settled(pawl.start(flow, START));
  const run = await room.settled(pawl.run("r"));
  await room.settled(run.ended());
  return run;
}

/** What happened to nodes, a line each. */
export async function nodeEvents(run: Run<unknown>): Promise<string[]> {
  return (await eventsOf(run)).filter(({ type }) => type.startsWith("node.")).map(line);
}

/** What happened to stages, and to the run itself, a line each. */
export async function spanEvents(run: Run<unknown>): Promise<string[]> {
  return (await eventsOf(run)).filter(({ type }) => !type.startsWith("node.")).map(line);
}

export async function eventsOf(run: Run<unknown>): Promise<HistoryEvent[]> {
  return (await Array.fromAsync(run.history())).flatMap(({ events }) => events);
}

function line({ type, node, stage, attempt, action, verdict, code }: HistoryEvent): string {
  return [type, node, stage, attempt, action, verdict, code].filter(Boolean).join(" ");
}

/** How the nodes stand, by their ids. */
export async function standing(run: Run<unknown>): Promise<Record<string, string>> {
  return Object.fromEntries((await run.nodes()).map(({ id, status }) => [id, status]));
}
