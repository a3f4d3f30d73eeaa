/**
 * Right uses of maps, loops, choices, events and workflows within workflows, and the types that come out of them: without a
 * cast, and each exactly what is said. Not part of the project's own check.
 */
import { type Agent, type NodeHandle, type OnFail, type RefOf, type Undo, agent, workflow } from "pawl";
import { z } from "zod";

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- two functions that are generic alike are the same only if their types are
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : never;
/** Is this exactly the type of what the node gives? */
const gives = <Wanted>(): (<Given>(node: NodeHandle<Given>, same: Same<Given, Wanted>) => void) => () => {};
/** Is this exactly the type of what the reference refers to? */
const refers = <Wanted>(): (<Given>(reference: RefOf<Given>, same: Same<Given, Wanted>) => void) => () => {};

interface Notes {
  notes: string;
  good: boolean;
}
const planner = agent({
  name: "planner",
  input: z.object({ topic: z.string() }),
  output: z.object({
    questions: z.array(z.string()),
    count: z.number(),
    kind: z.enum(["bug", "question"]),
    pair: z.tuple([z.string(), z.number()]),
    frozen: z.array(z.object({ id: z.string() })).readonly(),
    sure: z.boolean(),
  }),
  run: () => null as never,
});
const reader = agent({
  name: "reader",
  input: z.object({ question: z.string(), at: z.number().optional() }),
  output: z.object({ notes: z.string(), good: z.boolean() }),
  run: () => null as never,
});
const picky = agent({ name: "picky", input: z.object({ kind: z.enum(["bug", "question"]) }), output: z.string(), run: () => "" });
const inner = workflow({ name: "inner", input: z.object({ n: z.number() }) }, (wf) => ({ n: wf.input.n, by: "inner" }));
const oracle = agent({ name: "oracle", input: z.any(), output: z.string(), run: () => "" });
const counter = agent({ name: "counter", input: z.any(), output: z.number(), run: () => 1 });
const double = agent({ name: "double", input: z.unknown(), output: z.object({ n: z.number(), by: z.literal("inner") }), run: () => null as never });
const notes = z.object({ notes: z.string(), good: z.boolean() });
const why = z.object({ code: z.string(), message: z.string(), node: z.string() }).optional();
const asked = z.object({ question: z.string() });
const forget = agent({ name: "forget", input: z.object({ input: asked, result: notes.optional(), error: why }), output: z.void(), run: () => {} });
const forgetAny = agent({ name: "forget-any", input: z.object({ input: asked, result: z.union([notes, z.string()]).optional() }), output: z.void(), run: () => {} });
const onlyInput = agent({ name: "only-input", input: z.object({ input: asked }), output: z.void(), run: () => {} });
export const named: Agent<Undo<{ question: string }, Notes>> = forget;
export const strategies: OnFail<{ question: string }>[] = ["block", { use: oracle, onFail: { use: reader, timeout: "5s", onFail: "compensate" } }];
const given: readonly string[] = ["bug"];

export const right = workflow({ name: "right", input: z.object({ list: z.array(z.number()), any: z.any(), run: z.string() }) }, (wf) => {
  const plan = wf.node("plan", planner, { topic: "x" });

  // maps: of lists that a node gives, also read-only ones; what is skipped is undefined
  const read = wf.map("read", plan.result.questions, reader, (question, at) => ({ question, at }), { concurrency: 5, heartbeat: "5s" });
  gives<Notes[]>()(read, true);
  refers<string>()(read.result[0]!.notes, true);
  const skipping = wf.map("skipping", plan.result.frozen, reader, ({ id }) => ({ question: id }), { onFail: "skip" });
  gives<(Notes | undefined)[]>()(skipping, true);
  refers<string | undefined>()(skipping.result[0]!.notes, true);
  // maps of lists that are written out: they have a length, so that no item is to be asserted
  const three = wf.map("three", [1, 2, wf.input.list[0]!], inner, (n) => ({ n }));
  refers<number>()(three.result[2].n, true);
  gives<[string, string]>()(wf.map("kinds", ["bug", "question"], picky, (kind) => ({ kind })), true);
  const mixed = wf.map("mixed", [{ q: "a", n: 1 }, { q: plan.result.questions[0]!, n: 2 }], reader, (x) => ({ question: x.q, at: x.n }));
  gives<[Notes, Notes]>()(mixed, true);
  gives<Notes[]>()(wf.map("variable", given, reader, (question) => ({ question })), true);
  gives<Notes[]>()(wf.map("unknown", wf.input.any, reader, (x) => ({ question: x.deep.field })), true);
  gives<Notes[]>()(wf.map("deeper", wf.input.any.deep, reader, (x) => ({ question: x[0] })), true);
  // tuples have their own items
  wf.node("pair", reader, { question: plan.result.pair[0], at: plan.result.pair[1] });

  // choices: undefined when none of the ways is taken, and only then
  const merge = wf.when("merge", plan.result.sure, () => wf.node("merged", reader, { question: "" }).result);
  gives<Notes | undefined>()(merge, true);
  refers<string | undefined>()(merge.result.notes, true);
  const end = wf.when("end", plan.result.sure, () => read.result[0]!.notes, () => "refused");
  gives<string>()(end, true);
  wf.node("after-end", reader, { question: end.result });
  const records = wf.when("records", plan.result.sure, () => ({ k: 1, n: plan.result.count }), () => ({ k: 2, n: plan.result.count }));
  gives<{ k: 1; n: number } | { k: 2; n: number }>()(records, true);
  refers<number>()(records.result.n, true);
  const kind = wf.route("kind", plan.result.kind, { bug: () => plan.result.count, question: () => "asked" });
  gives<number | string>()(kind, true);
  gives<number | undefined>()(wf.route("bugs", plan.result.kind, { bug: () => plan.result.count }), true);
  gives<number | "other">()(wf.route("others", plan.result.kind, { bug: () => plan.result.count }, () => "other"), true);
  gives<number | undefined>()(wf.route("text", wf.input.run, { bug: () => plan.result.count }), true);
  gives<number | undefined>()(wf.route("any", wf.input.any.kind, { bug: () => plan.result.count }), true);

  // loops, events, and runs of workflows
  const refine = wf.repeat("refine", reader, { question: "x" }, { max: 3, until: (last) => last.good, next: (last) => ({ question: last.notes }) });
  gives<Notes>()(refine, true);
  gives<{ n: number; by: "inner" } | undefined>()(wf.repeat("loop", inner, { n: 1 }, { max: 3, onFail: "skip", next: ({ n }) => ({ n }) }), true);
  gives<{ approved: boolean }>()(wf.event("approval", z.object({ approved: z.boolean() }), { timeout: "2d" }), true);
  const asked = wf.event("asked", z.object({ kind: z.enum(["bug", "question"]) }), { onFail: "skip" });
  gives<{ kind: "bug" | "question" } | undefined>()(asked, true);
  gives<number | undefined>()(wf.route("asked-kind", asked.result.kind, { bug: () => 1, question: () => 2 }), true);
  gives<number | "none">()(wf.route("asked-or", asked.result.kind, { bug: () => 1, question: () => 2 }, () => "none"), true);
  gives<{ n: number; by: "inner" }>()(wf.run("part", inner, { n: plan.result.count }), true);
  gives<{ n: number; by: "inner" } | undefined>()(wf.resultOf("there", inner, wf.input.run, { onFail: "skip" }), true);

  // what follows failures: dependents read what any of the agents gave, and nothing if it is skipped in the end
  gives<Notes | string>()(wf.node("else", reader, { question: "x" }, { onFail: { use: oracle, retry: { maxAttempts: 1 } } }), true);
  gives<Notes | string | number | undefined>()(
    wf.node("else-else", reader, { question: "x" }, { onFail: { use: oracle, onFail: { use: counter, onFail: "skip" } } }),
    true,
  );
  gives<(Notes | string)[]>()(wf.map("else-each", plan.result.questions, reader, (question) => ({ question }), { onFail: { use: oracle } }), true);
  gives<Notes | string>()(wf.repeat("else-loop", reader, { question: "x" }, { max: 3, onFail: { use: oracle } }), true);
  wf.repeat("else-last", reader, { question: "x" }, { max: 3, until: (last) => (refers<Notes | string>()(last, true), last), onFail: { use: oracle } });
  gives<{ n: number; by: "inner" } | string>()(wf.run("else-run", inner, { n: 1 }, { onFail: { use: oracle } }), true);
  gives<{ n: number; by: "inner" } | undefined>()(wf.resultOf("else-there", inner, wf.input.run, { onFail: { use: double, onFail: "skip" } }), true);
  gives<Notes>()(wf.node("unwinds", reader, { question: "x" }, { onFail: "compensate", compensate: forget }), true);
  // who undoes is told what the node was given, and what any of its agents gave
  gives<Notes | string>()(wf.node("undone", reader, { question: "x" }, { onFail: { use: oracle }, compensate: forgetAny }), true);
  gives<Notes[]>()(wf.map("undone-each", plan.result.questions, reader, (question) => ({ question }), { compensate: forget }), true);
  gives<Notes>()(wf.repeat("undone-loop", reader, { question: "x" }, { max: 2, compensate: onlyInput }), true);
  const staged = wf.stage("late", () => wf.node("staged", reader, { question: kind.result as never }));
  gives<Notes>()(staged, true);
  return { notes: read.result, end: end.result, skipped: skipping.result[0]!.notes };
});

type Output = NonNullable<NonNullable<typeof right.types>["output"]>;
export const output: Same<Output, { notes: Notes[]; end: string; skipped: string | undefined }> = true;

// names that an agent does not declare are its nodes' affair
const acts = agent({ name: "acts", input: z.object({ nodeId: z.string() }), output: z.enum(["continue", "restart", "fail"]), run: () => "continue" as const });
const open_ = agent({ name: "open", input: z.object({ q: z.string() }), output: z.string(), onError: () => ({ recover: "theirs" }), run: ({ q }) => q });
const closed = agent({ name: "closed", input: z.object({ q: z.string() }), output: z.string(), recovery: { acts }, onError: () => ({ recover: "acts" }), run: ({ q }) => q });
export const recovered = workflow({ name: "recovered", input: z.object({ q: z.string() }) }, (wf) => {
  const first = wf.node("first", open_, { q: wf.input.q }, { recovery: { theirs: acts } });
  return wf.node("second", closed, { q: first.result }).result;
});
