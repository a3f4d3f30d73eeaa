/**
 * `pawl fork`: a new run from where another was. Says first what is kept and what runs again, and asks.
 */
import type { ForkPlan, Pawl, Run } from "../index.ts";
import { type ActOptions, type Done, act } from "./act.ts";
import { confirmed } from "./confirm.ts";
import { EXIT } from "./exit-code.ts";
import { readValues } from "./input.ts";
import { toJson } from "./json.ts";
import { eventTypeText, stateText } from "./machine-text.ts";
import { problemOf } from "./problem.ts";
import { durationText, listText, oneLine } from "./text.ts";
import { takerText, workersOf } from "./workers.ts";

export interface ForkVerbOptions extends ActOptions {
  readonly from: string;
  readonly set?: readonly string[];
  readonly id?: string;
  readonly yes?: true;
}

export async function fork(id: string, options: ForkVerbOptions): Promise<number> {
  const set = await readValues(options.set, "--set", "write --set 'input.topic=\"ratchets\"'");
  const isJson = options.json === true;
  return act(id, options, async (run, pawl) => {
    const asked = { from: await readFrom(run, options.from), ...(set !== undefined && { set }) };
    const plan = await run.planFork(asked);
    if (!isJson) process.stdout.write(`${planLines(plan).join("\n")}\n`);
    if (!options.yes && (isJson || !process.stdin.isTTY || !process.stderr.isTTY)) throw nobodyToAsk(isJson, plan);
    if (!options.yes && !(await confirmed("Start it? [y/N] "))) return { line: "nothing was started", facts: {}, exitCode: EXIT.failed };
    return told(pawl, await run.fork({ ...asked, ...(options.id !== undefined && { id: options.id }) }), plan);
  });
}

/** A number is that of a commit, unless a node is called so. */
async function readFrom(run: Run<unknown>, text: string): Promise<string | number> {
  if (!/^\d+$/.test(text)) return text;
  const isNode = (await run.status()).kind === "workflow" && (await run.nodes()).some(({ id }) => id === text);
  return isNode ? text : Number(text);
}

function planLines(plan: ForkPlan): string[] {
  const of = `fork of ${plan.runId} as of commit ${plan.commitNo}`;
  const changes = plan.changes.map(
    ({ path, before, after }) => `  ${oneLine(path)}: ${before === undefined ? "nothing" : oneLine(toJson(before))} → ${oneLine(toJson(after))}`,
  );
  const sets = changes.length === 0 ? [] : ["sets", ...changes];
  if (plan.kind === "workflow") {
    const kept = plan.keeps.map(({ node, status }) => (status === "completed" ? node : `${node} (${status})`));
    const outdated = plan.outdated.length === 0 ? [] : [`kept, though what they were given would be another now: ${listText(plan.outdated)}`];
    const undone = plan.undone.length === 0 ? [] : [`kept, though what they did was undone since: ${listText(plan.undone)}`];
    return [of, `keeps ${listText(kept) || "nothing"}`, `runs again ${listText(plan.runsAgain) || "nothing"}`, ...outdated, ...undone, ...sets];
  }
  const again = plan.startsAgain.map(({ actor, src }) => oneLine(src === "" ? actor : `${actor} (${src})`));
  const timers = plan.timers.map(({ event, remainingMs }) => `${eventTypeText(event)} in ${durationText(remainingMs)}`);
  return [
    of,
    `keeps its state ${stateText(plan.state)}`,
    `starts again ${listText(again) || "nothing"}`,
    `still waits: ${listText(timers) || "for no timer"}`,
    ...sets,
  ];
}

function nobodyToAsk(isJson: boolean, plan: ForkPlan): Error {
  if (isJson) process.stdout.write(`${toJson({ runId: plan.runId, plan })}\n`);
  return problemOf("PAWL_USAGE", "nothing was started: there is no terminal to ask", "give --yes to start it");
}

async function told(pawl: Pawl, forked: Run<unknown>, plan: ForkPlan): Promise<Done> {
  const workers = await workersOf(pawl, forked);
  return { line: `run ${forked.id} is recorded; ${takerText(workers)}`, facts: { forkId: forked.id, plan, workers: workers.map(({ pid }) => pid) } };
}
