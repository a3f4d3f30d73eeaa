/**
 * What the flows call in place of models and services: each gives what follows from its input, so that every run of a flow
 * has the same result.
 */
import { agent } from "pawl";
import { z } from "zod";

/** A language model: says who was asked about what. */
export const model = agent({
  name: "model",
  input: z.object({ as: z.string(), about: z.unknown() }),
  output: z.object({ text: z.string() }),
  run: ({ as, about }) => ({ text: `${as}(${typeof about === "string" ? about : JSON.stringify(about)})` }),
});

export const retriever = agent({
  name: "retriever",
  input: z.object({ query: z.string() }),
  output: z.object({ documents: z.array(z.string()) }),
  run: ({ query }) => ({ documents: [`of ${query}`] }),
});

export const database = agent({
  name: "database",
  input: z.object({ query: z.string() }),
  output: z.object({ rows: z.string() }),
  run: ({ query }) => ({ rows: `rows of ${query}` }),
});

/** Finds good only what comes in the second round, or later. */
export const judge = agent({
  name: "judge",
  input: z.object({ text: z.string(), round: z.number() }),
  output: z.object({ isGood: z.boolean(), verdict: z.enum(["good", "poor"]), next: z.number() }),
  run: ({ round }) => ({ isGood: round > 1, verdict: round > 1 ? ("good" as const) : ("poor" as const), next: round + 1 }),
});

/** The first of these kinds that the text speaks of. */
export const sorter = agent({
  name: "sorter",
  input: z.object({ text: z.string(), among: z.array(z.string()) }),
  output: z.object({ kind: z.string().optional() }),
  run: ({ text, among }) => ({ kind: among.find((kind) => text.includes(kind)) }),
});

export const planner = agent({
  name: "planner",
  input: z.object({ task: z.string(), round: z.number() }),
  output: z.object({ tasks: z.array(z.string()) }),
  run: ({ task, round }) => ({ tasks: Array.from({ length: round + 1 }, (_, i) => `${task} ${round}.${i}`) }),
});

/** Gives the word to each of its workers once. */
export const supervisor = agent({
  name: "supervisor",
  input: z.object({ workers: z.array(z.string()), said: z.array(z.string()) }),
  output: z.object({ next: z.string(), done: z.boolean() }),
  run: ({ workers, said }) => ({ next: workers[said.length - 1] ?? "nobody", done: said.length > workers.length }),
});

export const worker = agent({
  name: "worker",
  input: z.object({ role: z.string(), said: z.array(z.string()) }),
  output: z.object({ said: z.array(z.string()) }),
  run: ({ role, said }) => ({ said: [...said, `${role} on ${said.at(-1)}`] }),
});

/** One of the two channels is down. */
export const post = agent({
  name: "post",
  input: z.object({ channel: z.enum(["slack", "teams"]), text: z.string() }),
  output: z.object({ link: z.string() }),
  retry: { maxAttempts: 2 },
  run: ({ channel, text }) => {
    if (channel === "teams") throw new Error("teams is down");
    return { link: `${channel}/${text}` };
  },
});

/** What a user wants of support. */
export const detector = agent({
  name: "detector",
  input: z.object({ text: z.string() }),
  output: z.object({ intention: z.enum(["refund", "sales", "other"]) }),
  run: ({ text }) => ({ intention: text.includes("refund") ? ("refund" as const) : ("other" as const) }),
});
