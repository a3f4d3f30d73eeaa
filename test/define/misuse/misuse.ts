/**
 * Wrong uses of the builder, each with the compiler's message that a user must get. Not part of the project's own check.
 */
import { agent, open, workflow } from "pawl";
import { z } from "zod";

const planner = agent({ name: "planner", input: z.object({ topic: z.string() }), output: z.object({ questions: z.array(z.string()), count: z.number() }), run: ({ topic }) => ({ questions: [topic], count: 1 }) });
const searcher = agent({ name: "searcher", input: z.object({ q: z.string(), limit: z.number().default(3) }), output: z.object({ notes: z.string() }), run: ({ q, limit }) => ({ notes: q.repeat(limit) }) });
const strict = agent({ name: "strict", input: z.object({ notes: z.string() }), output: z.object({ ok: z.boolean() }), run: () => ({ ok: true }) });

export const wrong = workflow({ name: "wrong", input: z.object({ topic: z.string() }) }, (wf) => {
  const plan = wf.node("plan", planner, { topic: wf.input.topic });
  // expect: Property 'topik' does not exist
  wf.node("a", planner, { topic: wf.input.topik });
  // expect: Did you mean 'questions'?
  wf.node("b", searcher, { q: plan.result.question });
  // expect: Type 'RefOf<number>' is not assignable to type 'string | RefOf<string>'
  wf.node("c", searcher, { q: plan.result.count });
  // expect: Property 'q' is missing
  wf.node("d", searcher, {});
  // expect: 'query' does not exist in type
  wf.node("e", searcher, { query: "x" });
  // expect: Property 'join' does not exist
  wf.node("f", searcher, { q: plan.result.questions.join(",") });
  // expect: used before its declaration
  wf.node("g", searcher, { q: later.result.notes });
  const later = wf.node("later", searcher, { q: "x" });
  const skipped = wf.node("skipped", searcher, { q: "x" }, { onFail: "skip" });
  // expect: is not assignable to type 'string | RefOf<string>'
  wf.node("h", strict, { notes: skipped.result.notes });
  // expect: Type '"ignore"' is not assignable to type 'OnFail | undefined'
  wf.node("i", searcher, { q: "x" }, { onFail: "ignore" });
  // expect: Type '"soon"' is not assignable to type 'Duration | undefined'
  wf.node("j", searcher, { q: "x" }, { timeout: "soon" });
  return { notes: later.result.notes, count: plan.result.count };
});

// expect: Type 'number' is not assignable to type 'string'
agent({ name: "x", input: z.object({}), output: z.object({ text: z.string() }), run: () => ({ text: 1 }) });
// expect: Property 'output' is missing
agent({ name: "x", input: z.object({}), run: () => 1 });

const pawl = await open(":memory:");
// expect: 'topik' does not exist in type
await pawl.start(wrong, { input: { topik: "x" } });
// expect: Property 'input' is missing
await pawl.start(wrong, {});
const result = await (await pawl.start(wrong, { input: { topic: "x" } })).result();
// expect: Property 'nodes' does not exist
console.log(result.nodes);
// expect: Property 'toFixed' does not exist on type 'string'
console.log(result.notes.toFixed(), result.count.toFixed());
