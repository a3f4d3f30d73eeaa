/**
 * All ways through a machine. What can happen in a state is found by playing the machine in pawl, state by state; the
 * paths through the graph that comes of it are found by xstate's own path functions.
 */
import { fromTransition } from "xstate";
import { getShortestPaths, getSimplePaths } from "xstate/graph";
import type { Played, Step } from "./machine-play.ts";
import { ExploreError, textOf } from "./story.ts";

/** `shortest`: each transition once. `simple`: besides, every way that comes to no state twice. */
export type PathKind = "shortest" | "simple";

interface State {
  /** The way on which it was found. */
  readonly way: readonly Step[];
  readonly next: readonly Step[];
  /** Keys of the states that the steps lead to. */
  readonly targets: Map<string, string>;
}

/** Plays without a crash. */
export type PlaySteps = (steps: readonly Step[]) => Promise<Played>;

/** The paths of the machine, the shortest first; none is the beginning of another. Throws when there are more than `limit`. */
export async function findPaths(play: PlaySteps, kind: PathKind, limit: number): Promise<Step[][]> {
  const states = await findStates(play, limit);
  const [first] = states.keys();
  const logic = fromTransition((key: string, event: { type: string }) => states.get(key)?.targets.get(event.type) ?? key, first!);
  const stepsOf = (key: string): readonly Step[] => states.get(key)!.next;
  const events = ({ context }: { context: string }) => stepsOf(context).map((step) => ({ type: textOf(step) }));
  // told apart by the transition that led there, so that every transition lies on some path
  const shortest = getShortestPaths(logic, { events, serializeState: (snapshot, event, before) => textOf([snapshot.context, event?.type, before?.context]) });
  const simple = kind === "simple" ? getSimplePaths(logic, { events, serializeState: ({ context }) => context }) : [];
  const named = new Map([...states.values()].flatMap(({ next }) => next.map((step) => [textOf(step), step] as const)));
  const paths = [...shortest, ...simple].map(({ steps }) => steps.flatMap(({ event }) => named.get(event.type) ?? []));
  const whole = withoutBeginnings(paths);
  if (whole.length > limit) throw tooMany(limit);
  return whole.sort((a, b) => a.length - b.length);
}

/** The states of the machine by what tells them apart, the first one first. */
async function findStates(play: PlaySteps, limit: number): Promise<Map<string, State>> {
  const start = await play([]);
  if (start.unanswered.length > 0) throw notAnswered(start.unanswered[0]!);
  const states = new Map<string, State>([[start.keys[0]!, { way: [], next: start.next, targets: new Map() }]]);
  let plays = 0;
  for (const [key, { way, next, targets }] of states)
    for (const step of next) {
      if (++plays > limit) throw tooMany(limit);
      const { keys, next: then, unanswered } = await play([...way, step]);
      if (unanswered.length > 0) throw notAnswered(unanswered[0]!);
      if (keys.at(-2) !== key) throw unsteady(key, keys.at(-2)!);
      const target = keys.at(-1)!;
      targets.set(textOf(step), target);
      if (!states.has(target)) states.set(target, { way: [...way, step], next: then, targets: new Map() });
    }
  return states;
}

function withoutBeginnings(paths: readonly Step[][]): Step[][] {
  const textOfPath = (path: readonly Step[]): string => path.map(textOf).join("\n");
  const beginnings = new Set(paths.flatMap((path) => path.map((_, i) => textOfPath(path.slice(0, i)))));
  return [...new Map(paths.map((path) => [textOfPath(path), path])).entries()].flatMap(([text, path]) => (beginnings.has(text) ? [] : [path]));
}

function notAnswered(source: string): ExploreError {
  return new ExploreError(
    `"${source}" has not answered when all was quiet: it waits for the world or for time.\n` +
      `Say what it may answer, and fail with: \`actors: { ${source}: [result, new Error("why")] }\`. With [] it never answers.`,
  );
}

function tooMany(limit: number): ExploreError {
  return new ExploreError(
    `The machine has more than ${limit} paths: it may count something up in its context for ever.\n` +
      "Give fewer events, say with `tellApart` what of a snapshot tells states apart, or give a greater `limit`.",
  );
}

function unsteady(before: string, after: string): ExploreError {
  return new ExploreError(
    `The same events lead to two states, without a crash: something reads a clock, a random number or what is left of an earlier play.\nOnce:  ${before}\nAgain: ${after}`,
  );
}
