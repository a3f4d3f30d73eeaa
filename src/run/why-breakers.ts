/**
 * Which circuit breaker nodes, and steps of machines, wait for: from what workers say of their agents, and the rows of the breakers.
 */
import { isWell } from "./breaker-row.ts";
import { type BreakerView, openedText, viewBreakers } from "./breaker-view.ts";
import { readFacts } from "./peers.ts";
import { type Asking, type Caller, type Draft, aboutFirst, instantText, waitingText } from "./why-cause.ts";

/** Those that wait for a breaker that is not closed, a cause for each breaker; and those that wait for something else. */
export async function breakerDrafts<Waiting extends Caller>(
  { store, record }: Asking,
  callers: readonly Waiting[],
): Promise<{ readonly drafts: Draft[]; readonly others: readonly Waiting[] }> {
  if (callers.length === 0) return { drafts: [], others: [] };
  const facts = (await store.readEpochs()).map(readFacts).flatMap(({ waits }) => waits);
  const breakerOf = new Map(facts.filter(({ definition }) => definition === record.definition).map(({ agent, breaker }) => [agent, breaker]));
  if (breakerOf.size === 0) return { drafts: [], others: callers };
  const open = new Map((await viewBreakers(store)).filter(({ state }) => !isWell(state)).map((view) => [view.name, view]));
  const awaited = ({ agent }: Caller): BreakerView | undefined => open.get(breakerOf.get(agent) ?? "");
  const groups = Map.groupBy(callers, awaited);
  const drafts = [...groups].flatMap(([view, members]) => (view === undefined ? [] : [draftOf(view, members)]));
  return { drafts, others: groups.get(undefined) ?? [] };
}

function draftOf(view: BreakerView, callers: readonly Caller[]): Draft {
  const { name, since, halfOpensAt } = view;
  return {
    kind: "circuitOpen",
    message: `${waitingText(callers)} the circuit breaker "${name}", which ${standing(view)}`,
    ...aboutFirst(callers),
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
