/**
 * Three agents that are models. Each call of a model or a tool is a step; what is done now, and not given back from the
 * store, says so in a line.
 */
import { setTimeout as passes } from "node:timers/promises";
import { tool } from "ai";
import { type ModelCall, modelAgent } from "pawl/ai";
import { z } from "zod";
import { notes, search } from "./corpus.ts";
import { plannerModel, researcherModel, writerModel } from "./offline-models.ts";

const finding = z.object({ answer: z.string(), sources: z.array(z.string()) });
/** What a tool is told about the call that it is made for. */
const contextSchema = z.object({ nodeId: z.string(), step: z.string(), idempotencyKey: z.string() });

export const planner = modelAgent({
  name: "planner",
  model: plannerModel,
  input: z.object({ topic: z.string() }),
  output: z.object({ questions: z.array(z.string()).max(10) }),
  prompt: ({ topic }) => `Which questions has a report on ${topic} to answer?`,
  onUsage: told,
});

export const researcher = modelAgent({
  name: "researcher",
  model: researcherModel,
  system: "Search, read what you find, and answer from nothing else.",
  input: z.object({ question: z.string() }),
  output: finding,
  prompt: ({ question }) => question,
  tools: {
    search: tool({
      description: "Titles of the notes that fit a question",
      inputSchema: z.object({ question: z.string() }),
      contextSchema,
      execute: async ({ question }, { context, abortSignal }) => {
        await passes(200, undefined, { signal: abortSignal });
        console.log(line(context.nodeId, context.step, `searches: ${question}`));
        return search(question).join(", ");
      },
    }),
    read: tool({
      description: "A note by its title",
      inputSchema: z.object({ title: z.string() }),
      contextSchema,
      execute: async ({ title }, { context, abortSignal }) => {
        await passes(200, undefined, { signal: abortSignal });
        console.log(line(context.nodeId, context.step, `reads the note "${title}"`));
        return notes.get(title) ?? "there is no such note";
      },
    }),
  },
  onUsage: told,
});

export const writer = modelAgent({
  name: "writer",
  model: writerModel,
  system: "Write a report of these findings.",
  input: z.object({ findings: z.array(finding) }),
  output: z.string(),
  prompt: ({ findings }) => findings.map(({ answer }) => answer).join("\n\n"),
  stream: true, // heard by run.stream()
});

function told({ nodeId, step, outputTokens }: ModelCall): void {
  console.log(line(nodeId, step, `the model has answered in ${outputTokens} tokens`));
}

function line(node: string, step: string, what: string): string {
  return `${node.padEnd(12)} ${step.padEnd(10)} ${what}`;
}
