/**
 * Which limit nodes wait for: from what workers say of their agents and the rows of the limits, and where this process
 * executes the run, from what it knows itself.
 */
import type { AgentUse } from "../define/limits.ts";
import { readBusy } from "./busy.ts";
import { type KnownLimits, knownLimits } from "./known-limits.ts";
import { agentLimitKey, limitKey } from "./limit-key.ts";
import { type LimitView, viewLimit } from "./limit-view.ts";
import { type Lane, NO_LANE } from "./lane.ts";
import { openRunRow } from "./row.ts";
import type { NodeView } from "./view.ts";
import { type Asking, type Draft, instantText, named } from "./why-cause.ts";

interface Waiting {
  readonly key: string;
  readonly agent: string;
  readonly amount: number;
  readonly view: LimitView;
  readonly nodes: string[];
}

/** Those that wait for a limit, a cause for each limit; and those nodes that wait for something else. */
export async function limitDrafts(asking: Asking, nodes: readonly NodeView[]): Promise<{ readonly drafts: Draft[]; readonly others: NodeView[] }> {
  if (nodes.length === 0) return { drafts: [], others: [] };
  const known = await knownLimits(asking.store);
  const { lane = NO_LANE } = openRunRow(asking.record);
  const busy = await readBusy(asking.store);
  const [waiting, others] = [new Map<string, Waiting>(), [] as NodeView[]];
  const atBusy = Map.groupBy(nodes, ({ agent }) => ((busy.get(agent)?.until ?? 0) > asking.clock.now() ? agent : undefined));
  for (const node of atBusy.get(undefined) ?? []) {
    const use = known.uses.get(node.agent);
    const found = use === undefined ? undefined : lackingOf(asking, known, use, lane.tenant);
    if (found === undefined) others.push(node);
    else if (waiting.has(found.key)) waiting.get(found.key)!.nodes.push(node.id);
    else waiting.set(found.key, { ...found, nodes: [node.id] });
  }
  atBusy.delete(undefined);
  const busyDrafts = [...atBusy].map(([agent, held]) => busyDraft(agent!, busy.get(agent!)!, held));
  return { drafts: [...busyDrafts, ...[...waiting.values()].map((each) => draftOf(asking, each, lane))], others };
}

function busyDraft(agent: string, { until }: { readonly until: number }, nodes: readonly NodeView[]): Draft {
  const ids = named(
    nodes.map(({ id }) => id),
    3,
  );
  const message = `${ids}: ${nodes.length === 1 ? "waits" : "wait"}, for what agent "${agent}" calls was asked too much of, and said when to come back: at ${instantText(until)}`;
  return { kind: "limit", message, node: nodes[0]!.id, until, next: "wait; or say what it allows in `limits` and `uses`, so that no more is asked of it" };
}

/** The first of what it uses of which there is too little, or which others wait for. */
function lackingOf(asking: Asking, known: KnownLimits, use: AgentUse, tenant: string | undefined): Omit<Waiting, "nodes"> | undefined {
  const needs = use.uses.flatMap(({ resource, amount }) => {
    const policy = known.policies.get(resource);
    return policy === undefined ? [] : [{ key: limitKey(policy, tenant), amount }];
  });
  if (use.concurrency !== undefined) needs.unshift({ key: agentLimitKey(use.agent), amount: 1 });
  const { store, clock, worker } = asking;
  const looking = { store, worker, now: () => worker?.steadyNow() ?? clock.now() };
  const all = needs.map((need) => ({ ...need, agent: use.agent, view: viewLimit(looking, known, need.key) }));
  return all.find(({ view, amount }) => view.used + amount > view.max) ?? all.find(({ view }) => view.waiting > 0);
}

function draftOf(asking: Asking, waiting: Waiting, lane: Lane): Draft {
  const { amount, view, nodes } = waiting;
  const { name, tenant, max, perMs, used, freeAt, setFrom } = view;
  const within = perMs === undefined ? "" : ` within ${perMs / 1_000} s`;
  const whose = tenant === undefined ? "" : ` of tenant "${tenant}"`;
  const set = setFrom === undefined ? "" : `, which was set instead of ${setFrom}`;
  const parts = [
    `${named(nodes, 3)}: ${nodes.length === 1 ? "waits" : "wait"} for "${name}"${whose}: ${used} of ${max}${within} ${used === 1 ? "is" : "are"} used${set}`,
    `${view.waiting} are waited for, ${amount} by each of these`,
    ...queueTexts(asking, waiting, lane),
  ];
  const until = used + amount > max ? freeAt : undefined;
  if (until !== undefined) parts.push(`the first is free again at ${instantText(until)}`);
  return {
    kind: "limit",
    message: parts.join("; "),
    node: nodes[0],
    until,
    next: `\`pawl limits set ${name} ${Math.max(max * 2, amount)}${tenant === undefined ? "" : ` --tenant ${tenant}`}\` if there may be more; \`pawl limits ls\` shows who uses it`,
  };
}

/** How many wait, how many of them come before, when that is, and by what the run takes its turn. Only the run's worker knows its queue. */
function queueTexts({ worker, record }: Asking, { key, agent, view }: Waiting, { tenant, priority }: Lane): string[] {
  const { nodes = 0, everyMs } = view.shares.find(({ epoch }) => epoch === record.epoch) ?? {};
  const before = worker?.epoch === record.epoch ? worker.protection.gate.before(record.id, agent, key) : undefined;
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
