/**
 * What must hold after each scenario, whatever happened: in the rows of each run, and in the log of the agents.
 * 1. A node whose completion was durable when a process left is not called again. 2. A call is repeated only when whoever
 * made it has left, or was taken for dead and began again. 3. No node is called before those that it waits for have ended. 4. The history has no gap, and each
 * node completes in it once.
 */
import { expect } from "vitest";
import type { Run } from "../../src/index.ts";
import { MILL, MILL_OUTPUT, attemptsOf } from "./flows.ts";
import type { Line } from "./inspector.ts";
import type { Departure } from "./stage.ts";

export async function checkRun(run: Run<unknown>): Promise<void> {
  expect(await run.ended(), run.id).toMatchObject({ status: "completed", output: MILL_OUTPUT, degraded: false });
  const nodes = await run.nodes();
  expect(
    nodes.map(({ id, status, attempt }) => ({ id, status, attempt })),
    run.id,
  ).toEqual(Object.keys(MILL).map((id) => ({ id, status: "completed", attempt: attemptsOf(id) })));
  const history = await Array.fromAsync(run.history());
  expect(
    history.map(({ commitNo }) => commitNo),
    run.id,
  ).toEqual(history.map((_, i) => i + 1));
  const events = history.flatMap(({ events }) => events);
  const completed = events.flatMap(({ type, node }) => (type === "node.completed" ? [node!] : []));
  expect(completed.sort(), run.id).toEqual(Object.keys(MILL).sort());
  expect(events.filter(({ type }) => type === "run.completed")).toHaveLength(1);
}

export function checkLines(happened: readonly Line[], departures: readonly Departure[]): void {
  const lines = happened.filter(({ what }) => what !== "opened");
  for (const departure of departures) checkCompleted(lines, departure, departures);
  const hasBegunAgain = (before: Line): boolean => happened.slice(happened.indexOf(before)).some(({ what, pid }) => what === "opened" && pid === before.pid);
  const ended = new Set<string>();
  const started = new Map<string, Line>();
  for (const line of lines) {
    if (line.what === "end") ended.add(`${line.run}/${line.node}`);
    if (line.what !== "start") continue;
    for (const dependency of MILL[line.node] ?? [])
      if (!ended.has(`${line.run}/${dependency}`)) throw new Error(`${line.run}/${line.node} was called before ${dependency} had ended`);
    const call = `${line.run}/${line.node}/${line.attempt}`;
    const before = started.get(call);
    if (before !== undefined && !departures.some(({ pid }) => pid === before.pid || pid === line.pid) && !hasBegunAgain(before))
      throw new Error(`${call} was called by ${before.pid}, which had not left, and again by ${line.pid}`);
    started.set(call, line);
  }
}

function checkCompleted(lines: readonly Line[], { completed, lines: until }: Departure, departures: readonly Departure[]): void {
  const mayBegin = (line: Line): boolean => departures.some(({ pid, granted }) => pid === line.pid && granted.has(`${line.run}/${line.node}`));
  for (const line of lines.slice(until))
    if (line.what === "start" && completed.has(`${line.run}/${line.node}`) && !mayBegin(line))
      throw new Error(`${line.run}/${line.node} was called again by ${line.pid} although its completion was durable`);
}
