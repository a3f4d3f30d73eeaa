/**
 * Which limit nodes, and steps of machines, wait for: from what workers say of their agents and the rows of the limits, and
 * where this process executes the run, from what it knows itself.
 */
import type { AgentUse } from "../define/limits.ts";
import { readBusy } from "./busy.ts";
import { type KnownLimits, knownLimits } from "./known-limits.ts";
import { agentLimitKey, limitKey } from "./limit-key.ts";
import { type LimitShare, type LimitView, viewLimit } from "./limit-view.ts";
import { type Lane, NO_LANE } from "./lane.ts";
import { turnsBefore, waitingOf } from "./queue-place.ts";
import { openRunRow } from "./row.ts";
import { type Asking, type Caller, type Draft, aboutFirst, instantText, waitingText } from "./why-cause.ts";

interface Waiting {
  readonly key: string;
  readonly agent: string;
  readonly amount: number;
  readonly view: LimitView;
  readonly callers: Caller[];
}

/** Those that wait for a limit, a cause for each limit; and those that wait for something else. */
export async function limitDrafts<Held extends Caller>(
  asking: Asking,
  callers: readonly Held[],
): Promise<{ readonly drafts: Draft[]; readonly others: readonly Held[] }> {
  if (callers.length === 0) return { drafts: [], others: [] };
  const known = await knownLimits(asking.store);
  const { lane = NO_LANE } = openRunRow(asking.record);
  const busy = await readBusy(asking.store);
  const [waiting, others] = [new Map<string, Waiting>(), [] as Held[]];
  const atBusy = Map.groupBy(callers, ({ agent }) => ((busy.get(agent)?.until ?? 0) > asking.clock.now() ? agent : undefined));
  for (const caller of atBusy.get(undefined) ?? []) {
    const use = known.uses.get(caller.agent);
    const found = use === undefined ? undefined : lackingOf(asking, known, use, lane.tenant, caller);
    if (found === undefined) others.push(caller);
    else if (waiting.has(found.key)) waiting.get(found.key)!.callers.push(caller);
    else waiting.set(found.key, { ...found, callers: [caller] });
  }
  atBusy.delete(undefined);
  const busyDrafts = [...atBusy].map(([agent, held]) => busyDraft(agent!, busy.get(agent!)!, held));
  return { drafts: [...busyDrafts, ...[...waiting.values()].map((each) => draftOf(asking, each, lane))], others };
}

function busyDraft(agent: string, { until }: { readonly until: number }, callers: readonly Caller[]): Draft {
  const message = `${waitingText(callers)} what agent "${agent}" calls: it was asked too much, and said when to come back: at ${instantText(until)}`;
  return { kind: "limit", message, ...aboutFirst(callers), until, next: "wait; or say what it allows in `limits` and `uses`, so that no more is asked of it" };
}

/** The first of what it uses of which there is too little, or which others wait for. Of who may have begun: for which its worker waits. */
function lackingOf(
  asking: Asking,
  known: KnownLimits,
  use: AgentUse,
  tenant: string | undefined,
  { mayHaveBegun }: Caller,
): Omit<Waiting, "callers"> | undefined {
  const needs = use.uses.flatMap(({ resource, amount }) => {
    const policy = known.policies.get(resource);
    return policy === undefined ? [] : [{ key: limitKey(policy, tenant), amount }];
  });
  if (use.concurrency !== undefined) needs.unshift({ key: agentLimitKey(use.agent), amount: 1 });
  const { store, clock, worker } = asking;
  const looking = { store, worker, now: () => worker?.steadyNow() ?? clock.now() };
  const views = needs.map((need) => ({ ...need, agent: use.agent, view: viewLimit(looking, known, need.key) }));
  const all = mayHaveBegun ? views.filter(({ view }) => waitingBeside(asking, view).nodes > 0) : views;
  return all.find(({ view, amount }) => view.used + amount > view.max) ?? all.find(({ view }) => view.waiting > 0);
}

function draftOf(asking: Asking, waiting: Waiting, lane: Lane): Draft {
  const { amount, view, callers } = waiting;
  const { name, tenant, max, perMs, used, freeAt, setFrom } = view;
  const within = perMs === undefined ? "" : ` within ${perMs / 1_000} s`;
  const whose = tenant === undefined ? "" : ` of tenant "${tenant}"`;
  const set = setFrom === undefined ? "" : `, which was set instead of ${setFrom}`;
  const parts = [
    `${waitingText(callers)} "${name}"${whose}: ${used} of ${max}${within} ${used === 1 ? "is" : "are"} used${set}`,
    `all that wait need ${view.waiting}, each of these ${amount}`,
    ...queueTexts(asking, waiting, lane),
  ];
  const until = used + amount > max ? freeAt : undefined;
  if (until !== undefined) parts.push(`the first is free again at ${instantText(until)}`);
  return {
    kind: "limit",
    message: parts.join("; "),
    ...aboutFirst(callers),
    until,
    next: `\`pawl limits set ${name} ${Math.max(max * 2, amount)}${tenant === undefined ? "" : ` --tenant ${tenant}`}\` if there may be more; \`pawl limits ls\` shows who uses it`,
  };
}

/** What waits for it in the worker that has the run. */
function waitingBeside({ record }: Asking, { shares }: LimitView): Pick<LimitShare, "nodes" | "everyMs"> {
  return shares.find(({ epoch }) => epoch === record.epoch) ?? { nodes: 0, everyMs: undefined };
}

/** So many of this run's stand before the gate to call this agent; undefined where only another process knows. */
export function knownToWait({ worker, record }: Asking, agent: string): number | undefined {
  return worker?.epoch === record.epoch ? waitingOf(worker.protection.gate.flows, record.id, agent) : undefined;
}

/** How many wait, how many of them come before, when that is, and by what the run takes its turn. Only the run's worker knows its queue. */
function queueTexts(asking: Asking, { key, agent, view }: Waiting, { tenant, priority }: Lane): string[] {
  const { worker, record } = asking;
  const { nodes, everyMs } = waitingBeside(asking, view);
  const before = worker?.epoch === record.epoch ? turnsBefore(worker.protection.gate.flows, record.id, agent, key) : undefined;
  const [others, texts] = [view.nodes - nodes, [] as string[]];
  if (nodes > 0) {
    const of = `the ${nodes} that wait in its worker`;
    const place = before === 0 ? `first of ${of}` : `about ${before} of ${of} come before`;
    texts.push(before === undefined ? `${nodes} wait in its worker, which alone knows their order` : place);
    if (everyMs !== undefined)
      texts.push(before === undefined ? `all of them have had their turn ${inAbout(nodes * everyMs)}` : `its turn is ${inAbout((before + 1) * everyMs)}`);
    if (others > 0) texts.push(`${others} more in other workers, which take turns with it`);
  }
  const lane = [...(tenant === undefined ? [] : [`tenant "${tenant}"`]), ...(priority === 0 ? [] : [`priority ${priority}`])];
  if (lane.length > 0) texts.push(`the run has ${lane.join(" and ")}`);
  return texts;
}

const inAbout = (ms: number): string => `in about ${Math.ceil(ms / 1_000)} s`;
