/**
 * Seventeen flows of agents that people published as templates, as workflows: ten as documents, seven in TypeScript. Of each:
 * what it is given and gives, and which of its nodes stands for which node of the template.
 */
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { type Workflow, parseWorkflow } from "../../src/index.ts";
import * as agents from "./agents.ts";
import * as written from "./typescript.ts";

export interface Flow {
  /** Its name as a template. */
  readonly template: string;
  readonly workflow: Workflow;
  readonly input: object;
  readonly output: unknown;
  /** Node of the template → node of the workflow; `loop/x` is the node `x` of the workflow that `loop` runs. */
  readonly nodes: Readonly<Record<string, string>>;
  /** What the template has no node for: mostly agents that decide, which are one node there with the choice. */
  readonly own?: readonly string[];
}

export const documents = ["agentic-rag", "branch-out-merge-in", "lead-outreach", "multi-agents", "patient-concierge"]
  .concat(["support-routing", "deep-research-subagents", "sql-agent", "simple-rag", "workplace-chat"])
  .map((name) => new URL(`${name}.yaml`, import.meta.url).pathname);

const read = new Map<string, Workflow>();
for (const file of documents)
  read.set(basename(file, ".yaml"), await parseWorkflow(await readFile(file, "utf8"), { file: basename(file), agents: Object.values(agents) }));
const document = (name: string): Workflow => read.get(name)!;

const TASK = { task: "ratchets" };
/** Of a team, its nodes in the order of the template's. */
const members = (first: string, second: string): Pick<Flow, "nodes" | "own"> => ({
  nodes: { supervisor_0: "talk/supervisor", worker_0: `talk/${first}`, worker_1: `talk/${second}` },
  own: ["talk", "talk/next"],
});
const said = (first: string, second: string): string[] => ["ratchets", `${first} on ratchets`, `${second} on ${first} on ratchets`];

export const flows: readonly Flow[] = [
  {
    template: "agentflows/Agentic RAG",
    workflow: document("agentic-rag"),
    input: TASK,
    output: 'answer(grade(["of ask(rewrite(ratchets))"]))',
    nodes: {
      seqLLMNode_0: "search/ask",
      seqToolNode_0: "search/retrieve",
      seqLLMNode_3: "search/grade",
      seqConditionAgent_0: "search/verdict",
      seqLLMNode_1: "search/rewrite",
      seqLLMNode_2: "search/answer",
      seqLoop_0: "search",
    },
    own: ["search/judge"],
  },
  {
    template: "agentflows/Branch Out Merge In",
    workflow: document("branch-out-merge-in"),
    input: TASK,
    output: "merge(left(plan(ratchets)) and right(plan(ratchets)))",
    nodes: { seqAgent_0: "plan", seqAgent_1: "left", seqAgent_2: "right", seqAgent_3: "merge" },
  },
  {
    template: "agentflows/Customer Support Team Agents",
    workflow: written.customerSupport,
    input: TASK,
    output: said("representative", "quality"),
    ...members("representative", "quality"),
  },
  {
    template: "agentflows/Lead Outreach",
    workflow: document("lead-outreach"),
    input: TASK,
    output: said("researcher", "writer"),
    ...members("researcher", "writer"),
  },
  {
    template: "agentflows/Multi Agents",
    workflow: document("multi-agents"),
    input: TASK,
    output: `finish(${JSON.stringify(said("engineer", "reviewer"))})`,
    nodes: {
      seqLLMNode_0: "talk/supervisor",
      seqCondition_0: "talk/next",
      seqAgent_0: "talk/engineer",
      seqAgent_1: "talk/reviewer",
      seqLoop_2: "talk",
      seqLoop_3: "talk",
      seqLLMNode_1: "finish",
    },
  },
  {
    template: "agentflows/Patient Concierge",
    workflow: document("patient-concierge"),
    input: { ...TASK, identity: "ada" },
    output: "concierge(ratchets for ada)",
    nodes: { seqCondition_0: "known", seqAgent_0: "concierge", seqAgent_1: "verify" },
  },
  {
    template: "agentflows/Prompt Engineering Team",
    workflow: written.promptEngineering,
    input: TASK,
    output: said("creator", "critic"),
    ...members("creator", "critic"),
  },
  {
    template: "agentflows/Software Team",
    workflow: written.softwareTeam,
    input: TASK,
    output: said("engineer", "reviewer"),
    ...members("engineer", "reviewer"),
  },
  {
    template: "agentflows/Support Routing System",
    workflow: document("support-routing"),
    input: { task: "my billing" },
    output: "billing(receive(my billing))",
    nodes: { seqAgent_0: "receive", seqConditionAgent_0: "who", seqAgent_1: "billing", seqAgent_2: "technical" },
    own: ["decide"],
  },
  {
    template: "agentflowsv2/Agents Handoff",
    workflow: written.agentsHandoff,
    input: { task: "a refund" },
    output: "refund(a refund)",
    nodes: { conditionAgentAgentflow_0: "intention", agentAgentflow_0: "refund", agentAgentflow_1: "sales", agentAgentflow_2: "general" },
    own: ["detect"],
  },
  {
    template: "agentflowsv2/Deep Research With Multi-turn Conversations",
    workflow: written.deepResearchConversation,
    input: TASK,
    output: `report(${"second(first(".repeat(10)}enhance(ratchets)${"))".repeat(10)})`,
    nodes: {
      llmAgentflow_0: "enhance",
      agentAgentflow_0: "talk/first",
      agentAgentflow_1: "talk/second",
      conditionAgentflow_0: "talk",
      loopAgentflow_0: "talk",
      llmAgentflow_1: "report",
    },
  },
  {
    template: "agentflowsv2/Deep Research With Subagents",
    workflow: document("deep-research-subagents"),
    input: TASK,
    output: `report(write(${JSON.stringify([0, 1, 2].map((i) => ({ text: `agent ${i}(ratchets 2.${i})` })))}))`,
    nodes: {
      llmAgentflow_0: "research/plan",
      iterationAgentflow_0: "research/spawn",
      agentAgentflow_0: "research/spawn",
      agentAgentflow_1: "research/write",
      conditionAgentAgentflow_0: "research/more",
      loopAgentflow_0: "research",
      directReplyAgentflow_0: "report",
    },
  },
  {
    template: "agentflowsv2/Iterations",
    workflow: written.iterations,
    input: { ...TASK, items: ["a", "b", "c"] },
    output: `sum-up({"texts":[${["a", "b", "c"].map((item) => `{"text":"polish(draft(${item}))"}`).join(",")}]})`,
    nodes: { iterationAgentflow_0: "each", llmAgentflow_0: "each/draft", llmAgentflow_1: "each/polish", agentAgentflow_0: "sum-up" },
  },
  {
    template: "agentflowsv2/SQL Agent",
    workflow: document("sql-agent"),
    input: TASK,
    output: "respond(rows of mend(generate(rows of the schema)))",
    nodes: {
      customFunctionAgentflow_0: "schema",
      llmAgentflow_0: "answer/valid/generate",
      conditionAgentAgentflow_0: "answer/valid/check",
      loopAgentflow_0: "answer/valid",
      customFunctionAgentflow_1: "answer/run",
      conditionAgentAgentflow_1: "answer/useful",
      llmAgentflow_1: "answer/respond",
      llmAgentflow_2: "answer/mend",
      loopAgentflow_1: "answer",
    },
    own: ["answer/inspect", "answer/valid/query"],
  },
  {
    template: "agentflowsv2/Simple RAG",
    workflow: document("simple-rag"),
    input: TASK,
    output: "answer(ratchets)",
    nodes: { agentAgentflow_0: "answer" },
  },
  {
    template: "agentflowsv2/Translator",
    workflow: written.translator,
    input: { ...TASK, language: "Latin" },
    output: "translate(ratchets into Latin)",
    nodes: { llmAgentflow_0: "translate" },
  },
  {
    template: "agentflowsv2/Workplace Chat",
    workflow: document("workplace-chat"),
    input: TASK,
    output: "reply(slack/write(ratchets) )",
    nodes: { llmAgentflow_0: "write", toolAgentflow_0: "slack", toolAgentflow_1: "teams", directReplyAgentflow_0: "reply" },
  },
];
