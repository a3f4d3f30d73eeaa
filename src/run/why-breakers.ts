/**
 * Which circuit breaker nodes wait for: from what workers say of their agents, and the rows of the breakers.
 */
import { isWell } from "./breaker-row.ts";
import { type BreakerView, openedText, viewBreakers } from "./breaker-view.ts";
import { readFacts } from "./peers.ts";
import type { NodeView } from "./view.ts";
import { type Asking, type Draft, instantText, named } from "./why-cause.ts";

/** Those that wait for a breaker that is not closed, a cause for each breaker; and those nodes that wait for something else. */
export async function breakerDrafts(
  { store, record }: Asking,
  nodes: readonly NodeView[],
): Promise<{ readonly drafts: Draft[]; readonly others: readonly NodeView[] }> {
  if (nodes.length === 0) return { drafts: [], others: [] };
  const facts = (await store.readEpochs()).map(readFacts).flatMap(({ waits }) => waits);
  const breakerOf = new Map(facts.filter(({ definition }) => definition === record.definition).map(({ agent, breaker }) => [agent, breaker]));
  if (breakerOf.size === 0) return { drafts: [], others: nodes };
  const open = new Map((await viewBreakers(store)).filter(({ state }) => !isWell(state)).map((view) => [view.name, view]));
  const awaited = (node: NodeView): BreakerView | undefined => open.get(breakerOf.get(node.agent) ?? "");
  const groups = Map.groupBy(nodes, awaited);
  const drafts = [...groups].flatMap(([view, members]) => (view === undefined ? [] : [draftOf(view, members)]));
  return { drafts, others: groups.get(undefined) ?? [] };
}

function draftOf(view: BreakerView, nodes: readonly NodeView[]): Draft {
  const { name, since, halfOpensAt } = view;
  const ids = nodes.map(({ id }) => id);
  return {
    kind: "circuitOpen",
    message: `${named(ids, 3)}: ${ids.length === 1 ? "waits" : "wait"} for the circuit breaker "${name}", which ${standing(view)}`,
    node: ids[0],
    since,
    until: halfOpensAt ?? undefined,
    next: `\`pawl breaker reset ${name}\` lets calls through at once; \`pawl breaker ls\` shows how it is`,
  };
}

function standing(view: BreakerView): string {
  const { state, since, halfOpensAt, successes, probes, policy } = view;
  const why = openedText(view);
  if (state === "halfOpen")
    return `lets a few calls try since ${instantText(since)} (${why}): ${probes} under way, ${successes} of ${policy.successThreshold} have succeeded`;
  const until = halfOpensAt === null ? "until it is reset" : `a call tries from ${instantText(halfOpensAt)} on`;
  return `is open since ${instantText(since)} (${why}); ${until}`;
}
