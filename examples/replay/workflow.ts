/**
 * A workload as a workflow: each task a node, each type of task an agent that waits as long as the task once ran, in
 * scaled time. Every call leaves two lines in a log, so that others can check what ran, in which order, and how often.
 */
import { appendFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { type Agent, type NodeHandle, type Workflow, agent, workflow } from "pawl";
import { z } from "zod";
import type { Workload } from "./workload.ts";

export interface ReplayOptions {
  /** Milliseconds of replay for a recorded millisecond. */
  readonly scale: number;
  /** Gets `start <node> <attempt>` and `end <node>`. */
  readonly log: string | undefined;
}

export function replayWorkflow({ name, tasks }: Workload, options: ReplayOptions): Workflow {
  const agents = new Map([...new Set(tasks.map(({ type }) => type))].map((type) => [type, replayAgent(type, options)]));
  return workflow({ name, input: z.object({}), timeout: "1d" }, (wf) => {
    const nodes = new Map<string, NodeHandle<unknown>>();
    for (const { id, type, deps, s } of tasks)
      nodes.set(id, wf.node(id, agents.get(type)!, { s }, { after: deps.map((dependency) => nodes.get(dependency)!) }));
    return {};
  });
}

function replayAgent(name: string, { scale, log }: ReplayOptions): Agent<{ s: number }> {
  const note = (line: string): void => {
    if (log !== undefined) appendFileSync(log, `${line}\n`);
  };
  return agent({
    name,
    input: z.object({ s: z.number() }),
    output: z.object({}),
    timeout: "1d",
    run: async ({ s }, { nodeId, attempt, signal }) => {
      note(`start ${nodeId} ${attempt}`);
      await pause(s * 1_000 * scale, undefined, { signal });
      note(`end ${nodeId}`);
      return {};
    },
  });
}
