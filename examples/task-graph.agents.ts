/**
 * The agents of task-graph.yaml. They invent their answers, so that the graph runs without any service; one source
 * is slow to wake up, and one is down, as sources are.
 */
import { AgentError, agent } from "pawl";
import { z } from "zod";

const hits = z.array(z.object({ title: z.string(), link: z.string() }));

export const planner = agent({
  name: "planner",
  input: z.object({ topic: z.string() }),
  output: z.object({ topic: z.string(), questions: z.array(z.string()) }),
  run: ({ topic }) => ({ topic, questions: [`How do ${topic} work?`, `Who invented ${topic}?`] }),
});

export const searcher = agent({
  name: "searcher",
  input: z.object({ source: z.enum(["web", "library", "archive"]), question: z.string() }),
  output: z.object({ hits }),
  run: ({ source, question }, { attempt, log }) => {
    log.info({ source, question }, "searching");
    if (source === "library" && attempt === 1) throw new AgentError("the library is waking up", { kind: "transient" });
    if (source === "archive") throw new AgentError("the archive does not answer", { kind: "transient" });
    return { hits: [{ title: `${source}: ${question}`, link: `https://example.org/${source}/1` }] };
  },
});

export const reader = agent({
  name: "reader",
  input: z.object({ link: z.string() }),
  output: z.object({ text: z.string() }),
  run: ({ link }) => ({ text: `what stands at ${link}` }),
});

export const comparer = agent({
  name: "comparer",
  input: z.object({ findings: z.array(z.string().optional()) }),
  output: z.object({ agreed: z.array(z.string()), count: z.number() }),
  run: ({ findings }, { upstreamFailures, log }) => {
    const agreed = findings.filter((finding) => finding !== undefined);
    for (const { nodeId, message } of upstreamFailures) log.warn({ nodeId }, `going on without it: ${message}`);
    return { agreed, count: agreed.length };
  },
});

export const writer = agent({
  name: "writer",
  input: z.object({ heading: z.string(), findings: z.array(z.string()) }),
  output: z.object({ text: z.string() }),
  run: ({ heading, findings }) => ({ text: [heading, ...findings.map((finding) => `- ${finding}`)].join("\n") }),
});

export const publisher = agent({
  name: "publisher",
  input: z.object({ text: z.string() }),
  output: z.object({ address: z.string() }),
  // The idempotency key is the same for every attempt: publishing twice gives the same page.
  run: (_, { idempotencyKey }) => ({ address: `https://example.org/pages/${encodeURIComponent(idempotencyKey)}` }),
});
