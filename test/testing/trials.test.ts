/**
 * What `explore` complains of, and how it shortens the way to it.
 */
import { expect, test } from "vitest";
import type { CrashPoint } from "../../src/testing/stage.ts";
import { type Trial, type Trials, tryAll } from "../../src/testing/trials.ts";

/** Trials of letters: each is a commit and an action. `change` says what a crash does to the play. */
function lettersWith(change: (steps: readonly string[], crash: CrashPoint | undefined, trial: Trial) => Partial<Trial>): Trials<string> {
  return {
    name: "letters",
    start: "start",
    stepText: (step) => `say ${step}`,
    try: async (steps, crash) => {
      const isReached = crash !== undefined && crash.number <= steps.length;
      const trial = {
        ending: steps.join(""),
        violation: undefined,
        killed: isReached ? `${crash.when} ${crash.number}` : undefined,
        commits: steps.length,
        acts: steps,
      };
      return { ...trial, ...change(steps, crash, trial) };
    },
  };
}

const PATH = [["a", "b", "a"]];

test("each commit is crashed before and after, and each action once", async () => {
  expect(
    await tryAll(
      lettersWith(() => ({})),
      PATH,
    ),
  ).toEqual({ paths: 1, crashes: 9, commits: 3 });
});

test("an action that is not done because of a crash is missed, on the shortest way", async () => {
  const forgetful = lettersWith((_steps, crash, { killed, acts }) =>
    crash?.when === "after" && killed !== undefined ? { acts: acts.filter((act) => act !== "b") } : {},
  );
  await expect(tryAll(forgetful, PATH)).rejects.toThrow(
    [
      '"letters" does not survive a crash:',
      "  1. start",
      "  2. say a",
      "  3. say b",
      "The process is killed after 1; the next one goes on.",
      'The action "b" is done once without a crash, and 0 times with this one',
    ].join("\n"),
  );
});

test("a run that does not go on after its crash is a finding", async () => {
  const stuck = lettersWith((_steps, crash, { killed }) =>
    crash?.when === "before" && killed !== undefined ? { violation: "It does not go on: it hangs" } : {},
  );
  await expect(tryAll(stuck, PATH)).rejects.toThrow(/killed before 1; the next one goes on\.\nIt does not go on: it hangs$/);
});

test("what goes wrong only once is told as such", async () => {
  let plays = 0;
  const moody = lettersWith((_steps, _crash, { ending }) => ({ ending: ++plays === 2 ? "mood" : ending }));
  await expect(tryAll(moody, PATH)).rejects.toThrow("It goes wrong only sometimes");
});
