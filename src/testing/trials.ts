/**
 * Tries each path with a crash at each point, and tells the shortest story of what goes wrong.
 */
import type { ExploreResult } from "./explore.ts";
import type { CrashPoint } from "./stage.ts";
import { storyOf } from "./story.ts";

/** What came of one play. */
export interface Trial {
  readonly ending: string;
  /** What went wrong in it, in words. */
  readonly violation: string | undefined;
  /** Where it crashed, in words; undefined when it did not. */
  readonly killed: string | undefined;
  readonly commits: number;
  readonly acts: readonly string[];
}

/** What can be tried. */
export interface Trials<Step> {
  readonly name: string;
  /** The start in words. */
  readonly start: string;
  stepText(step: Step): string;
  try(steps: readonly Step[], crash: CrashPoint | undefined): Promise<Trial>;
}

/** Throws the story of the first thing that goes wrong. */
export async function tryAll<Step>(trials: Trials<Step>, paths: readonly (readonly Step[])[]): Promise<ExploreResult> {
  let crashes = 0;
  let commits = 0;
  for (const path of paths) {
    const calm = await trials.try(path, undefined);
    commits += calm.commits;
    if (calm.violation !== undefined) await tellShortest(trials, path, undefined);
    for (const point of pointsOf(calm)) {
      const trial = await trials.try(path, point);
      if (trial.killed !== undefined) crashes++;
      if (complaintOf(calm, trial) !== undefined) await tellShortest(trials, path, point);
    }
  }
  return { paths: paths.length, crashes, commits };
}

function pointsOf({ commits, acts }: Trial): CrashPoint[] {
  const numbers = Array.from({ length: commits }, (_, i) => i + 1);
  return [
    ...acts.map((_, i) => ({ when: "action", number: i + 1 }) as const),
    ...numbers.flatMap((number) => [{ when: "before", number } as const, { when: "after", number } as const]),
  ];
}

/** What is wrong with the trial that crashed, compared with the one that did not. */
function complaintOf(calm: Trial, trial: Trial): readonly string[] | undefined {
  if (trial.violation !== undefined) return [trial.violation];
  if (trial.ending !== calm.ending) return [`Without a crash it comes to ${short(calm.ending)}`, `with this crash to ${short(trial.ending)}`];
  for (const name of new Set(calm.acts)) {
    const [wanted, done] = [calm, trial].map(({ acts }) => acts.filter((act) => act === name).length) as [number, number];
    if (done < wanted) return [`The action "${name}" is done ${times(wanted)} without a crash, and ${times(done)} with this one`];
  }
  return undefined;
}

/** Throws the story of what goes wrong on the shortest beginning of the path on which it does. */
async function tellShortest<Step>(trials: Trials<Step>, path: readonly Step[], point: CrashPoint | undefined): Promise<never> {
  for (let length = 0; length <= path.length; length++) {
    const steps = path.slice(0, length);
    const calm = await trials.try(steps, undefined);
    const trial = point === undefined ? calm : await trials.try(steps, point);
    const complaint = calm.violation === undefined ? complaintOf(calm, trial) : [calm.violation];
    if (complaint === undefined) continue;
    const killed = calm.violation === undefined ? trial.killed : undefined;
    throw storyOf({ subject: trials.name, steps: [trials.start, ...steps.map((step) => trials.stepText(step))], killed, complaint });
  }
  throw storyOf({
    subject: trials.name,
    steps: [trials.start, ...path.map((step) => trials.stepText(step))],
    killed: undefined,
    complaint: ["It goes wrong only sometimes: something reads a clock, a random number or what is left of an earlier play."],
  });
}

const ENDING_MAX = 500;

const short = (ending: string): string => (ending.length > ENDING_MAX ? `${ending.slice(0, ENDING_MAX)}…` : ending);
const times = (count: number): string => (count === 1 ? "once" : `${count} times`);
