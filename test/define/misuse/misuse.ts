/**
 * Wrong uses of the builder and of machines, each with the compiler's message that a user must get. Not part of the project's own check.
 */
import { agent, durable, open, step, workflow } from "pawl";
import { assign, setup } from "xstate";
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

const reader = agent({ name: "reader", input: z.object({ document: z.string() }), output: z.object({ risk: z.number() }), run: () => ({ risk: 1 }) });

const review = setup({
  types: { input: {} as { document: string }, context: {} as { risk: number; document: string }, events: {} as { type: "APPROVE"; by: string } | { type: "DROP" }, output: {} as { by: string } },
  actors: { read: step(reader) },
}).createMachine({
  id: "review",
  context: ({ input }) => ({ risk: 0, document: input.document }),
  initial: "reading",
  output: () => ({ by: "" }),
  states: {
    reading: {
      invoke: {
        src: "read",
        input: ({ context }) => ({ document: context.document }),
        onDone: { target: "waiting", actions: assign({ risk: ({ event }) => event.output.risk }) },
      },
    },
    waiting: { on: { APPROVE: "over", DROP: "over" } },
    over: { type: "final" },
  },
});
const idle = setup({}).createMachine({ id: "idle" });

await pawl.start(idle);
// expect: Expected 2 arguments, but got 1
await pawl.start(review);
// expect: Property 'input' is missing
await pawl.start(review, { id: "r" });
// expect: Type 'number' is not assignable to type 'string'
await pawl.start(review, { input: { document: 1 } });
// expect: 'dokument' does not exist in type
await pawl.start(durable(review), { input: { dokument: "a" } });
const reviewed = await pawl.start(durable(review), { input: { document: "a" } });
// expect: Type '"APPROVED"' is not assignable to type '"APPROVE" | "DROP"'
await reviewed.send({ type: "APPROVED", by: "ana" });
// expect: Property 'by' is missing
await reviewed.send({ type: "APPROVE" });
// expect: 'buy' does not exist in type
await reviewed.send({ type: "APPROVE", buy: "ana" });
// expect: Type '"soon"' is not assignable to type 'Duration | undefined'
await reviewed.send({ type: "DROP" }, { timeout: "soon" });
// expect: Property 'who' does not exist on type '{ by: string; }'
console.log((await reviewed.result()).who, (await reviewed.result()).by);
// expect: Property 'risks' does not exist
console.log((await reviewed.snapshot()).context.risks, (await reviewed.snapshot()).context.risk.toFixed());
// expect: '"overt"' is not assignable
await reviewed.waitFor((snapshot) => snapshot.matches("overt"));
// expect: Type '"APPROVED"' is not assignable to type '"APPROVE" | "DROP"'
await reviewed.can({ type: "APPROVED" });
// expect: 'APPROVED' does not exist in type
durable(review, { events: { APPROVED: z.object({}) } });
// expect: Type '"later"' is not assignable to type 'TimerPolicy'
durable(review, { delays: { remind: "later" } });
// expect: Property 'risk' does not exist on type 'MachineHandle
console.log((await pawl.run("r", review)).risk);

export const wrongInput = setup({ actors: { read: step(reader) } }).createMachine({
  // expect: 'dokument' does not exist in type
  invoke: { src: "read", input: { dokument: "a" } },
});
export const wrongSource = setup({ actors: { read: step(reader) } }).createMachine({
  // expect: Type '"reed"' is not assignable to type '"read"
  invoke: { src: "reed", input: { document: "a" } },
});
export const wrongOutput = setup({ types: { context: {} as { risk: number } }, actors: { read: step(reader) } }).createMachine({
  context: { risk: 0 },
  // expect: Property 'risks' does not exist on type '{ risk: number; }'
  invoke: { src: "read", input: { document: "a" }, onDone: { actions: assign({ risk: ({ event }) => event.output.risks }) } },
});
