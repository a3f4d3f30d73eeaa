/**
 * An agent's `onError`: it says of what kind a failure is, before it is decided whether to try again.
 */
import { expect, test } from "vitest";
import type { ErrorHandler, FailedAttempt } from "../../src/define/agent.ts";
import { agent } from "../../src/define/agent.ts";
import { z } from "zod";
import { MachineRoom, anyWorkflow } from "../sim/machine-room.ts";

const RETRY = { maxAttempts: 3, initialInterval: 10, jitter: "none" } as const;

function failing(onError: ErrorHandler, nonRetryable: readonly string[] = []) {
  const calls: number[] = [];
  const room = new MachineRoom();
  const breaks = agent({
    name: "breaks",
    input: z.any(),
    output: z.any(),
    retry: { ...RETRY, nonRetryable },
    onError,
    run: () => {
      calls.push(room.clock.mono());
      throw Object.assign(new Error("no quota"), { code: "E42" });
    },
  });
  const flow = anyWorkflow("flow", (wf) => void wf.node("n", breaks, {}));
  return { room, flow, calls };
}

async function playFailing(onError: ErrorHandler, nonRetryable?: readonly string[]) {
  const { room, flow, calls } = failing(onError, nonRetryable);
  const process = await room.boot([flow]);
  const run = await room.settled(process.pawl.start(flow, { id: "r", input: {} }));
  await room.settled(run.result().catch(() => {}));
  return { failure: (await run.nodes())[0]!.failure!, calls };
}

test("what it says is stored and decides: kind, code, message, wait; it is told which attempt failed", async () => {
  const asked: FailedAttempt[] = [];
  const critical = await playFailing((error, attempt) => {
    asked.push(attempt);
    return { kind: "critical", code: "QUOTA", message: `of ${(error as Error).message}` };
  });
  expect(critical.failure).toMatchObject({ kind: "critical", code: "QUOTA", message: "of no quota", retryable: false });
  expect(asked).toEqual([{ runId: "r", nodeId: "n", attempt: 1 }]);
  const patient = await playFailing(() => ({ retryAfter: "1m" }));
  expect(patient.calls).toHaveLength(3);
  expect(patient.calls[1]! - patient.calls[0]!).toBeGreaterThanOrEqual(60_000);
  expect(patient.failure).toMatchObject({ kind: "transient", code: "E42", message: "no quota" });
  const banned = await playFailing(() => ({ code: "BANNED" }), ["BANNED"]);
  expect(banned.calls).toHaveLength(1);
  const waited = await playFailing(() => ({ kind: "configuration", retryAfter: "1m" }), ["E42"]);
  expect(waited.failure).toMatchObject({ kind: "configuration", retryable: true, retryAfterMs: 60_000 });
  expect(waited.calls).toHaveLength(3);
});

test("undefined leaves the failure as it is; one that throws, waits or makes no sense does so, too, and it is said", async () => {
  expect((await playFailing(() => undefined)).failure).toMatchObject({ kind: "transient", code: "E42", message: "no quota" });
  const wrong: [ErrorHandler, string][] = [
    [
      () => {
        throw new Error("oops");
      },
      "no quota (its onError failed: oops)",
    ],
    [(async () => ({ kind: "critical" })) as unknown as ErrorHandler, "no quota (its onError failed: it answered with a promise, but is to decide at once)"],
    [() => ({ kind: "odd" as "critical" }), 'no quota (its onError failed: "odd" is no kind of failure)'],
    [() => ({ recover: "" }), "no quota (its onError failed: its recovery action has no name)"],
    [() => ({ code: "two words" }), "no quota (its onError failed: its code is none)"],
    [() => ({ kind: "critical", retryAfter: "soon" as "1s" }), expect.stringMatching(/^no quota \(its onError failed: .*retryAfter/) as string],
  ];
  for (const [onError, message] of wrong) {
    const { failure, calls } = await playFailing(onError);
    expect(failure).toMatchObject({ kind: "transient", code: "E42", message });
    expect(calls).toHaveLength(3);
  }
});

test("its decision is part of the stored failure: a crash changes nothing, and it is not asked again", async () => {
  let asked = 0;
  const { room, flow, calls } = failing(() => (++asked === 1 ? { retryAfter: "1m" } : { kind: "critical" }));
  const first = await room.boot([flow], { fault: (group) => (group === 2 ? "crashAfter" : undefined) });
  void first.pawl.start(flow, { id: "r", input: {} });
  await room.clock.until(() => !first.isAlive);
  const second = await room.boot([flow]);
  const run = await room.settled(second.pawl.run("r"));
  await room.settled(run.result().catch(() => {}));
  expect([asked, calls.length]).toEqual([2, 2]);
  expect(calls[1]! - calls[0]!).toBeGreaterThanOrEqual(60_000);
  expect((await run.nodes())[0]!.failure).toMatchObject({ kind: "critical" });
});
