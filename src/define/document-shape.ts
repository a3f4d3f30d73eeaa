/**
 * What may stand in a document, in one place: what documents are checked by, and the JSON Schema that editors complete and
 * check them by. A document is checked part by part, so that its mistakes are told of the part they are in: nodes within a
 * part are whatever they are until it is their turn. In the JSON Schema they are spelt out.
 */
import { z } from "zod";
import { DURATION_FORM, DURATION_PATTERN, type Duration, isDuration } from "./duration.ts";
import { NAME } from "./name.ts";
import type { AttemptOptions, FinalWord } from "./policy.ts";

/** One reference and nothing else. */
const REFERENCE = /^\$\{[^}]+\}$/;
const FILE = /\.(ya?ml|json)$/;

/** Does it name a document of its own, rather than a workflow that is known here? */
export function isDocumentFile(name: string): boolean {
  return FILE.test(name);
}

const reference = (description: string) => z.string().regex(REFERENCE, 'it has to be one reference, for example "${plan.result.kind}"').describe(description);
/** Whether it can be read is asked here; what editors are told of it is `meta`. */
const duration = (description: string) =>
  z
    .union([z.number().meta({ exclusiveMinimum: 0 }), z.string().meta({ pattern: DURATION_PATTERN.source })], `it is no length of time: ${DURATION_FORM}`)
    .refine(isDuration, { error: ({ input }) => `${JSON.stringify(input)} is no length of time: ${DURATION_FORM}` })
    .describe(description) as unknown as z.ZodType<Duration>;
/** Names are checked where they are used, with an error of their own. */
const name = z.string().meta({ pattern: NAME.source });
const jsonSchema = (description: string) => z.record(z.string(), z.unknown()).describe(description);
const data = (description: string) => z.unknown().describe(`${description} References are written "\${node.result.path}".`);

const retry = z
  .strictObject({
    maxAttempts: z.int().min(1).describe("Attempts in all, the first included. Default 3.").optional(),
    initialInterval: duration("The wait before the second attempt. Default 1s.").optional(),
    backoffCoefficient: z.number().min(1).describe("What each further wait is multiplied by. Default 2.").optional(),
    maxInterval: duration("The longest wait. Default 60s.").optional(),
    jitter: z.enum(["full", "none"]).describe("'full' (default) draws each wait between 0 and its length.").optional(),
    nonRetryable: z.array(z.string()).describe("Names, codes or kinds of errors that are never tried again.").optional(),
  })
  .meta({ id: "retry", description: "When and how often a failed attempt is repeated." });

const rate = z
  .strictObject({
    window: z
      .union(
        [z.strictObject({ calls: z.int().min(1).max(1_000).describe("So many.") }), z.strictObject({ time: duration("So long.") })],
        "it has to be { calls: … } or { time: … }",
      )
      .describe("The newest calls, up to 1,000, or those of so long. Default 100 calls.")
      .optional(),
    failureRate: z.number().gt(0).max(1).describe("It opens when so large a part of them failed, up to 1. Default 0.5.").optional(),
    slowCallRate: z.number().gt(0).max(1).describe("It opens when so large a part of them was slow, up to 1.").optional(),
    slowCall: duration("A call that takes so long or longer is slow.").optional(),
    minimumCalls: z.int().min(1).describe("Fewer calls than this say nothing. Default 20.").optional(),
  })
  .describe("Opens it by parts of the newest calls, too.");

const breakerShape = z
  .strictObject({
    name: name.describe("Agents that name the same breaker share it. Default: the name of the agent.").optional(),
    failureThreshold: z.int().min(1).describe("It opens after so many failures without a success between them. Default 5.").optional(),
    openFor: duration("How long no call is let through, before one may try. Default 60s.").optional(),
    halfOpenMax: z.int().min(1).describe("How many may try at the same time. Default 1.").optional(),
    successThreshold: z.int().min(1).describe("It closes when so many have tried and succeeded. Default 2.").optional(),
    onOpen: z.enum(["fail", "wait"]).describe("While it is open attempts fail with kind circuitOpen (default), or wait.").optional(),
    rate: rate.optional(),
  })
  .meta({ id: "breaker", description: "A circuit breaker: what fails too often is left alone for a while." });

const breaker = z
  .union([z.literal(true).meta({ enum: [true] }), name, breakerShape], "it has to be true, a name, or { … }")
  .describe("A circuit breaker: true, its name to share it with other agents, or its numbers. Default: that of the workflow, or none.");

// ---- where agents and workflows come from

export const httpAgent = z
  .strictObject({
    http: z
      .strictObject({
        url: z
          .union(
            [
              z.string(),
              z.strictObject({
                env: z.string().describe("The environment variable, read when the agent is first called."),
                default: z.string().describe("Its address when the variable is not set.").optional(),
              }),
            ],
            "it has to be an address, or { env: NAME }",
          )
          .describe("Its address, or the environment variable that holds it."),
        headers: z.record(z.string(), z.string()).describe("Further request headers.").optional(),
      })
      .describe("Where it is reached."),
    input: jsonSchema("JSON Schema of what it takes; checked before each call.").optional(),
    output: jsonSchema("JSON Schema of what it gives; checked before the result is stored.").optional(),
    timeout: duration("The longest time of one attempt. Default 5m.").optional(),
    warnAfter: duration("People are warned of an attempt that takes longer; less than the timeout.").optional(),
    retry: retry.optional(),
    breaker: breaker.optional(),
    concurrency: z.int().min(1).describe("Attempts that run at once, of all runs and workers. Default: no such limit.").optional(),
    uses: z.record(name, z.int().min(1)).describe("What an attempt uses of what is limited, by its name: an estimate.").optional(),
    queueTimeout: duration("An attempt that waits longer for what it uses fails. Default: it waits as long as it takes.").optional(),
  })
  .describe("A service: it gets the input as a JSON POST, and answers with the result as JSON.");

const fromModule = (what: string) =>
  z
    .strictObject({
      module: z.string().describe("A path relative to this document, or a package."),
      export: z.string().describe("Default: the name that it has here.").optional(),
    })
    .describe(`${what} that a module exports.`);
export const moduleAgent = fromModule("An agent");
export const moduleWorkflow = fromModule("A workflow");

// ---- nodes

const agent = z.string().describe("The agent that is called.");
const workflow = z.string().describe("The workflow that is run, as a run of its own: a name of `workflows`, or the path of a document.");
/** What is called. */
type Callee = { readonly agent?: z.ZodType<string | undefined>; readonly workflow?: z.ZodType<string | undefined> };
const waits = {
  after: z.array(z.string()).describe("Nodes to wait for without using their result.").optional(),
  stage: name.describe("A label; nodes of a choice have that of the choice unless they have one of their own.").optional(),
};
const onWarn = (description: string) => z.array(z.string()).describe(description);
const recovery = z
  .record(name, z.string())
  .describe(
    "Recovery actions: agents by the names that `onWarn`, or what an agent says of its errors, calls them by. Each says 'continue', 'restart' or 'fail'.",
  );
const attempts = {
  timeout: duration("The longest time of one attempt. Default: that of the agent, or 5m.").optional(),
  warnAfter: duration("People are warned of an attempt that takes longer; less than the timeout.").optional(),
  onWarn: onWarn("Recovery actions that then run beside the attempt, one after the other: 'restart' and 'fail' give it up.").optional(),
  heartbeat: duration("An attempt that reports no progress for so long has failed.").optional(),
  healthCheck: z
    .union([z.literal(true), name], "it has to be true, or the name of a check")
    .describe("The check that is asked before each attempt: the agent's own (true), or one of those that the worker is given, by its name.")
    .optional(),
  retry: retry.optional(),
};

/** What follows a failure: another agent by its name, or the final word. */
export type WrittenOnFail = FinalWord | WrittenAlternative;
export interface WrittenAlternative extends AttemptOptions {
  readonly use: string;
  readonly onFail?: WrittenOnFail | undefined;
}

const finalWord = z.enum(["block", "skip", "compensate"]);
const onFail: z.ZodType<WrittenOnFail> = z
  .lazy(() => z.union([finalWord, alternative], "it has to be 'block', 'skip', 'compensate' or { use: AGENT }"))
  .describe("When its attempts are used up: 'block' its dependents (default), 'skip' it, let another agent take over, or 'compensate': undo what was done.");
const alternative: z.ZodType<WrittenAlternative> = z
  .strictObject({ use: z.string().describe("The agent that takes over: it is given the same."), ...attempts, onFail: onFail.optional() })
  .meta({ id: "alternative", description: "Another agent takes over; dependents read its result." });

const tried = {
  ...waits,
  ...attempts,
  onFail: onFail.optional(),
  recovery: recovery.optional(),
  compensate: z.string().describe("The agent that undoes what it has done, when the run is unwound or cancelled.").optional(),
};

export const NODE_KEYS = ["map", "repeat", "when", "route", "event", "resultOf"] as const;
export type WrittenKind = "call" | (typeof NODE_KEYS)[number];

/** The shape of each kind of node; `node` is what stands for the nodes within, `names` begins the names of what calls. */
function nodeShapes<C extends Callee>(node: z.ZodType, callee: C, names = "") {
  const way = z
    .strictObject({
      nodes: z.record(name, node).describe("What runs when this way is taken.").optional(),
      result: data("The result of the choice when this way is taken.").optional(),
    })
    .meta({ id: "way", description: "One way of a choice." });
  return {
    call: z
      .strictObject({ ...callee, input: data("What it is given.").optional(), ...tried })
      .meta({ id: `${names}call`, description: "One call of an agent, or one run of a workflow." }),
    map: z
      .strictObject({
        map: z.union([reference("The list."), z.array(z.unknown())], "it has to be a list, or a reference to one").describe("A list, or a reference to one."),
        ...callee,
        input: data('What each item is given: "${item}" is the item, "${index}" its position.').optional(),
        concurrency: z.int().min(1).describe("At most so many items at once. Default: no limit of its own.").optional(),
        ...tried,
      })
      .meta({ id: `${names}map`, description: "One call for each item of a list; the result is the list of their results." }),
    repeat: z
      .strictObject({
        repeat: z
          .strictObject({
            max: z.int().min(1).describe("At most so many rounds; the last one is the result, enough or not."),
            until: reference('The loop ends when this is true of the last round, "${last.good}".').optional(),
            next: data('What each further round is given: "${last}" is what the last one gave. Default: what the first was given.').optional(),
          })
          .describe("When the loop ends, and how it goes on."),
        ...callee,
        input: data("What the first round is given.").optional(),
        ...tried,
      })
      .meta({ id: `${names}repeat`, description: "Calls one after the other, until it is enough; the result is that of the last round." }),
    when: z
      // oxlint-disable-next-line unicorn/no-thenable -- it holds a shape, and is never awaited
      .strictObject({ when: reference("What it goes by: true is neither false, 0, '' nor missing."), then: way, else: way.optional(), ...waits })
      .meta({ id: "when", description: "One of two ways." }),
    route: z
      .strictObject({
        route: reference("The name of the way."),
        ways: z.record(z.string(), way).describe("The ways by their names."),
        otherwise: way.describe("The way for every other name. Without it none is taken, and the result is undefined.").optional(),
        ...waits,
      })
      .meta({ id: "route", description: "One way of several, by name." }),
    event: z
      .strictObject({
        event: jsonSchema("JSON Schema of the event's fields, which are the result. `{}` takes any."),
        ...waits,
        onFail: finalWord.describe("When the timeout strikes: 'block' its dependents (default), 'skip' it, or 'compensate': undo what was done.").optional(),
        timeout: duration("How long it is waited for. Default: without end.").optional(),
      })
      .meta({ id: "event", description: "Waits for an event that a person or a program sends, by the name of the node." }),
    resultOf: z
      .strictObject({
        resultOf: z.string().describe("The id of the run."),
        workflow: z.string().describe("The workflow that it is a run of: a name of `workflows`, or the path of a document."),
        ...tried,
      })
      .meta({ id: "resultOf", description: "Waits for the end of a run that was started elsewhere; its output is the result." }),
  };
}

// ---- documents

const ladder = {
  recovery: recovery.optional(),
  onWarn: onWarn("Recovery actions that are called after the warning, one after the other; at most ten.").optional(),
};
const stage = z
  .strictObject({
    timeout: duration("The longest time of the stage: what has not ended then fails. Default: none.").optional(),
    warnAfter: duration("People are warned of a stage that takes longer; less than the timeout.").optional(),
    healthCheck: name.describe("The health check of those of its nodes that say nothing of their own.").optional(),
    ...ladder,
  })
  .meta({ id: "stage", description: "Nodes that share a timeout, from the beginning of the first; in time in which the run could work." });

function documentShapes(node: z.ZodType, agent: z.ZodType, workflow: z.ZodType) {
  const body = {
    description: z.string().describe("What it does, for people.").optional(),
    input: jsonSchema("JSON Schema of what a run is given; checked at start.").optional(),
    timeout: duration("The longest time in which a run could work. Default 30m.").optional(),
    onTimeout: z.enum(["partial", "abort"]).describe("At the timeout: end `timedOut` with the results (default), or end `failed`.").optional(),
    breaker: breaker.describe("The circuit breaker of each agent that has none of its own; with a name they share it. Default: none.").optional(),
    warnAfter: duration("People are warned of a run that could work for longer; less than the timeout.").optional(),
    ...ladder,
    stages: z.record(name, stage).describe("Stages with a timeout, a warning or recovery actions, by the names that nodes give.").optional(),
    nodes: z.record(name, node).describe("The nodes by their ids, which are unique in the whole workflow."),
    output: data("What a run gives.").optional(),
  };
  return {
    inner: z.strictObject(body).meta({ id: "workflow", description: "A workflow that is written here, to be run by nodes." }),
    document: z
      .strictObject({
        $schema: z.string().describe("The JSON Schema that an editor checks this document by.").optional(),
        name: name.describe("1 to 128 of A-Z a-z 0-9 . _ -"),
        ...body,
        agents: z.record(name, agent).describe("Agents by the names that nodes call them by.").optional(),
        workflows: z.record(name, workflow).describe("Workflows by the names that nodes run them by.").optional(),
      })
      .meta({ title: "pawl workflow", description: "A durable workflow of agents: which nodes there are, and what each is given." }),
  };
}

/** By which nodes are checked, each alone. */
export const NODE_SHAPES = nodeShapes(z.unknown(), { agent: agent.optional(), workflow: workflow.optional() });
export const { inner: innerShape, document: documentShape } = documentShapes(z.unknown(), z.unknown(), z.unknown());

export type DocumentShape = z.infer<typeof documentShape>;
export type InnerShape = z.infer<typeof innerShape>;
export type WrittenNode<K extends WrittenKind> = z.infer<(typeof NODE_SHAPES)[K]>;
export type Way = WrittenNode<"when">["then"];

/** The JSON Schema of documents, for editors: `# yaml-language-server: $schema=…`. */
export function documentJsonSchema(): object {
  const node: z.ZodType = z.lazy(() => {
    const { call, map, repeat } = nodeShapes(node, { workflow }, "workflow-");
    return z.union([...Object.values(nodeShapes(node, { agent }, "agent-")), call, map, repeat]).meta({ id: "node" });
  });
  const anyAgent = z.union([moduleAgent, httpAgent]);
  const inner: z.ZodType = z.lazy(() => z.union([moduleWorkflow, documentShapes(node, anyAgent, inner).inner]));
  return z.toJSONSchema(documentShapes(node, anyAgent, inner).document, { io: "input" });
}
