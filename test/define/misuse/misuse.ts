/**
 * Wrong uses of the builder and of machines, each with the compiler's message that a user must get. Not part of the project's own check.
 */
import { agent, durable, open, step, workflow } from "pawl";
import { assign, setup } from "xstate";
import { z } from "zod";

const planner = agent({ name: "planner", input: z.object({ topic: z.string() }), output: z.object({ questions: z.array(z.string()), count: z.number() }), run: ({ topic }) => ({ questions: [topic], count: 1 }) });
const searcher = agent({ name: "searcher", input: z.object({ q: z.string(), limit: z.number().default(3) }), output: z.object({ notes: z.string() }), run: ({ q, limit }) => ({ notes: q.repeat(limit) }) });
const strict = agent({ name: "strict", input: z.object({ notes: z.string() }), output: z.object({ ok: z.boolean() }), run: () => ({ ok: true }) });

const cached = agent({ name: "cached", input: z.object({ q: z.string() }), output: z.object({ notes: z.string(), age: z.number() }), run: () => ({ notes: "", age: 1 }) });
const counter = agent({ name: "counter", input: z.object({ q: z.string() }), output: z.object({ notes: z.number() }), run: () => ({ notes: 1 }) });
const lister = agent({ name: "lister", input: z.object({ q: z.string() }), output: z.object({ list: z.array(z.string()) }), run: () => ({ list: [] }) });
const undo = agent({ name: "undo", input: z.object({ input: z.object({ q: z.string() }), result: z.object({ notes: z.string() }).optional() }), output: z.void(), run: () => {} });

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
  // expect: Type '"ignore"' is not assignable to type 'OnFail<
  wf.node("i", searcher, { q: "x" }, { onFail: "ignore" });
  // expect: Type '"soon"' is not assignable to type 'Duration | undefined'
  wf.node("j", searcher, { q: "x" }, { timeout: "soon" });

  // what follows failures: who takes over is given the same, and who undoes is told what the node was given and gave
  // expect: Type 'RefOf<string | undefined>' is not assignable to type 'string | RefOf<string>'
  wf.node("k", strict, { notes: wf.node("l", searcher, { q: "x" }, { onFail: { use: cached, onFail: "skip" } }).result.notes });
  // expect: Type 'RefOf<number>' is not assignable to type 'string | RefOf<string>'
  wf.node("m", strict, { notes: wf.node("n", searcher, { q: "x" }, { onFail: { use: counter } }).result.notes });
  // expect: Property 'topic' is missing in type
  wf.node("o", searcher, { q: "x" }, { onFail: { use: planner } });
  // expect: Type '"ignore"' is not assignable to type 'OnFail<
  wf.node("p", searcher, { q: "x" }, { onFail: { use: cached, onFail: "ignore" } });
  // expect: Property 'q' is missing in type '{ topic: string; }'
  wf.node("r", planner, { topic: "x" }, { compensate: undo });
  // expect: Property 'notes' is missing in type
  wf.node("s", lister, { q: "x" }, { compensate: undo });
  // expect: Type 'number' is not assignable to type 'string'
  wf.map("t", plan.result.questions, searcher, (q) => ({ q }), { compensate: undo, onFail: { use: counter } });
  // expect: 'compensate' does not exist in type 'EventOptions
  wf.event("u", z.object({ by: z.string() }), { compensate: undo });
  // expect: is not assignable to type 'FinalWord
  wf.event("v", z.object({ by: z.string() }), { onFail: { use: cached } });
  return { notes: later.result.notes, count: plan.result.count };
});

const triage = agent({ name: "triage", input: z.object({ text: z.string() }), output: z.object({ kind: z.enum(["bug", "question"]), sure: z.boolean(), list: z.array(z.string()), maybe: z.array(z.string()).optional(), pair: z.tuple([z.string(), z.number()]) }), run: () => null as never });
const part = workflow({ name: "part", input: z.object({ q: z.string() }) }, (wf) => ({ said: wf.input.q, n: 1 }));

workflow({ name: "groups", input: z.object({ text: z.string() }) }, (wf) => {
  const { result } = wf.node("triage", triage, { text: wf.input.text });
  // expect: Argument of type 'RefOf<"bug" | "question">' is not assignable to parameter of type 'readonly unknown[] | RefOf<readonly unknown[]>'
  wf.map("a", result.kind, searcher, (q) => ({ q }));
  // expect: 'string[] | undefined' is not assignable to type 'readonly unknown[]'
  wf.map("b", result.maybe, searcher, (q) => ({ q }));
  // expect: Property 'q' is missing in type '{ query: RefOf<string>; }'
  wf.map("c", result.list, searcher, (query) => ({ query }));
  // expect: Property 'text' does not exist on type 'RefOf<string>'
  wf.map("d", result.list, searcher, (item) => ({ q: item.text }));
  // expect: Type 'RefOf<number>' is not assignable to type 'string | RefOf<string>'
  wf.map("e", result.list, searcher, (_, index) => ({ q: index }));
  // expect: Type 'RefOf<1 | 2>' is not assignable to type 'string | RefOf<string>'
  wf.map("f", [1, 2], searcher, (q) => ({ q }));
  // expect: Type 'string' is not assignable to type 'number'
  const found = wf.map("g", result.list, searcher, (q) => ({ q }), { concurrency: "5" });
  // expect: Did you mean 'notes'?
  wf.node("h", searcher, { q: found.result[0]!.note });
  // expect: Object is possibly 'undefined'
  wf.node("i", searcher, { q: found.result[0].notes });
  // expect: Property '2' does not exist on type
  wf.node("j", searcher, { q: result.pair[2] });

  // expect: Argument of type 'boolean' is not assignable to parameter of type 'RefOf<unknown>'
  wf.when("k", result.kind === "bug", () => 1);
  // expect: Type 'RefOf<string | undefined>' is not assignable to type 'string | RefOf<string>'
  wf.node("l", searcher, { q: wf.when("m", result.sure, () => wf.node("n", searcher, { q: "" }).result).result.notes });
  // expect: is not assignable to type '"use its .result"'
  wf.when("o", result.sure, () => wf.node("p", searcher, { q: "" }));
  // expect: is not assignable to type '"use its .result"'
  wf.when("o", result.sure, () => 1, () => wf.node("p", searcher, { q: "" }));
  // expect: 'bgu' does not exist in type
  wf.route("q", result.kind, { bgu: () => 1 });
  // expect: is not assignable to type '"the value is never this name"'
  wf.route("r", result.kind, { bug: () => 1, qestion: () => 2 });
  // expect: is not assignable to type '() => "use its .result"'
  wf.route("s", result.kind, { bug: () => wf.node("t", searcher, { q: "" }) });
  // expect: Argument of type 'RefOf<boolean>' is not assignable to parameter of type 'RefOf<string | undefined>'
  wf.route("u", result.sure, { true: () => 1 });
  // expect: Type 'RefOf<string | number>' is not assignable to type 'string | RefOf<string>'
  wf.node("v", searcher, { q: wf.route("w", result.kind, { bug: () => result.pair[1], question: () => result.pair[0] }).result });

  // expect: Property 'max' is missing
  wf.repeat("x", searcher, { q: "" }, { until: (last) => last.notes });
  // expect: Did you mean 'notes'?
  wf.repeat("y", searcher, { q: "" }, { max: 3, until: (last) => last.note });
  // expect: Type 'boolean' is not assignable to type 'RefOf<unknown>'
  wf.repeat("z", searcher, { q: "" }, { max: 3, until: () => true });
  // expect: Property 'q' is missing in type '{ notes: RefOf<string>; }'
  wf.repeat("aa", searcher, { q: "" }, { max: 3, next: ({ notes }) => ({ notes }) });
  // expect: 'query' does not exist in type
  wf.repeat("ab", searcher, { query: "" }, { max: 3 });

  // expect: 'retry' does not exist in type 'EventOptions<"block">'
  wf.event("ac", z.object({ by: z.string() }), { retry: { maxAttempts: 2 } });
  // expect: Type 'RefOf<string | undefined>' is not assignable to type 'string | RefOf<string>'
  wf.node("ad", searcher, { q: wf.event("ae", z.object({ by: z.string() }), { onFail: "skip" }).result.by });
  // expect: 'query' does not exist in type
  wf.run("af", part, { query: "" });
  // expect: Property 'plan' is missing in type 'Agent<
  wf.run("ag", searcher, { q: "" });
  // expect: Type 'RefOf<1>' is not assignable to type 'string | RefOf<string>'
  wf.node("ah", searcher, { q: wf.run("ai", part, { q: "" }).result.n });
  // expect: 'RefOf<boolean>' is not assignable to parameter of type 'string | RefOf<string>'
  wf.resultOf("aj", part, result.sure);
  return 1;
});
// expect: is not assignable to type '"use its .result"'
workflow({ name: "node", input: z.object({}) }, (wf) => wf.node("a", searcher, { q: "" }));

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

const cleanUp = agent({ name: "clean-up", input: z.object({ nodeId: z.string() }), output: z.enum(["continue", "restart", "fail"]), run: () => "continue" as const });
// expect: Type '"cleanup"' is not assignable to type '"cleanUp"
agent({ name: "careful", input: z.string(), output: z.string(), recovery: { cleanUp }, onError: () => ({ recover: "cleanup" }), run: (text) => text });
const strictly = agent({ name: "strictly", input: z.object({ nodeId: z.string() }), output: z.string(), run: () => "perhaps" });
// expect: Type 'string' is not assignable to type 'RecoveryVerdict'
agent({ name: "careless", input: z.string(), output: z.string(), recovery: { cleanUp: strictly }, run: (text) => text });
