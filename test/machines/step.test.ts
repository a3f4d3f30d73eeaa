/**
 * Every way through the step, whose attempt is a real promise here: under xstate's own actor, and in pawl with a crash at
 * each commit. Both must come to the states that the graph says.
 */
import { setImmediate as nextLoop } from "node:timers/promises";
import { type AnyMachineSnapshot, type AnyStateMachine, SimulatedClock, createActor, fromPromise } from "xstate";
import { describe, expect, test } from "vitest";
import { type StepAttempt, stepMachine } from "../../machines/step.ts";
import { type CrashPolicy, PawlDriver } from "../sim/durable-driver.ts";
import type { AnyEvent } from "./drivers.ts";
import { SETTLED } from "./drivers.ts";
import { type Path, findPaths, pathText } from "./paths.ts";
import { SCRIPTS } from "./scripts.ts";

type Settled = AnyEvent & { readonly output?: unknown; readonly error?: unknown };

const script = SCRIPTS["step"]!;
const [input] = Object.values(script.inputs);
const paths = findPaths("getSimplePaths", stepMachine as unknown as AnyStateMachine, script, input!).filter(({ events }) => events.length > 0);

/** Attempts that answer when they are told to, and the same again when they are called again. */
class Attempts {
  readonly called: number[] = [];
  readonly #answers = new Map<number, PromiseWithResolvers<unknown>>();
  #answered = 0;

  machine(): AnyStateMachine {
    const attempt = fromPromise<unknown, StepAttempt>(({ input }) => {
      this.called.push(input.attempt);
      expect(input.given).toEqual(SCRIPTS["step"]!.inputs["calls an agent"]);
      return this.#answer(input.attempt).promise;
    });
    return stepMachine.provide({ actors: { attempt } });
  }

  #answer(attempt: number): PromiseWithResolvers<unknown> {
    const answer = this.#answers.get(attempt) ?? Promise.withResolvers<unknown>();
    answer.promise.catch(() => {});
    this.#answers.set(attempt, answer);
    return answer;
  }

  /** The attempt that runs ends as this event says. */
  settle(event: Settled): void {
    const answer = this.#answer(++this.#answered);
    if ("error" in event) answer.reject(event.error);
    else answer.resolve(event.output);
  }
}

/** How long the step backs off after each event of the path that makes it. */
const waitMs = (path: Path, i: number): number => (path.states[i - 1]!.context as { failure: { waitMs: number } }).failure.waitMs;

const visible = ({ value, status, context, output, error }: AnyMachineSnapshot): object => ({ value, status, context, output, error });

/** What must be seen at the end of the path: what the graph says. */
function expected(path: Path): object {
  const { value, context } = path.states.at(-1)!;
  const last = path.events.at(-1) as Settled;
  const isFailed = last.error !== undefined && value === "running";
  const isDone = value === "completed";
  return {
    value,
    context,
    status: isFailed ? "error" : isDone ? "done" : "active",
    output: isDone ? last.output : undefined,
    error: isFailed ? last.error : undefined,
  };
}

test("each path under xstate's own actor comes to the state of the graph", async () => {
  for (const path of paths) {
    const attempts = new Attempts();
    const clock = new SimulatedClock();
    const actor = createActor(attempts.machine(), { clock, input });
    actor.subscribe({ error: () => {} });
    actor.start();
    for (const [i, event] of path.events.entries()) {
      if (SETTLED.test(event.type)) attempts.settle(event);
      else clock.increment(waitMs(path, i));
      await nextLoop();
    }
    expect(visible(actor.getSnapshot()), pathText(path)).toEqual(expected(path));
    actor.stop();
  }
  expect(paths.length).toBeGreaterThan(10);
});

describe.each<CrashPolicy>(["none", "before", "after", "both"])("in pawl, crashing %s", (policy) => {
  test("each path comes to the state of the graph, and each attempt was called under its number", async () => {
    for (const path of paths) {
      const attempts = new Attempts();
      const driver = new PawlDriver(policy);
      await driver.start(() => ({ machine: attempts.machine(), log: () => {}, emitted: () => {} }), input);
      for (const [i, event] of path.events.entries()) {
        if (SETTLED.test(event.type)) attempts.settle(event);
        else await driver.advance(waitMs(path, i));
        await driver.settled();
      }
      expect(visible(driver.snapshot()!), pathText(path)).toEqual(expected(path));
      const { attempt } = path.states.at(-1)!.context as { attempt: number };
      expect([...new Set(attempts.called)]).toEqual(Array.from({ length: attempt }, (_, i) => i + 1));
      expect(attempts.called).toEqual(attempts.called.toSorted((a, b) => a - b));
      if (policy === "none") expect(attempts.called).toHaveLength(attempt);
      else expect(driver.crashes).toBeGreaterThan(path.events.length);
      await driver.end();
    }
  });
});
