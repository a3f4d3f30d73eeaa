/**
 * The three agents as services: what they take, what they refuse, and how the first asks a language model when there is
 * one and goes by rules when that is of no help.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { type Query, dataAnswer, nlpAnswer, vizAnswer } from "../../examples/analytics/messages.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const children: ChildProcess[] = [];
const servers: Server[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.disconnect();
    await once(child, "exit");
  }
  for (const server of servers.splice(0)) server.close();
});

async function startService(name: string, environment: Readonly<Record<string, string>> = {}): Promise<string> {
  const child = fork(new URL("../../examples/analytics/service.ts", import.meta.url), [name, join(temporaryFolder().path, "log")], {
    execArgv: ["--conditions=pawl-source"],
    env: { PATH: process.env["PATH"], ...environment },
    silent: true,
  });
  children.push(child);
  const [{ url }] = (await once(child, "message")) as [{ url: string }];
  return url;
}

async function post(url: string, body: unknown): Promise<{ status: number; answer: unknown }> {
  const response = await fetch(url, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) });
  return { status: response.status, answer: await response.json() };
}

/** A service with a chat-completions interface that gives this answer, and notes what it was asked. */
async function startModel(content: string, status = 200): Promise<{ url: string; asked: { path: string; key: string; body: string }[] }> {
  const asked: { path: string; key: string; body: string }[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => (body += text));
    request.on("end", () => {
      asked.push({ path: request.url!, key: request.headers.authorization ?? "", body });
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ choices: [{ message: { content } }] }));
    });
  });
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, asked };
}

const oceania: Query = { measure: "area", show: "countries", aggregate: "total", order: "smallest", limit: 3, continents: ["Oceania"], bounds: [] };

test("from a question over its rows to its chart", async () => {
  const [nlp, data, viz] = await Promise.all(["nlp", "data", "viz"].map((name) => startService(name)));
  const read = nlpAnswer.parse((await post(nlp!, { question: "3 smallest countries in Oceania" })).answer);
  expect(read).toEqual({ query: oceania, title: "The 3 countries in Oceania with the smallest area", unit: "km²", readBy: "rules" });
  const { rows } = dataAnswer.parse((await post(data!, { query: read.query })).answer);
  expect(rows.map(({ label }) => label)).toEqual(["Nauru", "Tuvalu", "Marshall Islands"]);
  const { svg } = vizAnswer.parse((await post(viz!, { title: read.title, unit: read.unit, rows })).answer);
  expect(svg).toContain(">Tuvalu</text>");
  expect(await (await fetch(`${viz}/health`)).json()).toEqual({ ok: true });
});

test("what does not fit is refused, and not with a status that invites another try", async () => {
  const [nlp, data] = await Promise.all(["nlp", "data"].map((name) => startService(name)));
  expect((await post(nlp!, { question: "Who wrote Faust?" })).status).toBe(422);
  expect((await post(nlp!, "{")).status).toBe(400);
  expect((await post(nlp!, "x".repeat(70_000))).status).toBe(413);
  expect((await post(data!, { query: { ...oceania, measure: "1; DROP TABLE country" } })).status).toBe(400);
});

test("a configured language model reads the question", async () => {
  const model = await startModel(JSON.stringify(oceania));
  const nlp = await startService("nlp", { ANALYTICS_MODEL_URL: model.url, ANALYTICS_MODEL_KEY: "k", ANALYTICS_MODEL: "m" });
  const { answer } = await post(nlp, { question: "tiny islands?" });
  expect(nlpAnswer.parse(answer)).toMatchObject({ readBy: "model", query: oceania });
  expect(model.asked).toMatchObject([{ path: "/v1/chat/completions", key: "Bearer k" }]);
  expect(JSON.parse(model.asked[0]!.body)).toMatchObject({ model: "m", messages: [{ role: "system" }, { role: "user", content: "tiny islands?" }] });
});

test.each([
  ["fails", "{}", 500],
  ["answers with no JSON", "Sure! Here is", 200],
  ["answers with a query that does not fit", JSON.stringify({ ...oceania, limit: 1e9 }), 200],
])("a language model that %s leaves it to the rules", async (_, content, status) => {
  const model = await startModel(content, status);
  const nlp = await startService("nlp", { ANALYTICS_MODEL_URL: model.url });
  const { answer } = await post(nlp, { question: "3 smallest countries in Oceania" });
  expect(nlpAnswer.parse(answer)).toMatchObject({ readBy: "rules", query: oceania });
  expect(model.asked.length).toBe(1);
});
