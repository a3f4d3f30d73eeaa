/**
 * Maps, loops, choices, events and runs of workflows in documents: each the same plan as its twin in TypeScript, each
 * mistake told with its place, and all of them checked by the JSON Schema that editors are given.
 */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { type Agent, agent } from "../../src/define/agent.ts";
import type { DocumentOptions } from "../../src/define/document.ts";
import { documentSchema, parseWorkflow } from "../../src/define/parse.ts";
import { eventSchemas, planChanges } from "../../src/define/plan-structure.ts";
import { planOfStructure } from "../../src/define/stored-plan.ts";
import { type Workflow, type WorkflowBuilder, workflow } from "../../src/define/workflow.ts";
import { MachineRoom, anyAgent, anyWorkflow } from "../sim/machine-room.ts";
import { playedToTheEnd } from "../sim/played-to-the-end.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const echo = anyAgent("echo", (input) => input);
const [spare, last, undo] = ["spare", "last", "undo"].map((name) => anyAgent(name, (input) => input)) as [Agent, Agent, Agent];
const other = anyWorkflow("other", (wf) => wf.node("n", echo, wf.input).result);
const read = (text: string, options: Partial<DocumentOptions> = {}): Promise<Workflow> =>
  parseWorkflow(text, { file: "flow.yaml", agents: [echo, spare, last, undo], workflows: [other], ...options });
const schema = z.fromJSONSchema((await documentSchema()) as never);

/** Of a document with these nodes. */
const nodesOf = (nodes: string): string => `name: flow\nnodes:\n${nodes}`;

const TWINS: [what: string, nodes: string, define: (wf: WorkflowBuilder<any>) => unknown][] = [
  [
    "a map",
    `
  plan: { agent: echo }
  reads: { map: "\${plan.result.questions}", agent: echo, input: { question: "\${item.text}", at: "\${index}", all: "\${plan.result}" }, concurrency: 5, onFail: skip }
`,
    (wf) => {
      const plan = wf.node("plan", echo, {});
      wf.map("reads", plan.result.questions, echo, (item, index) => ({ question: item.text, at: index, all: plan.result }), { concurrency: 5, onFail: "skip" });
    },
  ],
  [
    "a map of a list that is written out, and of a workflow",
    `
  reads: { map: [1, "\${input.two}"], workflow: other, input: "\${item}" }
`,
    (wf) => void wf.map("reads", [1, wf.input.two], other, (item) => item),
  ],
  [
    "a loop",
    `
  refine:
    repeat: { until: "\${last.good}", max: 5, next: { text: "\${last.text}", of: "\${input.of}" } }
    agent: echo
    input: { text: "\${input.text}" }
    retry: { maxAttempts: 2 }
`,
    (wf) =>
      void wf.repeat(
        "refine",
        echo,
        { text: wf.input.text },
        { until: (last) => last.good, next: (last) => ({ text: last.text, of: wf.input.of }), max: 5, retry: { maxAttempts: 2 } },
      ),
  ],
  [
    "a loop whose rounds are all given the same",
    `  poll: { repeat: { max: 3 }, agent: echo, input: { q: 1 } }`,
    (wf) => void wf.repeat("poll", echo, { q: 1 }, { max: 3 }),
  ],
  [
    "a choice of two ways",
    `
  review: { agent: echo }
  good:
    when: "\${review.result.approved}"
    after: [review]
    then:
      nodes:
        merge: { agent: echo, input: { of: "\${review.result.id}" } }
        note: { agent: echo, after: [merge] }
      result: { by: "\${merge.result.by}", text: "merged: \${note.result}" }
    else: { result: refused }
  end: { agent: echo, input: "\${good.result}" }
`,
    (wf) => {
      const review = wf.node("review", echo, {});
      const good = wf.when(
        "good",
        review.result.approved,
        () => {
          const merge = wf.node("merge", echo, { of: review.result.id });
          const note = wf.node("note", echo, {}, { after: [merge] });
          return { by: merge.result.by, text: `merged: ${note.result}` };
        },
        () => "refused",
        { after: [review] },
      );
      wf.node("end", echo, good.result);
    },
  ],
  [
    "a choice of one way that results in nothing",
    `  tell: { when: "\${input.loud}", then: { nodes: { shout: { agent: echo } } } }`,
    (wf) => void wf.when("tell", wf.input.loud, () => void wf.node("shout", echo, {})),
  ],
  [
    "routes, with a choice within",
    `
  kind:
    route: "\${input.kind}"
    ways:
      bug:
        nodes:
          urgent: { when: "\${input.urgent}", then: { nodes: { now: { agent: echo } }, result: "\${now.result}" }, else: {} }
        result: "\${urgent.result}"
      question: { nodes: { reply: { agent: echo } }, result: "\${reply.result}" }
    otherwise: { nodes: { drop: { agent: echo } } }
`,
    (wf) =>
      void wf.route(
        "kind",
        wf.input.kind,
        {
          bug: () =>
            wf.when(
              "urgent",
              wf.input.urgent,
              () => wf.node("now", echo, {}).result,
              () => undefined,
            ).result,
          question: () => wf.node("reply", echo, {}).result,
        },
        () => void wf.node("drop", echo, {}),
      ),
  ],
  [
    "an event",
    `
  draft: { agent: echo }
  approval:
    event: { type: object, properties: { approved: { type: boolean }, by: { type: string } }, required: [approved] }
    after: [draft]
    timeout: 2d
    onFail: skip
`,
    (wf) => {
      const draft = wf.node("draft", echo, {});
      wf.event("approval", z.object({ approved: z.boolean(), by: z.string().optional() }), { after: [draft], timeout: "2d", onFail: "skip" });
    },
  ],
  ["an event of any fields", `  go: { event: {} }`, (wf) => void wf.event("go", z.any())],
  [
    "what follows failures, and what undoes what was done, on every kind of node that takes them",
    `
  call: { agent: echo, compensate: undo, onFail: { use: spare, retry: { maxAttempts: 1 }, timeout: 5s, heartbeat: 1s, onFail: { use: last, onFail: skip } } }
  map: { map: [1], workflow: other, input: "\${item}", compensate: undo, onFail: { use: spare } }
  repeat: { repeat: { max: 2 }, agent: echo, compensate: undo, onFail: { use: spare, onFail: compensate } }
  run: { workflow: other, compensate: undo, onFail: { use: spare, onFail: block } }
  there: { resultOf: "\${input.run}", workflow: other, compensate: undo, onFail: { use: spare, retry: { maxAttempts: 9 } } }
  event: { event: {}, timeout: 1h, onFail: compensate }
  pick: { when: "\${input.x}", then: { nodes: { inner: { agent: echo, compensate: undo, onFail: compensate } } } }
`,
    (wf) => {
      const ends = { onFail: { use: last, onFail: "skip" } } as const;
      wf.node("call", echo, {}, { compensate: undo, onFail: { use: spare, retry: { maxAttempts: 1 }, timeout: "5s", heartbeat: "1s", ...ends } });
      wf.map("map", [1], other, (item) => item, { compensate: undo, onFail: { use: spare } });
      wf.repeat("repeat", echo, {}, { max: 2, compensate: undo, onFail: { use: spare, onFail: "compensate" } });
      wf.run("run", other, {}, { compensate: undo, onFail: { use: spare, onFail: "block" } });
      wf.resultOf("there", other, wf.input.run, { compensate: undo, onFail: { use: spare, retry: { maxAttempts: 9 } } });
      wf.event("event", z.any(), { timeout: "1h", onFail: "compensate" });
      wf.when("pick", wf.input.x, () => void wf.node("inner", echo, {}, { compensate: undo, onFail: "compensate" }));
    },
  ],
  [
    "runs of workflows, its own and others'",
    `
  part: { workflow: other, input: { n: 1 }, timeout: 1h }
  there: { resultOf: "\${input.run}", workflow: other, onFail: skip }
`,
    (wf) => {
      wf.run("part", other, { n: 1 }, { timeout: "1h" });
      wf.resultOf("there", other, wf.input.run, { onFail: "skip" });
    },
  ],
  [
    "stages, also around choices, and a heartbeat",
    `
  plan: { agent: echo, stage: think, heartbeat: 10s }
  pick:
    stage: work
    when: "\${plan.result}"
    then:
      nodes: { a: { agent: echo }, b: { agent: echo, stage: deep } }
  end: { agent: echo }
`,
    (wf) => {
      const plan = wf.stage("think", () => wf.node("plan", echo, {}, { heartbeat: "10s" }));
      wf.stage("work", () =>
        wf.when("pick", plan.result, () => {
          wf.node("a", echo, {});
          wf.stage("deep", () => wf.node("b", echo, {}));
        }),
      );
      wf.node("end", echo, {});
    },
  ],
  [
    "recovery actions of nodes, of agents that take over, and of stages",
    `
  a: { agent: echo, warnAfter: 1m, recovery: { save: spare, redo: last }, onWarn: [save, redo], onFail: { use: spare, warnAfter: 2m, onWarn: [redo] } }
  b: { map: [1], agent: echo, stage: deep, warnAfter: 1m, recovery: { redo: spare }, onWarn: [save, redo] }
stages: { deep: { timeout: 10m, warnAfter: 5m, recovery: { save: last, redo: last }, onWarn: [redo, save] } }
`,
    (wf) => {
      const onFail = { use: spare, warnAfter: "2m", onWarn: ["redo"] } as const;
      wf.node("a", echo, {}, { warnAfter: "1m", recovery: { save: spare, redo: last }, onWarn: ["save", "redo"], onFail });
      const ladder = { timeout: "10m", warnAfter: "5m", recovery: { save: last, redo: last }, onWarn: ["redo", "save"] } as const;
      wf.stage("deep", ladder, () => wf.map("b", [1], echo, () => ({}), { warnAfter: "1m", recovery: { redo: spare }, onWarn: ["save", "redo"] }));
    },
  ],
];

describe("a document and its twin in TypeScript", () => {
  test.each(TWINS)("%s is the same plan", async (_, nodes, define) => {
    const { plan } = await read(nodesOf(nodes));
    const twin = anyWorkflow("flow", (wf) => (define(wf), {})).plan;
    expect(planChanges(twin.structureText, plan.structureText)).toEqual([]);
    expect(plan.structureText).toBe(twin.structureText);
    const called = ({ nodes: all }: typeof plan) =>
      all.map(({ policy, concurrency, agent: { work }, ...rest }) => {
        const { alternatives, compensate, recovery } = rest;
        return { policy, concurrency, work, alternatives, compensate, recovery };
      });
    expect(called(plan)).toEqual(called(twin));
    expect(plan.stages).toEqual(twin.stages);
    expect(planOfStructure(plan.structureText).structureText === plan.structureText || eventSchemas(plan.structureText).size > 0).toBe(true);
  });

  test("what an event is stored with is what was written", async () => {
    const { plan } = await read(nodesOf('  go: { event: { type: string, description: "a word" } }'));
    expect(eventSchemas(plan.structureText).get("go")).toMatchObject({ type: "string", description: "a word" });
    expect(await plan.nodes[0]!.agent.output["~standard"].validate(5)).toHaveProperty("issues");
  });
});

describe("workflows of a document", () => {
  const INNER = `
name: flow
workflows:
  round:
    input: { type: object, properties: { text: { type: string } }, required: [text] }
    nodes:
      edit: { agent: echo, input: { text: "\${input.text}!", enough: "\${input.enough}" } }
      twice: { workflow: shout, input: "\${edit.result}" }
    output: { text: "\${twice.result.text}", enough: "\${edit.result.enough}" }
  shout: { nodes: { say: { agent: echo, input: "\${input}" } }, output: "\${say.result}", timeout: 5m }
nodes:
  loop:
    repeat: { max: 3, next: { text: "\${last.text}", enough: true }, until: "\${last.enough}" }
    workflow: round
    input: { text: hey }
output: "\${loop.result.text}"
`;

  test("can be written in it, and run each other", async () => {
    const room = new MachineRoom();
    const flow = await read(INNER);
    const { pawl } = await room.boot([flow]);
    const run = await room.settled(pawl.start(flow, { id: "r", input: {} }));
    expect(await room.settled(run.result())).toBe("hey!!");
    expect((await pawl.list({})).map(({ id }) => id).sort()).toEqual(["r", "r/loop[0]", "r/loop[0]/twice", "r/loop[1]", "r/loop[1]/twice"]);
    const round = flow.plan.nodes[0]!.agent;
    expect(await round.input["~standard"].validate({})).toHaveProperty("issues");
  });

  test("can come from modules and from other documents, which are asked for once", async () => {
    const asked: string[] = [];
    const importModule = async (name: string): Promise<Record<string, unknown>> => (asked.push(name), { mine: other });
    const importWorkflow = async (name: string): Promise<Workflow> => (asked.push(name), other);
    const text = `name: flow\nworkflows: { part: { module: ./flows.ts, export: mine } }\nnodes:\n  a: { workflow: part }\n  b: { workflow: ./other.yaml }\n  c: { when: "\${input}", then: { nodes: { d: { workflow: ./other.yaml } } } }`;
    const { plan } = await read(text, { importModule, importWorkflow });
    expect(asked).toEqual(["./flows.ts", "./other.yaml"]);
    expect(plan.nodes.map(({ agent: { name } }) => name)).toEqual(["other", "other", "when", "other"]);
    await expect(read(text, { importWorkflow })).rejects.toMatchObject({ code: "PAWL_DEFINITION_MISSING", at: "flow.yaml:2:20" });
    await expect(read(text, { importModule })).rejects.toMatchObject({ code: "PAWL_DEFINITION_MISSING", at: "flow.yaml:5:18" });
    await expect(read(text, { importModule: async () => ({ mein: other }) })).rejects.toMatchObject({
      code: "PAWL_DEFINITION_MISSING",
      message: expect.stringContaining('did you mean "mein"?') as string,
    });
  });
});

const CHOICE = `  c: { when: "\${input.x}", then: { nodes: { a: { agent: echo } } } }`;

const MISTAKES: [what: string, text: string, code: string, at: string, message: string][] = [
  [
    "a map's item outside of a map",
    nodesOf('  a: { agent: echo, input: "${item.x}" }'),
    "PAWL_UNKNOWN_REFERENCE",
    ":3:28",
    "${item.x} is known only in what the items of a map",
  ],
  ["an item in the list of its map", nodesOf('  a: { agent: echo, map: "${item}" }'), "PAWL_UNKNOWN_REFERENCE", ":3:26", "${item} is known only"],
  [
    "a last round in the first",
    nodesOf('  a: { repeat: { max: 2 }, agent: echo, input: { x: "${last}" } }'),
    "PAWL_UNKNOWN_REFERENCE",
    ":3:53",
    "${last} is known only",
  ],
  ["a last round in a map", nodesOf('  a: { map: [], agent: echo, input: "${last}" }'), "PAWL_UNKNOWN_REFERENCE", ":3:37", "a repeat"],
  [
    "an unknown node in what further rounds are given",
    nodesOf('  a: { repeat: { max: 2, next: { x: "${b.result}" } }, agent: echo }'),
    "PAWL_UNKNOWN_REFERENCE",
    ":3:37",
    'no node "b"',
  ],
  ["an unknown node in an until", nodesOf('  a: { repeat: { max: 2, until: "${b.result}" }, agent: echo }'), "PAWL_UNKNOWN_REFERENCE", ":3:33", 'no node "b"'],
  ["an unknown node in a condition", nodesOf('  a: { when: "${b.result}", then: {} }'), "PAWL_UNKNOWN_REFERENCE", ":3:14", 'no node "b"'],
  [
    "an unknown node in the result of a way",
    nodesOf('  a: { when: "${input}", then: { result: ["${b.result}"] } }'),
    "PAWL_UNKNOWN_REFERENCE",
    ":3:43",
    'no node "b"',
  ],
  [
    "an unknown node in the result of a named way",
    nodesOf('  a: { route: "${input}", ways: { x: { result: "${b.result}" } } }'),
    "PAWL_UNKNOWN_REFERENCE",
    ":3:48",
    'no node "b"',
  ],
  [
    "an unknown node in the result of otherwise",
    nodesOf('  a: { route: "${input}", ways: {}, otherwise: { result: "${b.result}" } }'),
    "PAWL_UNKNOWN_REFERENCE",
    ":3:58",
    'no node "b"',
  ],
  ["an unknown node in a run's id", nodesOf('  a: { resultOf: "${b.result}", workflow: other }'), "PAWL_UNKNOWN_REFERENCE", ":3:18", 'no node "b"'],
  [
    "a mistake within a way",
    nodesOf('  a: { when: "${input}", then: { nodes: { b: { agent: ecko } } } }'),
    "PAWL_UNKNOWN_AGENT",
    ":3:55",
    'did you mean "echo"?',
  ],
  ["a node of a way that is there already", nodesOf(`${CHOICE}\n  a: { agent: echo }`), "PAWL_DUPLICATE_ID", ":4:6", '"a"'],
  [
    "a member that its choice waits for",
    nodesOf('  a: { when: "${b.result}", then: { nodes: { b: { agent: echo } } } }'),
    "PAWL_DEFINITION_CYCLE",
    ":3:49",
    "b → b",
  ],
  ["two things at once", nodesOf("  a: { map: [1], repeat: { max: 1 }, agent: echo }"), "PAWL_INVALID_VALUE", ":3:26", "both `map` and `repeat`"],
  ["an agent and a workflow", nodesOf("  a: { agent: echo, workflow: other }"), "PAWL_INVALID_VALUE", ":3:31", "an agent and a workflow"],
  ["a map that calls nothing", nodesOf("  a: { map: [1] }"), "PAWL_MISSING_FIELD", ":3:6", "no agent and no workflow"],
  ["a node that is undone by nobody known", nodesOf("  a: { agent: echo, compensate: undoo }"), "PAWL_UNKNOWN_AGENT", ":3:33", 'did you mean "undo"?'],
  ["an alternative that nobody knows", nodesOf("  a: { agent: echo, onFail: { use: spear } }"), "PAWL_UNKNOWN_AGENT", ":3:36", 'no agent "spear"'],
  [
    "one further down the chain",
    nodesOf("  a: { agent: echo, onFail: { use: spare, onFail: { use: lost } } }"),
    "PAWL_UNKNOWN_AGENT",
    ":3:58",
    'did you mean "last"?',
  ],
  ["an alternative without an agent", nodesOf("  a: { agent: echo, onFail: { retry: {} } }"), "PAWL_MISSING_FIELD", ":3:29", "onFail.use"],
  ["an alternative that is misspelt", nodesOf("  a: { agent: echo, onFail: { usee: spare } }"), "PAWL_INVALID_VALUE", ":3:37", 'did you mean "use"?'],
  [
    "a retry of an alternative that is misspelt",
    nodesOf("  a: { agent: echo, onFail: { use: spare, retry: { jiter: full } } }"),
    "PAWL_INVALID_VALUE",
    ":3:59",
    'did you mean "jitter"?',
  ],
  ["a final word that is none", nodesOf("  a: { agent: echo, onFail: explode }"), "PAWL_INVALID_VALUE", ":3:29", "'compensate' or { use: AGENT }"],
  [
    "a final word further down that is none",
    nodesOf("  a: { agent: echo, onFail: { use: spare, onFail: explode } }"),
    "PAWL_INVALID_VALUE",
    ":3:51",
    "'compensate' or { use: AGENT }",
  ],
  [
    "a chain that is too long",
    nodesOf(`  a: { agent: echo, onFail: ${"{ use: spare, onFail: ".repeat(10)}skip${" }".repeat(10)} }`),
    "PAWL_INVALID_VALUE",
    ":3:29",
    "more than 10 agents",
  ],
  ["an event that another agent waits for", nodesOf("  a: { event: {}, onFail: { use: spare } }"), "PAWL_INVALID_VALUE", ":3:27", "a.onFail"],
  ["a choice that is undone", nodesOf('  a: { when: "${input}", then: {}, compensate: undo }'), "PAWL_INVALID_VALUE", ":3:48", "`resultOf`"],
  ["nothing that is known", nodesOf("  a: { agnet: echo }"), "PAWL_MISSING_FIELD", ":3:6", 'did you mean "agent"?'],
  ["a node that is text", nodesOf("  a: echo"), "PAWL_INVALID_VALUE", ":3:6", "nodes.a"],
  ["a node that is nothing", nodesOf("  a:"), "PAWL_INVALID_VALUE", ":3:5", "nodes.a"],
  ["a field of a map on a call", nodesOf("  a: { agent: echo, concurrency: 5 }"), "PAWL_INVALID_VALUE", ":3:34", "it is one of `map`"],
  ["an agent of a choice", nodesOf('  a: { when: "${input}", then: {}, agent: echo }'), "PAWL_INVALID_VALUE", ":3:43", "it is one of `call`"],
  ["a field of a way that is misspelt", nodesOf('  a: { when: "${input}", then: { reslut: 1 } }'), "PAWL_INVALID_VALUE", ":3:42", 'did you mean "result"?'],
  ["a loop without an end", nodesOf('  a: { repeat: { until: "${last}" }, agent: echo }'), "PAWL_MISSING_FIELD", ":3:16", "repeat.max"],
  ["a loop of no rounds", nodesOf("  a: { repeat: { max: 0 }, agent: echo }"), "PAWL_INVALID_VALUE", ":3:23", "repeat.max"],
  ["half an item at once", nodesOf("  a: { map: [], agent: echo, concurrency: 0.5 }"), "PAWL_INVALID_VALUE", ":3:43", "concurrency"],
  ["a map of text", nodesOf("  a: { map: all of them, agent: echo }"), "PAWL_INVALID_VALUE", ":3:13", "one reference"],
  ["a map of a number", nodesOf("  a: { map: 5, agent: echo }"), "PAWL_INVALID_VALUE", ":3:13", "a list, or a reference to one"],
  ["a condition that is computed", nodesOf('  a: { when: "${input.n} > 3", then: {} }'), "PAWL_INVALID_VALUE", ":3:14", "one reference"],
  ["a condition without a way", nodesOf('  a: { when: "${input}" }'), "PAWL_MISSING_FIELD", ":3:6", "then"],
  ["a route without ways", nodesOf('  a: { route: "${input}" }'), "PAWL_MISSING_FIELD", ":3:6", "ways"],
  ["a way without a name", nodesOf('  a: { route: "${input}", ways: { "": {} } }'), "PAWL_INVALID_ID", ":3:39", 'named ""'],
  ["a way with a name of its own kind", nodesOf('  a: { route: "${input}", ways: { __proto__: {} } }'), "PAWL_INVALID_ID", ":3:46", "__proto__"],
  ["a node with a name of its own kind", nodesOf("  __proto__: { agent: echo }"), "PAWL_INVALID_ID", ":3:14", "reserved"],
  ["an event that is no schema", nodesOf("  a: { event: { type: nonsense } }"), "PAWL_INVALID_VALUE", ":3:15", "JSON Schema"],
  [
    "an event that is tried again",
    nodesOf("  a: { event: {}, retry: { maxAttempts: 2 } }"),
    "PAWL_INVALID_VALUE",
    ":3:26",
    "`call`, `map`, `repeat`, `resultOf`",
  ],
  ["an event of no time", nodesOf("  a: { event: {}, timeout: 0 }"), "PAWL_INVALID_VALUE", ":3:28", "0 is no length of time"],
  ["a timeout that is neither text nor a number", nodesOf("  a: { agent: echo, timeout: [5s] }"), "PAWL_INVALID_VALUE", ":3:30", "write it as '500ms'"],
  ["a wait of apples", nodesOf("  a: { agent: echo, retry: { maxInterval: 5 apples } }"), "PAWL_INVALID_VALUE", ":3:43", '"5 apples" is no length'],
  ["half an attempt", nodesOf("  a: { agent: echo, retry: { maxAttempts: 0.5 } }"), "PAWL_INVALID_VALUE", ":3:43", "nodes.a.retry.maxAttempts"],
  ["a loop whose bound is misspelt", nodesOf("  a: { repeat: { maxx: 3 }, agent: echo }"), "PAWL_INVALID_VALUE", ":3:24", 'did you mean "max"?'],
  ["a field of a retry that is misspelt", nodesOf("  a: { agent: echo, retry: { jiter: full } }"), "PAWL_INVALID_VALUE", ":3:37", 'did you mean "jitter"?'],
  ["an agent whose service is misspelt", "name: f\nagents: { a: { htpp: { url: x } } }\nnodes: {}", "PAWL_INVALID_VALUE", ":2:22", 'did you mean "http"?'],
  [
    "an agent whose variable is misspelt",
    "name: f\nagents: { a: { http: { url: { envv: X } } } }\nnodes: {}",
    "PAWL_INVALID_VALUE",
    ":2:37",
    'did you mean "env"?',
  ],
  ["an agent without an address", "name: f\nagents: { a: { http: {} } }\nnodes: {}", "PAWL_MISSING_FIELD", ":2:22", "agents.a.http.url"],
  ["an address that is a number", "name: f\nagents: { a: { http: { url: 5 } } }\nnodes: {}", "PAWL_INVALID_VALUE", ":2:29", "an address, or { env: NAME }"],
  ["a timeout of an agent from a module", "name: f\nagents: { a: { module: ./a.ts, timeout: 5s } }\nnodes: {}", "PAWL_INVALID_VALUE", ":2:41", '"timeout"'],
  ["an agent with a space", "name: f\nagents: { a b: { module: ./a.ts } }\nnodes: {}", "PAWL_INVALID_ID", ":2:16", "agent name"],
  ["a stage with a space", nodesOf("  a: { agent: echo, stage: a b }"), "PAWL_INVALID_ID", ":3:28", "stage name"],
  ["an unknown workflow", nodesOf("  a: { workflow: othre }"), "PAWL_DEFINITION_MISSING", ":3:18", 'did you mean "other"?'],
  [
    "an unknown workflow within a way",
    nodesOf('  a: { route: "${input}", ways: { x: { nodes: { b: { workflow: othre } } } } }'),
    "PAWL_DEFINITION_MISSING",
    ":3:64",
    'did you mean "other"?',
  ],
  [
    "workflows that run each other",
    "name: f\nworkflows:\n  a: { nodes: { x: { workflow: b } } }\n  b: { nodes: { x: { workflow: a } } }\nnodes: {}",
    "PAWL_DEFINITION_CYCLE",
    ":4:32",
    "a → b → a",
  ],
  [
    "a mistake in a workflow that nobody runs",
    "name: f\nworkflows:\n  a: { nodes: { x: { agent: ecko } } }\nnodes: {}",
    "PAWL_UNKNOWN_AGENT",
    ":3:29",
    '"ecko"',
  ],
  ["a workflow with a name of its own", "name: f\nworkflows:\n  a: { name: b, nodes: {} }\nnodes: {}", "PAWL_INVALID_VALUE", ":3:14", "name"],
  ["a recovery action by nobody known", nodesOf("  a: { agent: echo, recovery: { save: undoo } }"), "PAWL_UNKNOWN_AGENT", ":3:39", 'did you mean "undo"?'],
  ["a recovery action with a reserved name", nodesOf("  a: { agent: echo, recovery: { prototype: echo } }"), "PAWL_INVALID_ID", ":3:44", "reserved"],
  [
    "a recovery action that is not declared",
    nodesOf("  a: { agent: echo, warnAfter: 1m, recovery: { save: undo }, onWarn: [save, saev] }"),
    "PAWL_UNKNOWN_RECOVERY",
    ":3:77",
    'no recovery action "saev"; did you mean "save"?',
  ],
  [
    "a recovery action that one who takes over lacks",
    nodesOf("  a: { agent: echo, onFail: { use: spare, warnAfter: 1m, onWarn: [save] } }"),
    "PAWL_UNKNOWN_RECOVERY",
    ":3:67",
    "none is declared",
  ],
  [
    "a recovery action of a stage by nobody known",
    `${nodesOf("  a: { agent: echo, stage: s }")}\nstages: { s: { recovery: { save: undoo } } }`,
    "PAWL_UNKNOWN_AGENT",
    ":4:34",
    'did you mean "undo"?',
  ],
  [
    "a recovery action that a stage does not declare",
    `${nodesOf("  a: { agent: echo, stage: s }")}\nstages: { s: { warnAfter: 1m, onWarn: [save] } }`,
    "PAWL_UNKNOWN_RECOVERY",
    ":4:40",
    "none is declared",
  ],
  [
    "a recovery action of the workflow by nobody known",
    `${nodesOf("  a: { agent: echo }")}\nrecovery: { save: undoo }`,
    "PAWL_UNKNOWN_AGENT",
    ":4:19",
    'did you mean "undo"?',
  ],
  [
    "a recovery action of a workflow that is never warned of",
    `${nodesOf("  a: { agent: echo }")}\nrecovery: { save: undo }\nonWarn: [save]`,
    "PAWL_INVALID_VALUE",
    ":5:9",
    "onWarn is given, but no warnAfter",
  ],
  [
    "recovery actions of an event",
    nodesOf("  a: { event: {}, recovery: { save: undo } }"),
    "PAWL_INVALID_VALUE",
    ":3:29",
    'unknown field "recovery"; it is one of `call`',
  ],
  ["recovery actions that are a list", nodesOf("  a: { agent: echo, recovery: [undo] }"), "PAWL_INVALID_VALUE", ":3:31", "expected record"],
  ["a reference without quotation marks", nodesOf("  a: { agent: echo, input: ${input.x} }"), "PAWL_DOCUMENT_SYNTAX", ":3:29", "not quoted"],
  ["a reference without quotation marks in a list", nodesOf("  a: { agent: echo, input: [${input.x}] }"), "PAWL_DOCUMENT_SYNTAX", ":3:30", "not quoted"],
];

test.each(MISTAKES)("%s is refused, with its place and what to do", async (_, text, code, at, message) => {
  const refused: unknown = await read(text).then(
    () => "accepted",
    (error: unknown) => error,
  );
  expect(refused).toMatchObject({
    code,
    at: `flow.yaml${at}`,
    message: expect.stringContaining(message) as string,
    next: expect.stringMatching(/.{8}/) as string,
  });
});

test("mistakes of TypeScript are told likewise", () => {
  const define = (use: (wf: WorkflowBuilder<any>) => unknown) => () => anyWorkflow("flow", use);
  let stray: unknown;
  expect(define((wf) => (wf.map("m", [1], echo, (item) => (stray = item)), wf.node("a", echo, stray)))).toThrow(
    expect.objectContaining({
      code: "PAWL_UNKNOWN_REFERENCE",
      at: 'workflow "flow" node "a" input',
      message: expect.stringContaining("known only in") as string,
    }),
  );
  expect(define((wf) => wf.map("m", [1], echo, () => 1, { concurrency: 0 }))).toThrow(
    expect.objectContaining({ code: "PAWL_INVALID_VALUE", at: 'workflow "flow" node "m" concurrency' }),
  );
  expect(define((wf) => wf.repeat("m", echo, 1, { max: 1.5 }))).toThrow(
    expect.objectContaining({ code: "PAWL_INVALID_VALUE", at: 'workflow "flow" node "m" max' }),
  );
});

describe("the JSON Schema for editors", () => {
  const isDocument = (text: string): boolean => schema.safeParse(parse(text)).success;

  test("takes every document of the repository that pawl takes", () => {
    const examples = globSync("examples/**/*.{yaml,yml}", { cwd: root });
    expect(examples.length).toBeGreaterThan(0);
    for (const file of examples) expect(isDocument(readFileSync(join(root, file), "utf8")), file).toBe(true);
    const [yaml] = /(?<=```yaml\n)[\s\S]*?(?=```)/.exec(readFileSync(join(root, "examples/guide/documents.md"), "utf8"))!;
    expect(isDocument(yaml)).toBe(true);
    for (const [what, nodes] of TWINS) expect(isDocument(nodesOf(nodes)), what).toBe(true);
  });

  /** What JSON Schema cannot say: it is about names, or about text. */
  const BEYOND = /UNKNOWN|CYCLE|DUPLICATE|MISSING|INVALID_ID/;

  test("refuses what is wrong with the shape of a document", () => {
    const shapes = MISTAKES.filter(([, , code]) => code === "PAWL_INVALID_VALUE" || code === "PAWL_MISSING_FIELD");
    expect(shapes.length).toBeGreaterThan(15);
    const taken = shapes.filter(([, text]) => isDocument(text)).map(([what]) => what);
    expect(taken).toEqual(["a chain that is too long", "an event that is no schema", "a recovery action of a workflow that is never warned of"]);
    expect(MISTAKES.filter(([, , code]) => BEYOND.test(code)).length).toBeGreaterThan(10);
  });

  test("says of every field what it is for", async () => {
    const lacking: string[] = [];
    const visit = (part: unknown, path: string): void => {
      if (typeof part !== "object" || part === null) return;
      const { properties, ...rest } = part as { properties?: Record<string, { description?: string; $ref?: string }> };
      for (const [name, field] of Object.entries(properties ?? {}))
        if (field.description === undefined && field.$ref === undefined) lacking.push(`${path}.${name}`);
      for (const [key, inner] of Object.entries({ ...properties, ...rest })) visit(inner, `${path}.${key}`);
    };
    visit(await documentSchema(), "");
    expect(lacking).toEqual([]);
  });
});

describe("a document of all of them", () => {
  const add = agent({
    name: "add",
    input: z.object({ n: z.number() }),
    output: z.object({ n: z.number(), enough: z.boolean() }),
    run: ({ n }) => ({ n: n + 1, enough: n >= 3 }),
  });
  const say = agent({
    name: "say",
    input: z.object({ text: z.string() }),
    output: z.object({ text: z.string() }),
    run: ({ text }) => {
      if (text.startsWith("-")) throw new Error("nothing to say");
      return { text: `${text}!` };
    },
  });
  const part = workflow({ name: "part", input: z.object({ kind: z.unknown() }) }, (wf) => ({ kind: wf.node("again", echo, wf.input).result.kind }));
  const TEXT = `
name: flow
input: { type: object, properties: { list: { type: array, items: { type: string } } }, required: [list] }
nodes:
  said: { map: "\${input.list}", agent: say, input: { text: "\${item} \${index}" }, concurrency: 2, retry: { maxAttempts: 2, initialInterval: 1s }, onFail: skip }
  count: { repeat: { max: 9, until: "\${last.enough}", next: { n: "\${last.n}" } }, agent: add, input: { n: 0 }, stage: count }
  approval: { event: { type: object, properties: { kind: { type: string } }, required: [kind] }, after: [said], timeout: 1d }
  kind:
    route: "\${approval.result.kind}"
    ways:
      short: { result: "\${count.result.n}" }
      long: { nodes: { tell: { agent: say, input: { text: "\${said.result[1].text}" } } }, result: "\${tell.result.text}" }
  part: { workflow: part, input: { kind: "\${kind.result}" } }
output: { kind: "\${part.result.kind}", all: "\${said.result}" }
`;
  const twin = workflow({ name: "flow", input: z.object({ list: z.array(z.string()) }) }, (wf) => {
    const retry = { maxAttempts: 2, initialInterval: "1s" } as const;
    const said = wf.map("said", wf.input.list, say, (item, index) => ({ text: `${item} ${index}` }), { concurrency: 2, retry, onFail: "skip" });
    const count = wf.stage("count", () => wf.repeat("count", add, { n: 0 }, { max: 9, until: (last) => last.enough, next: (last) => ({ n: last.n }) }));
    const approval = wf.event("approval", z.object({ kind: z.string() }), { after: [said], timeout: "1d" });
    const kind = wf.route("kind", approval.result.kind, {
      short: () => count.result.n,
      long: () => wf.node("tell", say, { text: `${said.result[1]!.text}` }).result.text,
    });
    return { kind: wf.run("part", part, { kind: kind.result }).result.kind, all: said.result };
  });

  test.each([
    [{ list: ["a", "b"] }, "long", { kind: "b 1!!", all: [{ text: "a 0!" }, { text: "b 1!" }] }],
    [{ list: ["-", "b"] }, "short", { kind: 4, all: [undefined, { text: "b 1!" }] }],
    [{ list: [] }, "neither", { kind: undefined, all: [] }],
  ])("gives what its twin in TypeScript gives, whatever dies when: %j, %s", async (input, kind, output) => {
    const flow = await read(TEXT, { agents: [add, say], workflows: [part] });
    expect(flow.plan.hash).toBe(twin.plan.hash);
    const events = [{ type: "approval", kind }];
    const calm = await playedToTheEnd(twin, input, { events });
    expect(calm.output).toEqual(output);
    let crashes = 0;
    for (let group = 1; group <= calm.groups; group++)
      for (const fault of ["crashBefore", "crashAfter"] as const) {
        const played = await playedToTheEnd(flow, input, { events, fault: (now) => (now === group ? fault : undefined) });
        expect(played.output, `${fault} ${group}`).toEqual(output);
        crashes += played.processes - 1;
      }
    expect(crashes).toBeGreaterThan(10);
  });

  test("is what a run of its twin goes on as", async () => {
    const room = new MachineRoom();
    const first = await room.boot([twin]);
    await room.settled(first.pawl.start(twin, { id: "r", input: { list: ["a", "b"] } }));
    await room.clock.advance(10);
    first.kill();
    const flow = await read(TEXT, { agents: [add, say], workflows: [part] });
    const { pawl } = await room.boot([flow]);
    const run = await room.settled(pawl.run("r", flow));
    await expect(room.settled(run.send({ type: "approval" }))).rejects.toMatchObject({ code: "PAWL_EVENT_REFUSED" });
    await room.settled(run.send({ type: "approval", kind: "long" }));
    expect(await room.settled(run.result())).toMatchObject({ kind: "b 1!!" });
  });
});

test("a document in JSON may name its schema", async () => {
  const text = JSON.stringify({ $schema: "./pawl.schema.json", name: "f", nodes: { a: { agent: "echo" } } });
  expect((await read(text)).plan.hash).toBe(workflow({ name: "f", input: z.any() }, (wf) => (wf.node("a", echo, {}), {})).plan.hash);
});

test("stages of a document have a timeout and a warning; nodes, agents and the workflow a warning", async () => {
  const text = (more: string): string => `name: flow
warnAfter: 10m
agents: { echo: { http: { url: "http://127.0.0.1:1" }, warnAfter: 30s } }
stages: { code: { timeout: 5m, warnAfter: 2m }${more} }
nodes:
  write: { agent: echo, stage: code }
  test: { agent: echo, stage: code, timeout: 20s }
  ship: { agent: echo, warnAfter: 1m }
`;
  const { plan } = await parseWorkflow(text(""));
  expect(plan.ladder).toMatchObject({ warnAfterMs: 600_000 });
  expect(plan.stages.get("code")).toEqual({ timeoutMs: 300_000, warnAfterMs: 120_000, onWarn: [], members: [0, 1] });
  expect(plan.nodes.map(({ policy }) => policy.warnAfterMs)).toEqual([30_000, undefined, 60_000]);
  await expect(parseWorkflow(text(", cod: { timeout: 1m }"))).rejects.toMatchObject({
    code: "PAWL_UNKNOWN_REFERENCE",
    message: expect.stringContaining('no node is of stage "cod"; did you mean "code"?') as string,
  });
  await expect(parseWorkflow(text(", code2: { timeout: 1m, warnAfter: 2m }"))).rejects.toMatchObject({
    code: "PAWL_INVALID_VALUE",
    at: expect.stringContaining(":4") as string,
  });
});

test("an agent of a document says what it uses, how many of its attempts run at once, and how long one waits", async () => {
  const text = `
name: limited
agents:
  model: { http: { url: "http://localhost:1" }, concurrency: 3, uses: { llmTokens: 500 }, queueTimeout: 10s }
nodes: { ask: { agent: model } }
`;
  const { plan } = await parseWorkflow(text);
  expect(plan.nodes[0]!.agent.guard).toEqual({ concurrency: 3, uses: [{ resource: "llmTokens", amount: 500 }], queueTimeoutMs: 10_000 });
  await expect(parseWorkflow(text.replace("concurrency: 3", "concurrency: 0"))).rejects.toMatchObject({ code: "PAWL_INVALID_VALUE" });
});

test("a document's recovery actions are called, at each of their places", async () => {
  const room = new MachineRoom();
  const calls: string[] = [];
  const save = anyAgent("save", (_, { nodeId }) => (calls.push(nodeId), nodeId.startsWith("[run]") ? "restart" : "continue"));
  const slow = anyAgent("slow", (_, { attempt }) => (attempt === 1 ? new Promise(() => {}) : "done"), { timeout: "1h" });
  const text = `name: flow
timeout: 2h
warnAfter: 3m
recovery: { save: save }
onWarn: [save]
stages: { code: { warnAfter: 2m, recovery: { keep: save }, onWarn: [keep] } }
nodes:
  write: { agent: slow, stage: code, warnAfter: 1m, onWarn: [keep] }
output: "\${write.result}"
`;
  const flow = await parseWorkflow(text, { agents: [slow, save] });
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: {} }));
  expect(await room.settled(run.result())).toBe("done");
  expect(calls).toEqual(["write[recovery-1]", "[stage.code][recovery-1]", "[run][recovery-1]"]);
});
