/**
 * The fleet: four agents, which call three providers, and what protects them. A ticket is looked up, answered and filed.
 *
 * `answerer` and `filer` call the same provider, so they share its breaker and its limit. While it is down an answer is worth having
 * from elsewhere, at once: another agent takes over. Filing can wait: it does, in the queue, until the provider is back.
 */
import { type HealthCheck, agent, workflow } from "pawl";
import { z } from "zod";

const text = z.object({ text: z.string() });
const io = { input: text, output: text, timeout: "10s", retry: { maxAttempts: 5, initialInterval: "100ms" } } as const;
const models = { name: "models", failureThreshold: 5, openFor: "1s" } as const;

const searcher = agent({ ...io, name: "searcher", http: { url: { env: "SEARCH_URL" } }, uses: { searches: 1 } });
const answerer = agent({ ...io, name: "answerer", http: { url: { env: "MODELS_URL" } }, uses: { modelCalls: 1 }, breaker: models });
const filer = agent({ ...io, name: "filer", http: { url: { env: "MODELS_URL" } }, uses: { modelCalls: 1 }, breaker: { ...models, onOpen: "wait" } });
const writer = agent({ ...io, name: "writer", http: { url: { env: "BACKUP_URL" } }, concurrency: 4 });

export const support = workflow({ name: "support", input: text }, (wf) => {
  const facts = wf.node("look-up", searcher, wf.input);
  const answer = wf.node("answer", answerer, facts.result, { onFail: { use: writer } });
  wf.node("file", filer, answer.result);
  return answer.result.text;
});

/** For all runs and workers together. While there is too little, tenants take turns. */
export const limits = { searches: { max: 10, per: "500ms" }, modelCalls: { max: 6 } } as const;

/** Part of `pawl.health()`; a worker also asks it every 5 minutes while it has runs, and when something went wrong. */
export const modelsAnswer: HealthCheck = async ({ signal }) => {
  const { ok, status } = await fetch(process.env["MODELS_URL"]!, { signal });
  return ok ? { status: "HEALTHY" } : { status: "CRITICAL", details: { answers: status }, recommendations: ["wait: its breaker tries it again by itself"] };
};
