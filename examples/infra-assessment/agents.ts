/**
 * The panel: an inventory, three reviewers, and a chair. Rules in place of models, so that they need no key. With CALLS_LOG
 * each call writes down that it begins and ends.
 */
import { appendFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { setTimeout as passes } from "node:timers/promises";
import { AgentError, type AgentContext, agent } from "pawl";
import { z } from "zod";

const THINKING_MS = 200;

const service = z.object({
  name: z.string(),
  host: z.string(),
  isOpen: z.boolean(),
  tls: z.number(),
  replicas: z.number(),
  cores: z.number(),
  load: z.number(),
  backupHours: z.number(),
});
const infrastructure = z.object({ prices: z.record(z.string(), z.number()), services: z.array(service) });
const review = z.object({ service: z.string(), verdict: z.enum(["good", "poor"]), why: z.string() });
const reviews = z.array(review.optional());
type Review = z.infer<typeof review>;

export const inventory = agent({
  name: "inventory",
  input: z.object({ file: z.string() }),
  output: z.object({ services: z.array(service) }),
  run: ({ file }, context) => called(context, async () => ({ services: (await read(file)).services })),
});

export const security = agent({
  name: "security",
  input: service,
  output: review,
  run: ({ name, isOpen, tls }, context) =>
    called(context, () => reviewed(name, context, isOpen && tls < 1.2 ? `open to the world with TLS ${tls.toFixed(1)}` : undefined)),
});

/** What it asks is overloaded now and then: then it is called again. */
export const reliability = agent({
  name: "reliability",
  input: service,
  output: review,
  retry: { initialInterval: "200ms" },
  run: ({ name, replicas, backupHours }, context) =>
    called(context, () => {
      if (name === "search" && context.attempt === 1) throw new AgentError(`the monitoring of ${name} does not answer`, { kind: "transient" });
      return reviewed(name, context, replicas === 1 ? `one replica, and a backup every ${backupHours} h` : undefined);
    }),
});

/** Without a price it can do nothing, however often it is called: its kind of failure says so. */
export const cost = agent({
  name: "cost",
  input: z.object({ file: z.string(), service }),
  output: review,
  run: ({ file, service: { name, host, cores, load } }, context) =>
    called(context, async () => {
      const price = (await read(file)).prices[host];
      if (price === undefined) throw new AgentError(`${name} is on "${host}", and no price of that is known`, { kind: "configuration" });
      const idle = Math.floor(cores * (0.6 - load));
      return reviewed(name, context, idle > 4 ? `${idle} of ${cores} cores could go: ${idle * price} a month` : undefined);
    }),
});

/** Goes by what there is: a review that was skipped is undefined, and the context says why. */
export const chair = agent({
  name: "chair",
  input: z.object({ security: reviews, cost: reviews, reliability: reviews }),
  output: z.object({ reviews: z.number(), poor: z.array(review.extend({ area: z.string() })), missing: z.array(z.string()) }),
  run: (panel, context) =>
    called(context, () => {
      const there = Object.entries(panel).flatMap(([area, list]) => list.flatMap((one) => (one === undefined ? [] : [{ area, ...one }])));
      const poor = there.filter(({ verdict }) => verdict === "poor").toSorted((a, b) => a.service.localeCompare(b.service));
      return { reviews: there.length, poor, missing: context.upstreamFailures.map(({ nodeId, message }) => `${nodeId}: ${message}`) };
    }),
});

async function called<T>({ idempotencyKey, signal }: AgentContext, work: () => T | Promise<T>): Promise<T> {
  note(`start ${idempotencyKey}`);
  await passes(THINKING_MS, undefined, { signal });
  const result = await work();
  note(`end ${idempotencyKey}`);
  return result;
}

function reviewed(service: string, { nodeId, log }: AgentContext, trouble: string | undefined): Review {
  log.info({ service }, `${nodeId} ${service}: ${trouble ?? "good"}`);
  return { service, verdict: trouble === undefined ? "good" : "poor", why: trouble ?? "" };
}

async function read(file: string): Promise<z.infer<typeof infrastructure>> {
  return infrastructure.parse(JSON.parse(await readFile(file, "utf8")));
}

function note(line: string): void {
  const log = process.env["CALLS_LOG"];
  if (log !== undefined) appendFileSync(log, `${line}\n`);
}
