/**
 * The workflow: a question is read, its query is run, the rows are drawn. Three agents are services reached over HTTP
 * at addresses of the environment; the fourth is a function. Using a result is the dependency: `chart` and `answer`
 * start together when `query` has ended.
 */
import { agent, workflow } from "pawl";
import { z } from "zod";
import { answerOf } from "./describe-query.ts";
import { dataAnswer, dataRequest, nlpAnswer, nlpRequest, rows, vizAnswer, vizRequest } from "./messages.ts";

const nlp = agent({
  name: "nlp",
  input: nlpRequest,
  output: nlpAnswer,
  http: { url: { env: "NLP_AGENT_URL", default: "http://nlp-agent:8001" } },
  timeout: "15s",
  retry: { maxAttempts: 3, initialInterval: "1s", maxInterval: "30s" },
});

const data = agent({
  name: "data",
  input: dataRequest,
  output: dataAnswer,
  http: { url: { env: "DATA_AGENT_URL", default: "http://data-agent:8002" } },
  timeout: "30s",
  retry: { maxAttempts: 2, initialInterval: "2s", maxInterval: "60s" },
});

const viz = agent({
  name: "viz",
  input: vizRequest,
  output: vizAnswer,
  http: { url: { env: "VIZ_AGENT_URL", default: "http://viz-agent:8003" } },
  timeout: "10s",
  retry: { maxAttempts: 3, initialInterval: "1s", maxInterval: "30s" },
});

const narrator = agent({
  name: "narrator",
  input: z.object({ rows, unit: z.string() }),
  output: z.object({ text: z.string() }),
  run: ({ rows, unit }) => ({ text: answerOf(rows, unit) }),
});

export const analytics = workflow({ name: "analytics", input: nlpRequest, timeout: "5m" }, (wf) => {
  const parse = wf.node("parse", nlp, { question: wf.input.question });
  const query = wf.node("query", data, { query: parse.result.query });
  const chart = wf.node("chart", viz, { title: parse.result.title, unit: parse.result.unit, rows: query.result.rows });
  const answer = wf.node("answer", narrator, { rows: query.result.rows, unit: parse.result.unit });
  return {
    title: parse.result.title,
    readBy: parse.result.readBy,
    sql: query.result.sql,
    rows: query.result.rows,
    answer: answer.result.text,
    svg: chart.result.svg,
  };
});
