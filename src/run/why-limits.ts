/**
 * Which limit nodes wait for: from what workers say of their agents and the rows of the limits, and where this process
 * executes the run, from what it knows itself.
 */
import type { AgentUse } from "../define/limits.ts";
import { readBusy } from "./busy.ts";
import { type KnownLimits, knownLimits } from "./known-limits.ts";
import { agentLimitKey, limitKey } from "./limit-key.ts";
import { type LimitView, viewLimit } from "./limit-view.ts";
import { openRunRow } from "./row.ts";
import type { NodeView } from "./view.ts";
import { type Asking, type Draft, instantText, named } from "./why-cause.ts";

interface Waiting {
  readonly key: string;
  readonly amount: number;
  readonly view: LimitView;
  readonly nodes: string[];
}

/** Those that wait for a limit, a cause for each limit; and those nodes that wait for something else. */
export async function limitDrafts(asking: Asking, nodes: readonly NodeView[]): Promise<{ readonly drafts: Draft[]; readonly others: NodeView[] }> {
  if (nodes.length === 0) return { drafts: [], others: [] };
  const known = await knownLimits(asking.store);
  const busy = await readBusy(asking.store);
  const tenant = openRunRow(asking.record).lane?.tenant;
  const [waiting, others] = [new Map<string, Waiting>(), [] as NodeView[]];
  const atBusy = Map.groupBy(nodes, ({ agent }) => ((busy.get(agent)?.until ?? 0) > asking.clock.now() ? agent : undefined));
  for (const node of atBusy.get(undefined) ?? []) {
    const use = known.uses.get(node.agent);
    const found = use === undefined ? undefined : lackingOf(asking, known, use, tenant);
    if (found === undefined) others.push(node);
    else if (waiting.has(found.key)) waiting.get(found.key)!.nodes.push(node.id);
    else waiting.set(found.key, { ...found, nodes: [node.id] });
  }
  atBusy.delete(undefined);
  const busyDrafts = [...atBusy].map(([agent, held]) => busyDraft(agent!, busy.get(agent!)!, held));
  return { drafts: [...busyDrafts, ...[...waiting.values()].map((each) => draftOf(asking, each))], others };
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
  const all = needs.map((need) => ({ ...need, view: viewLimit(looking, known, need.key) }));
  return all.find(({ view, amount }) => view.used + amount > view.max) ?? all.find(({ view }) => view.waiting > 0);
}

function draftOf({ worker }: Asking, { key, amount, view, nodes }: Waiting): Draft {
  const { name, tenant, max, perMs, used, waiting, freeAt, setFrom } = view;
  const within = perMs === undefined ? "" : ` within ${perMs / 1_000} s`;
  const whose = tenant === undefined ? "" : ` of tenant "${tenant}"`;
  const set = setFrom === undefined ? "" : `, which was set instead of ${setFrom}`;
  const message = `${named(nodes, 3)}: ${nodes.length === 1 ? "waits" : "wait"} for "${name}"${whose}: ${used} of ${max}${within} ${used === 1 ? "is" : "are"} used${set}; ${waiting} are waited for, ${amount} by each of these`;
  const until = used + amount > max ? freeAt : undefined;
  return {
    kind: "limit",
    message: `${message}${until === undefined ? pace(worker, key, amount, waiting) : `; the first is free again at ${instantText(until)}`}`,
    node: nodes[0],
    until,
    next: `\`pawl limits set ${name} ${Math.max(max * 2, amount)}${tenant === undefined ? "" : ` --tenant ${tenant}`}\` if there may be more; \`pawl limits ls\` shows who uses it`,
  };
}

/** How long it takes until all that wait have had their turn, by the last grants; other processes know nothing of them. */
function pace(worker: Asking["worker"], key: string, amount: number, waiting: number): string {
  const everyMs = worker?.protection.limits.all.get(key)?.grantEveryMs;
  if (worker === undefined) return "; when that is, only its worker can tell";
  return everyMs === undefined ? "" : `; all of them have had their turn in about ${Math.ceil((everyMs * waiting) / amount / 1_000)} s`;
}
