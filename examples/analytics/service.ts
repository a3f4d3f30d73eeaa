/**
 * One agent as a service of its own: `service.ts nlp|data|viz LOG`. Takes JSON by POST on a free port of this machine,
 * tells its parent which, and ends when its parent does. `GET /health` says whether it is there.
 */
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { ZodType } from "zod";
import { askModel, modelOf } from "./ask-model.ts";
import { appendCall } from "./call-log.ts";
import { endWithParent, tellParent } from "./children.ts";
import { titleOf, unitOf } from "./describe-query.ts";
import { drawChart } from "./draw-chart.ts";
import { type Query, dataRequest, nlpRequest, vizRequest } from "./messages.ts";
import { parseQuestion } from "./parse-question.ts";
import { loadCountries, runQuery } from "./run-query.ts";

/** How long an agent takes at least: real ones think, and a demonstration needs a middle. */
const PACE_MS = 300;
const REQUEST_LENGTH_MAX = 65_536;

interface Service<Request> {
  readonly request: ZodType<Request>;
  readonly work: (request: Request) => unknown;
}

/** What a service says to a request that it cannot serve. */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

function nlpService(): Service<{ question: string }> {
  const model = modelOf(process.env);
  const read = async (question: string): Promise<{ query: Query; readBy: "model" | "rules" }> => {
    try {
      if (model !== undefined) return { query: await askModel(model, question), readBy: "model" };
    } catch (error) {
      console.error(`  the model was of no help (${error instanceof Error ? error.message : String(error)}); going by rules`);
    }
    const query = parseQuestion(question);
    if (query === undefined) throw new Refusal(422, "the question names nothing that is in the data");
    return { query, readBy: "rules" };
  };
  return {
    request: nlpRequest,
    work: async ({ question }) => {
      const { query, readBy } = await read(question);
      return { query, readBy, title: titleOf(query), unit: unitOf(query) };
    },
  };
}

function dataService(): Service<{ query: Query }> {
  const database = loadCountries(new URL("countries.csv", import.meta.url));
  return { request: dataRequest, work: ({ query }) => runQuery(database, query) };
}

function vizService(): Service<Parameters<typeof drawChart>[0]> {
  return { request: vizRequest, work: (chart) => ({ svg: drawChart(chart) }) };
}

const SERVICES: Readonly<Record<string, () => Service<any>>> = { nlp: nlpService, data: dataService, viz: vizService };

const [name = "", log = ""] = process.argv.slice(2);
endWithParent();
serve(SERVICES[name]!());

function serve(service: Service<unknown>): void {
  const server = createServer((request, response) => {
    if (request.method === "GET") return send(response, 200, { ok: true });
    answer(service, request, response).catch((error: unknown) => {
      if (!(error instanceof Refusal)) console.error(`  ${name}:`, error);
      send(response, error instanceof Refusal ? error.status : 500, { error: error instanceof Error ? error.message : "failed" });
    });
  });
  server.listen(0, "127.0.0.1", () => void tellParent({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }));
}

/** One call, from its line in the log to its answer. */
async function answer(service: Service<unknown>, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const key = String(request.headers["idempotency-key"] ?? "none");
  appendCall(log, { what: "start", agent: name, key });
  const cut = new AbortController();
  response.on("close", () => {
    if (response.writableFinished) return;
    appendCall(log, { what: "cut", agent: name, key });
    cut.abort();
  });
  const given = service.request.safeParse(await readBody(request));
  if (!given.success) throw new Refusal(400, given.error.message);
  const [result] = await Promise.all([service.work(given.data), pause(PACE_MS)]);
  if (cut.signal.aborted) return;
  appendCall(log, { what: "end", agent: name, key });
  send(response, 200, result);
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    length += (chunk as Buffer).length;
    if (length > REQUEST_LENGTH_MAX) throw new Refusal(413, "the request is too long");
    chunks.push(chunk as Buffer);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    throw new Refusal(400, "the request is not JSON");
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}
