/**
 * A long saga: a journey of twenty bookings, each of which can be undone, calls, items, rounds, a choice and runs of their own;
 * the departure fails while some are under way, and all is undone. And what must be true of it, by what the world outside has
 * seen and what the rows say, in the simulator as with real processes, whoever dies when.
 */
import { z } from "zod";
import {
  type Agent,
  type AgentContext,
  AgentError,
  type HistoryEntry,
  type NodeView,
  type Pawl,
  type RunView,
  type Workflow,
  agent,
  workflow,
} from "../../src/index.ts";

/** What a journey needs of the world: it is seen, and things take time, in ms. */
export interface JourneyWorld {
  note(what: "start" | "end" | "fail" | "abort", context: Pick<AgentContext, "runId" | "nodeId" | "attempt">): void;
  pause(ms: number): Promise<void>;
}

/** Nodes in the order of their definition; with those that it has only in part: items, and rounds. */
const DEFINED = [
  ...["order", "flight", "hotel", "car", "visa", "tickets", "rail", "seat", "bus", "insurance", "guide", "haggle"],
  ...["watch", "wait", "bill", "pay", "receipt", "mail", "depart", "home"],
];
const RUNS_OF_THEIR_OWN = ["insurance", "guide"];
/** How long they take; all others take STEP_MS. */
const STEP_MS = 4;
const LATE_MS = 120;
const WORK_MS: Readonly<Record<string, number>> = { flight: 6, wait: LATE_MS };

/** The workflow, with those whose runs are parts of it. */
export function journeyOf(world: JourneyWorld): { readonly journey: Workflow<{}, unknown>; readonly parts: readonly Workflow<any, unknown>[] } {
  const { does, undo, heeds, refuses } = agentsOf(world);
  const compensate = undo;
  const part = (name: string, end: Agent): Workflow<any, unknown> =>
    workflow({ name, input: z.any() }, (wf) => {
      const first = wf.node("first", does, 1, { compensate });
      return wf.node("second", end, first.result, { compensate }).result;
    });
  const [policy, tour] = [part("policy", does), part("tour", heeds)];
  const journey = workflow({ name: "journey", input: z.object({}) }, (wf) => {
    const order = wf.node("order", does, 1, { compensate });
    const [flight, hotel, car, visa] = ["flight", "hotel", "car", "visa"].map((id) => wf.node(id, does, order.result, { compensate }));
    const tickets = wf.map("tickets", ["a", "b", "c"], does, (who) => who, { compensate, concurrency: 2 });
    const way = wf.when(
      "way",
      flight!.result,
      () => {
        const rail = wf.node("rail", does, 1, { compensate });
        return wf.node("seat", does, rail.result, { compensate }).result;
      },
      () => wf.node("bus", does, 1, { compensate }).result,
    );
    const insurance = wf.run("insurance", policy, { of: hotel!.result }, { compensate });
    wf.run("guide", tour, { of: order.result }, { compensate });
    const haggle = wf.repeat("haggle", does, car!.result, { max: 2, compensate });
    wf.node("watch", heeds, order.result, { compensate });
    wf.node("wait", does, order.result, { compensate });
    const bill = wf.node("bill", does, [way.result, haggle.result], { compensate });
    const pay = wf.node("pay", does, bill.result, { compensate });
    const receipt = wf.node("receipt", does, pay.result, { compensate });
    const mail = wf.node("mail", does, [receipt.result, tickets.result, insurance.result, visa!.result], { compensate });
    const depart = wf.node("depart", refuses, mail.result, { compensate, onFail: "compensate" });
    return wf.node("home", does, depart.result, { compensate }).result;
  });
  return { journey: journey as Workflow<{}, unknown>, parts: [policy, tour] };
}

function agentsOf({ note, pause }: JourneyWorld): Record<"does" | "undo" | "heeds" | "refuses", Agent> {
  const made = (name: string, run: (context: AgentContext) => Promise<unknown>): Agent =>
    agent({ name, input: z.any(), output: z.any(), retry: { maxAttempts: 1 }, run: (_, context) => (note("start", context), run(context)) });
  const does = made("does", async (context) => {
    await pause(WORK_MS[context.nodeId] ?? STEP_MS);
    note("end", context);
    return context.nodeId;
  });
  const heeds = made("heeds", (context) => {
    const asked = Promise.withResolvers<never>();
    context.signal.addEventListener("abort", () => (note("abort", context), asked.reject(new Error("stopped"))));
    return asked.promise;
  });
  const refuses = made("refuses", async (context) => {
    await pause(STEP_MS);
    note("fail", context);
    throw new AgentError("no seat is left", { kind: "critical" });
  });
  const undo = agent({
    name: "undo",
    input: z.any(),
    output: z.any(),
    retry: { initialInterval: 2, jitter: "none" },
    run: async (_, context) => {
      note("start", context);
      await pause(1);
      if (context.nodeId === "pay[undo]" && context.attempt === 1) {
        note("fail", context);
        throw new Error("once");
      }
      note("end", context);
    },
  });
  return { does, undo, heeds, refuses };
}

// ---- what must be true of it

/** A call, or its end, as the world outside saw it; `life` says which process made it. */
export interface Seen {
  readonly what: "start" | "end" | "fail" | "abort";
  readonly run: string;
  readonly node: string;
  readonly attempt: number;
  readonly life: number;
}

/** What is said of a run that has ended. */
export interface EndedRun {
  readonly run: RunView;
  readonly nodes: readonly NodeView[];
  readonly history: readonly HistoryEntry[];
}

const UNDO = "[undo]";
const isUndo = ({ node }: Seen): boolean => node.endsWith(UNDO);
const undoneBy = ({ node }: Seen): string => node.slice(0, -UNDO.length);

/** The journey and its parts, as they are shown when it has ended. */
export async function endedRuns(pawl: Pawl, id: string): Promise<ReadonlyMap<string, EndedRun>> {
  const all = new Map<string, EndedRun>();
  for (const name of [id, ...RUNS_OF_THEIR_OWN.map((part) => `${id}/${part}`)]) {
    const run = await pawl.run(name);
    all.set(name, { run: await run.status(), nodes: await run.nodes(), history: await Array.fromAsync(run.history()) });
  }
  return all;
}

/** Throws when something is not as it must be. Answers how many calls there were that undo something. */
export function checkJourney(id: string, seen: readonly Seen[], ended: ReadonlyMap<string, EndedRun>): number {
  const [journey, insurance, guide] = [id, ...RUNS_OF_THEIR_OWN.map((part) => `${id}/${part}`)].map((name) => ended.get(name)!) as [
    EndedRun,
    EndedRun,
    EndedRun,
  ];
  const of = (run: string): Seen[] => seen.filter((line) => line.run === run);
  const { status, compensated, compensationFailed, failure } = journey.run;
  same([status, compensated, compensationFailed, failure?.node], ["failed", true, [], "depart"], "the journey");
  checkUndone(journey, of(id), "depart");
  same(
    [insurance.run.status, insurance.run.compensated, of(`${id}/insurance`).filter(isUndo)],
    ["completed", false, []],
    "a run of its own that had completed",
  );
  same([guide.run.status, guide.run.compensated], ["cancelled", true], "a run of its own that was under way");
  checkUndone(guide, of(`${id}/guide`), undefined);
  const undos = seen.filter(isUndo);
  const firstOfAll = undos.findIndex(({ run }) => run === id);
  const isLate = undos.findLastIndex(({ run }) => run === `${id}/guide`) > firstOfAll;
  if (isLate) throw new Error("a run of its own was undone after what came before it");
  return undos.filter(({ what }) => what === "start").length;
}

const ENDS: ReadonlySet<string> = new Set(["node.completed", "node.cancelled", "node.failed"]);
/** All that was done, or may have been, was undone, in the opposite order, one after the other, each once in a life. */
function checkUndone({ nodes, history }: EndedRun, seen: readonly Seen[], cause: string | undefined): void {
  const events = history.flatMap(({ commitNo, events }) => events.map((event) => ({ ...event, commitNo })));
  const unwindsAt = events.find(({ type }) => type === "run.compensating")!.commitNo;
  const starts = events.filter(({ type, attempt }) => type === "node.started" && attempt !== undefined);
  const late = starts.find(({ commitNo }) => commitNo > unwindsAt);
  if (late !== undefined) throw new Error(`${late.node} was started while the run was unwound`);
  const started = new Set(starts.map(({ node }) => node!));
  const begun = seen.filter(({ what }) => what === "start");
  const unknown = begun.find((call) => !isUndo(call) && !started.has(call.node));
  if (unknown !== undefined) throw new Error(`${unknown.node} was called, and no row says that it began`);
  const ends = events.filter(({ type }) => ENDS.has(type)).map(({ node, commitNo }) => [node!, commitNo] as const);
  // what a crash cut off ended when the next process found it
  const foundAt = events.find(({ type, commitNo }) => type === "run.recovered" && commitNo > unwindsAt)?.commitNo;
  const endedAt = (id: string): number => new Map(ends).get(id) ?? foundAt!;
  const wanted = [...started].toSorted((a, b) => Number(b === cause) - Number(a === cause) || endedAt(b) - endedAt(a) || byDefinition(b, a));
  const undos = begun.filter(isUndo);
  same([...new Set(undos.map(undoneBy))], wanted, "the order in which it was undone");
  same(undos.length, new Set(undos.map(({ node, attempt, life }) => `${node} ${attempt} ${life}`)).size, "calls in one life");
  for (const undo of undos) {
    const place = wanted.indexOf(undoneBy(undo));
    const done = new Set(seen.slice(0, seen.indexOf(undo)).flatMap((line) => (line.what === "end" && isUndo(line) ? [undoneBy(line)] : [])));
    for (const before of wanted.slice(0, place)) if (!done.has(before)) throw new Error(`${undoneBy(undo)} was undone before ${before} had been`);
  }
  for (const { id, status } of nodes)
    if (started.has(id) !== (status === "compensated") && !["completed", "notTaken", "cancelled", "blocked"].includes(status))
      throw new Error(`${id} is ${status}`);
  for (const id of started) same(nodes.find((node) => node.id === id)?.status, "compensated", id);
}

function byDefinition(a: string, b: string): number {
  const placeOf = (id: string): number => ["first", "second", ...DEFINED].indexOf(id.replace(/\[\d+\]$/, ""));
  return placeOf(a) - placeOf(b) || a.localeCompare(b);
}

function same(found: unknown, wanted: unknown, of: string): void {
  const [is, must] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (is !== must) throw new Error(`${of}: ${is}, not ${must}`);
}
