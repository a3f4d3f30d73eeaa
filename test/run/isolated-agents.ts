/**
 * Agents for threads: those that work, and those that do what no agent should.
 */
import { appendFileSync } from "node:fs";
import { threadId } from "node:worker_threads";
import type { AgentContext } from "../../src/define/agent.ts";
import { AgentError } from "../../src/errors.ts";

export default function double({ n }: { n: number }): number {
  return n * 2;
}

/** What the thread is, and what it was told. */
export function tell(_: unknown, ctx: AgentContext): unknown {
  const { runId, nodeId, attempt, idempotencyKey, upstreamFailures } = ctx;
  return { threadId, runId, nodeId, attempt, idempotencyKey, upstreamFailures, hasTime: ctx.deadlineAt > Date.now(), isAborted: ctx.signal.aborted };
}

export const echo = (input: unknown): unknown => input;

export function loop(_: unknown, ctx: AgentContext): void {
  ctx.stream("looping");
  // eslint-disable-next-line no-unmodified-loop-condition
  while (true);
}

/** Talks without end, and never waits. */
export function chatter(_: unknown, ctx: AgentContext): void {
  for (let i = 0; ; i++) ctx.heartbeat({ i });
}

/** Says 3,000 things, and notes how far it is. */
export function floods({ log }: { log: string }, ctx: AgentContext): void {
  for (let i = 1; i <= 3_000; i++) {
    ctx.heartbeat(i);
    if (i % 250 === 0) appendFileSync(log, `${i}\n`);
  }
}

export async function waits({ log }: { log: string }, ctx: AgentContext): Promise<string> {
  ctx.stream("waiting");
  await new Promise<void>((resolve) => {
    const alive = setInterval(() => {}, 1_000);
    ctx.signal.addEventListener("abort", () => (clearInterval(alive), resolve()));
  });
  appendFileSync(log, `aborted: ${(ctx.signal.reason as { code: string }).code}\n`);
  return "tidied up";
}

export async function steps({ log, stay }: { log: string; stay: boolean }, ctx: AgentContext): Promise<unknown> {
  const first = await ctx.step("first", () => (appendFileSync(log, "first\n"), new Map([["at", new Date(5)]])));
  const second = await ctx.step("second", async () => (appendFileSync(log, "second\n"), threadId));
  appendFileSync(log, "kept\n");
  if (stay && ctx.attempt < 3) await new Promise((resolve) => setTimeout(resolve, 1_000_000));
  return { first, second };
}

/** One step fails while another is under way. */
export async function crossed({ log }: { log: string }, ctx: AgentContext): Promise<void> {
  const later = Promise.withResolvers<void>();
  const slow = ctx.step("slow", async () => (await later.promise, appendFileSync(log, "slow\n")));
  slow.catch(() => {});
  setTimeout(later.resolve, 20);
  await ctx.step("bad", () => {
    throw new Error("no");
  });
}

export function repeats(_: unknown, ctx: AgentContext): unknown {
  return Promise.all([ctx.step("same", () => 1), ctx.step("same", () => 2)]);
}

export function says(_: unknown, ctx: AgentContext): string {
  ctx.heartbeat({ done: 1 });
  ctx.stream({ token: "a" });
  ctx.stream("b");
  ctx.log.warn({ f: () => {} }, "odd");
  ctx.log.info({ n: 1 }, "plain");
  return "said";
}

export const exits = (): void => process.exit(7);
export const leaves = (): Promise<void> => (
  setImmediate(() => void Promise.reject(new Error("nobody waits"))),
  new Promise((resolve) => setTimeout(resolve, 1_000_000))
);

export function eats(): void {
  const kept: unknown[] = [];
  while (true) kept.push(Array(4_000_000).fill(kept.length + 0.5));
}

export function overloaded(): void {
  throw new AgentError("overloaded", { kind: "resource", code: "OVERLOADED", retryAfterMs: 5 });
}

class Odd {
  readonly n = 1;
}
export const odd = (): unknown => ({ deep: [new Odd()] });
export const throwsOdd = (): void => {
  throw Object.assign(new TypeError("odd one"), { code: "ODD", held: new Odd() });
};

export const number = 5;
