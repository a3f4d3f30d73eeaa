/**
 * `pawl show`: one run as it is stored: input, nodes, output, failure, and on request its history.
 */
import type { ActorView, Cause, Checkpoint, HistoryEntry, NodeView, Run, RunView, StageView, WorkerView } from "../index.ts";
import { EXIT } from "./exit-code.ts";
import { toJson } from "./json.ts";
import { actorLines } from "./actor-tree.ts";
import { eventText } from "./event-text.ts";
import { stateText, waitsText } from "./machine-text.ts";
import { MapLines } from "./map-lines.ts";
import { nodeLines } from "./node-table.ts";
import { awaitedText, sendCommand } from "./node-text.ts";
import { stageLines } from "./stage-table.ts";
import { standingOf } from "./standing.ts";
import { findRun, isOver, openToLook, runWords, withStore } from "./stored.ts";
import { type Cell, alignColumns, dateAndTime, durationText, manyLines, oneLine, statusCell } from "./text.ts";
import { NO_WORKER, workersOf, workersText } from "./workers.ts";

export interface ShowOptions {
  readonly history?: true;
  readonly checkpoints?: true;
  readonly result?: string;
  readonly store?: string;
  readonly json?: true;
}

export async function show(id: string, options: ShowOptions): Promise<number> {
  await using pawl = await openToLook(options.store);
  const run = await findRun(pawl, id);
  if (options.result !== undefined) return printed(toJson((await run.nodeResult(options.result)) ?? null));
  const view = await run.status();
  const parts = await partsOf(run, view);
  const workers = isOver(view) ? undefined : await workersOf(pawl, run).catch(() => undefined);
  const history = options.history ? await Array.fromAsync(run.history()) : undefined;
  const checkpoints = options.checkpoints ? await Array.fromAsync(run.checkpoints()) : undefined;
  const told = history === undefined || options.json ? undefined : await historyRows(run, view, history);
  const heldUp = options.json ? [] : await heldUpBy(run, parts);
  const lines = (): string[] => [
    ...runLines(view, workers),
    ...awaitedLines(view, runWords(run.id, options.store)),
    ...heldUp.flatMap(({ message, next }) => ["", oneLine(message, HELD_UP_LENGTH_MAX), `  ${withStore(next ?? "", options.store)}`]),
    "",
    ...partLines(parts),
    ...historyLines(told),
    ...checkpointLines(checkpoints),
  ];
  const more = { ...(history && { history }), ...(checkpoints && { checkpoints }) };
  if (options.json) return printed(toJson({ ...view, ...(workers && { workers: workers.map(({ pid }) => pid) }), ...parts, ...more }));
  return printed(lines().join("\n"));
}

function printed(text: string): number {
  process.stdout.write(`${text}\n`);
  return EXIT.completed;
}

/** What a run is made of. */
type Parts = { readonly nodes: readonly NodeView[]; readonly stages: readonly StageView[] } | { readonly actors: readonly ActorView[] };

/** The rows of a run that was set aside may be the reason: they are not read. */
async function partsOf(run: Run<unknown>, { kind, status }: RunView): Promise<Parts> {
  const isReadable = status !== "quarantined";
  if (kind === "machine") return { actors: isReadable ? await run.actors() : [] };
  return { nodes: isReadable ? await run.nodes() : [], stages: isReadable ? await run.stages() : [] };
}

function partLines(parts: Parts): string[] {
  if ("actors" in parts) return actorLines(parts.actors, process.stdout);
  return [...stageLines(parts.stages, process.stdout), ...nodeLines(parts.nodes, process.stdout)];
}

function runLines(view: RunView, workers: readonly WorkerView[] | undefined): string[] {
  const rows: (string | Cell)[][] = [
    ["run", view.id],
    [view.kind, view.workflow],
    ["status", statusCell(view.status)],
    ["started", dateAndTime(view.createdAt)],
    ["updated", `${dateAndTime(view.updatedAt)} (after ${durationText(view.updatedAt - view.createdAt)})`],
    ["commit", String(view.commitNo)],
  ];
  if (workers !== undefined) rows.push(["worker", workersText(workers)?.replace(/^worker /, "") ?? `none: ${NO_WORKER}`]);
  if (view.subject !== undefined) rows.push(["subject", oneLine(view.subject)]);
  if (view.tags.length > 0) rows.push(["tags", oneLine(view.tags.join(", "))]);
  if (view.tenant !== undefined) rows.push(["tenant", view.tenant]);
  if (view.priority !== 0) rows.push(["priority", String(view.priority)]);
  if (view.forkedFrom !== undefined) rows.push(["forked", forkText(view.forkedFrom)]);
  if (view.status === "paused") rows.push(["paused", `nothing is started until \`pawl resume ${view.id}\``]);
  if (view.terminated) rows.push(["ended", "at once: nothing was run that would undo what was done"]);
  if (view.degraded) rows.push(["degraded", "it completed, though nodes were skipped, or alternatives took over"]);
  if (view.state !== undefined) rows.push(["state", stateText(view.state)]);
  if (view.waitingFor !== undefined && view.waitingFor.awaited === undefined) rows.push(["waits", waitsText(view.waitingFor).replace(/^waits:? /, "")]);
  else if (view.wakeAt !== null && view.waitingFor === undefined)
    rows.push([view.status === "pending" ? "begins" : "goes on", `at ${dateAndTime(view.wakeAt)}`]);
  if (view.reason !== null) rows.push(["reason", oneLine(view.reason)]);
  if (view.failure !== undefined) rows.push(["failure", oneLine(failureText(view.failure), 500)]);
  for (const field of ["input", "output"] as const) if (view[field] !== undefined) rows.push([field, valueText(view[field])]);
  return alignColumns(rows, process.stdout);
}

/** The events that a workflow waits for, each with the command that sends it. */
function awaitedLines({ waitingFor }: RunView, words: readonly string[]): string[] {
  const awaited = waitingFor?.awaited ?? [];
  return awaited.flatMap((event) => ["", `waits for ${awaitedText(event)}`, `  ${sendCommand(event, words)}`]);
}

/** The limits, and the circuit breakers, that its nodes or steps wait for. */
async function heldUpBy(run: Run<unknown>, parts: Parts): Promise<readonly Cause[]> {
  const isQueued =
    "nodes" in parts
      ? parts.nodes.some(({ status }) => status === "queued" || status === "backingOff")
      : parts.actors.some(({ agent, status }) => agent !== undefined && status === "running");
  return isQueued ? (await run.why()).causes.filter(({ kind }) => kind === "limit" || kind === "circuitOpen") : [];
}

const HELD_UP_LENGTH_MAX = 500;

function forkText({ runId, commitNo, from }: NonNullable<RunView["forkedFrom"]>): string {
  return `from ${runId}, commit ${commitNo}${typeof from === "string" ? `, to run ${oneLine(from)} again` : ""}`;
}

function failureText({ node, code, message }: NonNullable<RunView["failure"]>): string {
  return `${node === undefined ? "" : `${node}: `}${code} ${message}`;
}

const VALUE_LENGTH_MAX = 4_000;

function valueText(value: unknown): string {
  const short = toJson(value);
  const text = short.length <= 100 ? short : toJson(value, 2);
  return text.length <= VALUE_LENGTH_MAX ? manyLines(text) : `${manyLines(text.slice(0, VALUE_LENGTH_MAX))}\n… (--json has all of it)`;
}

/** What happened, as `watch` would have told it. The rows of a run that was set aside are not read. */
async function historyRows(run: Run<unknown>, { kind, status }: RunView, history: readonly HistoryEntry[]): Promise<string[][]> {
  const standing = kind === "machine" || status === "quarantined" ? undefined : await standingOf(run, kind);
  const board = standing?.kind === "workflow" ? standing.board : undefined;
  const maps = board && new MapLines(board);
  return history.flatMap((entry) => {
    board?.apply(entry);
    const told = entry.events.filter((event) => maps?.takes(event) !== true);
    return told.map((event) => [String(entry.commitNo), dateAndTime(entry.at), eventText(event, (id) => board?.node(id))]);
  });
}

function historyLines(rows: readonly string[][] | undefined): string[] {
  return rows === undefined ? [] : ["", ...alignColumns([["COMMIT", "AT", "WHAT HAPPENED"], ...rows], process.stdout)];
}

/** The commits that the run can be forked from. Left out are those whose rows are not kept any more, or in which nothing happened. */
function checkpointLines(checkpoints: readonly Checkpoint[] | undefined): string[] {
  if (checkpoints === undefined) return [];
  const kept = checkpoints.filter(({ canFork }) => canFork);
  const told = kept.filter(({ events, commitNo }) => events.length > 0 || commitNo === 1);
  const rows = (told.length > 0 ? told : kept).map(({ commitNo, at, events }) => [String(commitNo), dateAndTime(at), checkpointText(commitNo, events)]);
  if (rows.length === 0) return ["", "no commit of this run can be forked any more"];
  return ["", ...alignColumns([["CHECKPOINT", "AT", "WHAT HAPPENED"], ...rows], process.stdout)];
}

/** The first commit of a run that a client started only says that it is there. */
function checkpointText(commitNo: number, events: HistoryEntry["events"]): string {
  return events.length === 0 && commitNo === 1 ? "run recorded" : oneLine(events.map((event) => eventText(event)).join("; "));
}
