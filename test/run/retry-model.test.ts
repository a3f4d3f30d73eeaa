/**
 * Attempts of a node against a model of how it is tried, through deaths of its worker while an attempt runs or is waited
 * for, clocks that are set, and answers that come too late; with one worker, and with another that takes over.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { AgentError } from "../../src/errors.ts";
import { cases } from "../sim/cases.ts";
import { MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";
import { CALL_MS, type Outcome, type RetryPlan, expectedOf } from "../sim/retry-model.ts";

/** What a timer and a commit may take in simulated time. */
const SLACK_MS = 20;
/** What it may take until another worker knows that one is gone. */
const TAKE_OVER_MS = 5_000;
/** What it may take until a run is looked at whose instant a clock that was set back has left behind. */
const LOOK_MS = 30_000;

const failing = fc.record(
  {
    do: fc.constant("fail" as const),
    kind: fc.constantFrom(...(["transient", "resource"] as const).flatMap((kind) => [kind, kind, kind, kind]), "configuration", "critical"),
    code: fc.constantFrom("BUSY", "BUSY", "BUSY", "GONE"),
    retryAfterMs: fc.constantFrom(1, 700, 90_000),
  },
  { requiredKeys: ["do", "kind", "code"] },
);
const outcome: fc.Arbitrary<Outcome> = fc.oneof(
  { weight: 8, arbitrary: failing },
  fc.constantFrom<Outcome>({ do: "hang" }, { do: "late" }, { do: "late" }, { do: "succeed" }),
);
const plans: fc.Arbitrary<RetryPlan> = fc.record({
  maxAttempts: fc.integer({ min: 1, max: 7 }),
  initialInterval: fc.constantFrom(1, 50, 1_000, 30_000),
  backoffCoefficient: fc.constantFrom(1, 1.5, 2, 10),
  maxInterval: fc.constantFrom(40, 2_000, 60_000),
  jitter: fc.constantFrom("full", "none"),
  nonRetryable: fc.constantFrom<string[][]>([], [], [], ["GONE"], ["timeout"]),
  timeout: fc.constantFrom(200, 5_000),
  outcomes: fc.array(outcome, { minLength: 1, maxLength: 7, size: "max" }),
});

/** Its worker dies in an attempt, or in the wait after it; the clock is set while it is dead. */
const death = fc.record({
  attempt: fc.integer({ min: 1, max: 4 }),
  during: fc.constantFrom("call", "wait"),
  afterMs: fc.constantFrom(0, 1, 60),
  deadMs: fc.constantFrom(0, 10, 3_000, 100_000),
  setMs: fc.constantFrom(0, 0, 0, -3_600_000, -2_000, 2_000, 3_600_000),
});
type Death = typeof death extends fc.Arbitrary<infer T> ? T : never;

interface Call {
  readonly attempt: number;
  readonly at: number;
  /** Its worker died before it answered. */
  isCut: boolean;
}

class History {
  readonly room = new MachineRoom();
  readonly calls: Call[] = [];
  readonly #plan: RetryPlan;
  /** After which attempts its worker died in the wait: when another was there the last time, and how far the clock had been set. */
  readonly lost = new Map<number, { bootAt: number; forwardMs: number; looks: number }>();

  /** When workers began whose clock had been set back: what a service asked for is waited for anew. */
  readonly #setBackAt: number[] = [];
  /** A worker lives that has another time than those that came later: each may wait for a busy service as long as that said. */
  #clocksDiffer = false;

  constructor(plan: RetryPlan) {
    this.#plan = plan;
  }

  async play(workers: number, deaths: readonly Death[]): Promise<void> {
    const { outcomes, timeout, ...retry } = this.#plan;
    const { room, calls } = this;
    const agent = anyAgent(
      "tried",
      async (_, { attempt }) => {
        calls.push({ attempt, at: room.clock.mono(), isCut: false });
        const outcome = outcomes[attempt - 1] ?? { do: "succeed" };
        const isSlow = outcome.do === "hang" || outcome.do === "late";
        await new Promise<void>((resolve) => room.clock.after(isSlow ? timeout + 300 : CALL_MS, resolve));
        if (outcome.do === "hang") await new Promise(() => {});
        if (outcome.do === "fail")
          throw new AgentError("no", {
            kind: outcome.kind,
            code: outcome.code,
            ...(outcome.retryAfterMs !== undefined && { retryAfterMs: outcome.retryAfterMs }),
          });
      },
      { retry, timeout },
    );
    const flow = anyWorkflow("flow", (wf) => wf.node("n", agent, {}).result);
    const crew = await room.bootAll(workers, [flow]);
    const { pawl: eyes } = await room.boot([], { execute: false });
    await room.settled(crew.next.pawl.start(flow, { id: "r", input: null }));
    let isEnded = false;
    void (await eyes.run("r")).ended().then(() => (isEnded = true));
    const left = [...deaths];
    const sets: number[] = [];
    for (let seen = 0; ;) {
      await room.clock.until(() => isEnded || calls.length > seen);
      if (isEnded) return;
      const call = calls[seen++]!;
      const at = left.findIndex(({ attempt }) => attempt === call.attempt);
      if (at === -1) continue;
      const [{ during, afterMs, deadMs, setMs }] = left.splice(at, 1) as [Death];
      const takesMs = expectedOf(this.#plan).attempts[call.attempt - 1]!.takesMs;
      await room.clock.advance((during === "call" ? 0 : takesMs + SLACK_MS) + afterMs);
      // it may be over, or tried again
      if (isEnded || calls.length > seen || (during === "call" && room.clock.mono() >= call.at + takesMs)) continue;
      call.isCut = during === "call";
      const owner = await room.ownerOf("r");
      owner.kill();
      await room.clock.advance(deadMs);
      room.clock.wallOffsetMs += setMs;
      sets.push(setMs);
      crew.processes[crew.processes.indexOf(owner)] = await room.boot([flow]);
      if (sets.some((ms) => ms < 0)) this.#setBackAt.push(room.clock.mono());
      this.#clocksDiffer ||= workers > 1 && sets.some((ms) => ms !== 0);
      if (during === "call") continue;
      // the time of a worker that lived while the clock was set differs by as much from that of one that came later, either way
      const known = workers === 1 ? [setMs] : sets;
      const { forwardMs = 0, looks = 0 } = this.lost.get(call.attempt) ?? {};
      const isBehind = known.some((ms) => ms < 0);
      const forward = known.reduce((sum, ms) => sum + (workers === 1 ? Math.max(0, ms) : Math.abs(ms)), 0);
      this.lost.set(call.attempt, { bootAt: room.clock.mono(), forwardMs: forwardMs + forward, looks: looks + (isBehind ? 1 : 0) });
    }
  }

  /** Each attempt is made once, unless it is cut off: then again, under its number; and when it should be. */
  check(): void {
    const { attempts } = expectedOf(this.#plan);
    const answered = this.calls.filter(({ isCut }) => !isCut);
    expect(answered.map(({ attempt }) => attempt)).toEqual(attempts.map((_, i) => i + 1));
    let heldMs = 0;
    let heldUntil = 0;
    for (const [i, { takesMs, waitMs }] of attempts.entries()) {
      const endedAt = answered[i]!.at + takesMs;
      // a worker that lived while the clock was set still knows until when the service wants to be left alone
      const outcome = this.#plan.outcomes[i];
      if (outcome?.do === "fail" && outcome.kind === "resource") {
        heldMs = Math.max(heldMs, outcome.retryAfterMs ?? 0);
        heldUntil = Math.max(heldUntil, endedAt + heldMs);
      }
      if (waitMs === undefined) continue;
      const next = this.calls.find(({ attempt }) => attempt === i + 2)!;
      const waitedMs = next.at - endedAt;
      const { bootAt = endedAt, forwardMs = 0, looks = 0 } = this.lost.get(i + 1) ?? {};
      // what the clock jumped forward while nobody was there counts as waited; what it was set back to, nobody can tell: all is waited for anew
      const mostMs = looks > 0 ? bootAt - endedAt + waitMs.most + looks * LOOK_MS : Math.max(bootAt - endedAt, waitMs.most);
      expect(waitedMs).toBeGreaterThanOrEqual(waitMs.least - forwardMs);
      for (const at of this.#setBackAt) if (heldMs > 0 && at < next.at) heldUntil = Math.max(heldUntil, at + heldMs);
      expect(waitedMs).toBeLessThanOrEqual(
        Math.max(mostMs + (this.#clocksDiffer ? heldMs : 0), heldUntil - endedAt) + SLACK_MS + (bootAt > endedAt ? TAKE_OVER_MS : 0),
      );
    }
  }
}

/** Found by the property below: a clock that was set back made workers wait again for what was over. */
const HELD_BACK_AGAIN: [RetryPlan, Death[], number] = [
  {
    ...{ maxAttempts: 3, initialInterval: 1, backoffCoefficient: 1, maxInterval: 40, jitter: "full", nonRetryable: [], timeout: 200 },
    outcomes: [
      { do: "fail", kind: "resource", code: "BUSY", retryAfterMs: 90_000 },
      { do: "fail", kind: "transient", code: "BUSY", retryAfterMs: 700 },
      { do: "fail", kind: "transient", code: "BUSY" },
    ],
  },
  [
    { attempt: 1, during: "wait", afterMs: 0, deadMs: 0, setMs: -2_000 },
    { attempt: 2, during: "wait", afterMs: 0, deadMs: 0, setMs: -3_600_000 },
  ],
  1,
];

test("attempts are made as the model says, through deaths of workers, clocks that are set, and late answers", async () => {
  const seen = { histories: 0, attempts: 0, cut: 0, waits: 0 };
  await fc.assert(
    fc.asyncProperty(plans, fc.array(death, { maxLength: 4, size: "max" }), fc.integer({ min: 1, max: 2 }), async (plan, deaths, workers) => {
      const history = new History(plan);
      await history.play(workers, deaths);
      history.check();
      const { status, code } = expectedOf(plan);
      const { pawl } = await history.room.boot([], { execute: false });
      const [node] = await (await pawl.run("r")).nodes();
      expect([node!.status, node!.failure?.code]).toEqual([status, code]);
      seen.histories++;
      seen.attempts += history.calls.length;
      seen.cut += history.calls.filter(({ isCut }) => isCut).length;
      seen.waits += history.lost.size;
    }),
    { ...cases({ short: 100, long: 100_000 }), examples: [HELD_BACK_AGAIN] },
  );
  console.log(seen);
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(0);
}, 3_600_000);

test.each(["timeout", "PAWL_AGENT_TIMEOUT", "PAWL_HEARTBEAT_TIMEOUT"])("a timeout is tried again, unless it is not to be: %s", async (word) => {
  const room = new MachineRoom();
  const agents = [{ timeout: 500 }, { timeout: 9_000, heartbeat: 500 }].map((limits, i) => {
    const [always, notAgain] = [[], [word]].map((nonRetryable) =>
      anyAgent(`hangs${i}${nonRetryable.join()}`, () => never(), { ...limits, retry: { maxAttempts: 2, nonRetryable } }),
    );
    return { always: always!, notAgain: notAgain! };
  });
  const flow = anyWorkflow("flow", (wf) => {
    for (const [i, { always, notAgain }] of agents.entries()) {
      wf.node(`always${i}`, always, {}, { onFail: "skip" });
      wf.node(`notAgain${i}`, notAgain, {}, { onFail: "skip" });
    }
  });
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: null }));
  await room.settled(run.ended());
  const attempts = Object.fromEntries((await run.nodes()).map(({ id, attempt }) => [id, attempt]));
  const means = (code: string): number => (word === "timeout" || word === code ? 1 : 2);
  expect(attempts).toEqual({ always0: 2, always1: 2, notAgain0: means("PAWL_AGENT_TIMEOUT"), notAgain1: means("PAWL_HEARTBEAT_TIMEOUT") });
});
