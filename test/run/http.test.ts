/**
 * HTTP agents against a real server: what is sent, how answers are judged, and that a timeout ends the request.
 */
import { once } from "node:events";
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { type HttpService, agent } from "../../src/define/agent.ts";
import type { AttemptOptions } from "../../src/define/policy.ts";
import { workflow } from "../../src/define/workflow.ts";
import { open } from "../../src/open.ts";
import type { NodeView } from "../../src/run/view.ts";

let server: Server;
let url: string;
let answer: (request: IncomingMessage, response: ServerResponse, body: string) => void;

beforeEach(async () => {
  server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => answer(request, response, body));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/ask`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

/** One node with this service, run to its end. */
async function ask(service: HttpService, options: AttemptOptions = {}, output: z.ZodType = z.object({ n: z.number() })): Promise<NodeView> {
  const remote = agent({
    retry: { maxAttempts: 2, initialInterval: 1 },
    ...options,
    name: "remote",
    input: z.object({ q: z.string() }),
    output,
    http: service,
  });
  const flow = workflow({ name: "flow", input: z.object({}) }, (wf) => ({ r: wf.node("n", remote, { q: "hello" }).result }));
  await using pawl = await open(":memory:", { workflows: [flow] });
  const run = await pawl.start(flow, { id: "r", input: {} });
  await run.ended();
  const [node] = await run.nodes();
  return node!;
}

test("the input goes out as JSON with the idempotency key, the answer comes back as the result", async () => {
  const seen: unknown[] = [];
  answer = ({ method, headers, url: path }, response, body) => {
    seen.push([method, path, headers["content-type"], headers["idempotency-key"], headers["authorization"], JSON.parse(body)]);
    response.end('{"n": 5}');
  };
  expect(await ask({ url, headers: { authorization: "Bearer t" } })).toMatchObject({ status: "completed", attempt: 1 });
  expect(seen).toEqual([["POST", "/ask", "application/json", "r/n#1", "Bearer t", { q: "hello" }]]);
});

test("the URL comes from the environment, or its default; without either it is a failure that is not tried again", async () => {
  answer = (_, response) => response.end('{"n": 1}');
  process.env["PAWL_TEST_AGENT_URL"] = url;
  expect(await ask({ url: { env: "PAWL_TEST_AGENT_URL" } })).toMatchObject({ status: "completed" });
  delete process.env["PAWL_TEST_AGENT_URL"];
  expect(await ask({ url: { env: "PAWL_TEST_AGENT_URL", default: url } })).toMatchObject({ status: "completed" });
  expect(await ask({ url: { env: "PAWL_TEST_AGENT_URL" } })).toMatchObject({
    status: "failed",
    attempt: 1,
    failure: { code: "PAWL_AGENT_UNCONFIGURED", kind: "configuration" },
  });
});

test.each([
  [503, {}, 2, "transient"],
  [429, { "retry-after": "1" }, 2, "resource"],
  [400, {}, 1, "configuration"],
  [404, {}, 1, "configuration"],
] as const)("status %d with %j is tried %d times and is a %s failure", async (status, headers, attempts, kind) => {
  let calls = 0;
  answer = (_, response) => (calls++, response.writeHead(status, headers).end("secret of the service"));
  const node = await ask({ url });
  expect(node).toMatchObject({
    status: "failed",
    attempt: attempts,
    failure: { kind, code: "PAWL_AGENT_HTTP", message: `the service answered with status ${status}` },
  });
  expect(calls).toBe(attempts);
});

test.each([
  ["2", {}, 2_000],
  ["Infinity", {}, 86_400_000],
  ["1e300", {}, 86_400_000],
  ["-5", {}, undefined],
  ["soon", {}, undefined],
  ["Thu, 01 Jan 2026 00:00:30 GMT", { date: "Thu, 01 Jan 2026 00:00:00 GMT" }, 30_000],
] as const)("retry-after: %s is a wait within bounds, or none", async (wait, headers, retryAfterMs) => {
  answer = (_, response) => response.writeHead(503, { ...headers, "retry-after": wait }).end();
  const node = await ask({ url }, { retry: { maxAttempts: 1 } });
  expect(node.failure?.retryAfterMs).toBe(retryAfterMs);
});

test("an answer that is no JSON, does not fit, or is too long is a failure of its kind", async () => {
  answer = (_, response) => response.end("<html>");
  expect(await ask({ url })).toMatchObject({ failure: { kind: "invalidOutput" }, attempt: 2 });
  answer = (_, response) => response.end('{"n": "x"}');
  expect(await ask({ url })).toMatchObject({ failure: { code: "PAWL_OUTPUT_INVALID" }, attempt: 2 });
  answer = (_, response) => response.end(JSON.stringify({ n: "x".repeat(2_000_000) }));
  expect(await ask({ url })).toMatchObject({ failure: { code: "PAWL_VALUE_TOO_LARGE" }, attempt: 1 });
});

test("a service that is not there can be there for the next attempt", async () => {
  server.close();
  expect(await ask({ url })).toMatchObject({ status: "failed", attempt: 2, failure: { kind: "transient", message: "the agent's service cannot be reached" } });
  expect(await ask({ url: "no url" })).toMatchObject({ status: "failed", attempt: 1, failure: { kind: "configuration" } });
});

test("a service that never answers is let go of at the timeout: its connection is closed", async () => {
  const closed: Promise<unknown>[] = [];
  answer = (request) => closed.push(once(request, "close"));
  expect(await ask({ url }, { timeout: 50, retry: { maxAttempts: 2, initialInterval: 1 } })).toMatchObject({
    status: "failed",
    attempt: 2,
    failure: { kind: "timeout" },
  });
  expect(closed).toHaveLength(2);
  await Promise.all(closed);
});

test("a redirect is not followed", async () => {
  answer = (_, response) => response.writeHead(302, { location: "http://127.0.0.1:1/" }).end();
  expect(await ask({ url })).toMatchObject({ status: "failed" });
});
