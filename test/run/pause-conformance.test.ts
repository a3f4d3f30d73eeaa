/**
 * A machine that is paused and resumed while nothing comes in goes the same way as one that never was: machines made by
 * hand, paused after each step, also through crashes at each commit, those of the pause and of the resume among them.
 */
import fc from "fast-check";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { isOver } from "../../src/run/view.ts";
import { cases } from "../sim/cases.ts";
import { type CrashPolicy, PawlDriver } from "../sim/durable-driver.ts";
import { HAND_MADE_CASES } from "../sim/hand-made-machines.ts";
import { differenceOf } from "../sim/statechart-comparison.ts";
import { statechartSpec } from "../sim/statechart-spec.ts";
import { type Subject, durableTrace, liveTrace, subjectOf } from "../sim/statechart-trace.ts";

/** xstate's development build warns of events that come too late: here they are meant to. */
beforeEach(() => void vi.spyOn(console, "warn").mockImplementation(() => {}));

/** Pauses the run after each event and each stretch of time. */
class PausingDriver extends PawlDriver {
  pauses = 0;

  override async send(event: { type: string }): Promise<void> {
    await super.send(event);
    await this.#pauseAndResume();
  }

  override async advance(ms: number): Promise<void> {
    await super.advance(ms);
    await this.#pauseAndResume();
  }

  async #pauseAndResume(): Promise<void> {
    await this.ask("pause");
    if (isOver(await this.status())) return;
    expect(await this.status()).toBe("paused");
    this.pauses++;
    await this.ask("resume");
    expect(await this.status()).not.toBe("paused");
  }
}

async function pausedDifference(subject: Subject, policy: CrashPolicy): Promise<{ difference: string | undefined; pauses: number }> {
  const live = await liveTrace(subject);
  const driver = new PausingDriver(policy);
  const durable = await durableTrace(subject, driver);
  return { difference: differenceOf(live, durable), pauses: driver.pauses };
}

/** Those that a crash, or a host, makes different on purpose are compared elsewhere. */
const alike = HAND_MADE_CASES.filter(({ differs, restarts }) => differs === undefined && restarts === undefined);

let pausesByHand = 0;

describe.each(["none", "before", "after", "both"] as const)("machines made by hand, crashes: %s", (policy) => {
  test.each(alike.map((subject) => [subject.name, subject] as const))("%s", async (_, subject) => {
    const { difference, pauses } = await pausedDifference(subject, policy);
    expect(difference).toBeUndefined();
    pausesByHand += pauses;
  });

  test("they were paused", () => {
    expect(pausesByHand).toBeGreaterThan(alike.length);
    pausesByHand = 0;
  });
});

test("random systems of statecharts go the same way live and with pauses", async () => {
  let pauses = 0;
  const run = async (spec: Parameters<typeof subjectOf>[0]): Promise<void> => {
    const verdict = await pausedDifference(subjectOf(spec), "none");
    pauses += verdict.pauses;
    expect(verdict.difference).toBeUndefined();
  };
  await fc.assert(fc.asyncProperty(statechartSpec(), run), cases({ short: 10, long: 2_000 }));
  expect(pauses).toBeGreaterThan(20);
});
