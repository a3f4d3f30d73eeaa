/**
 * The inspector's server: on this machine only, for who has the token. It answers a page, the messages as they are
 * (newline-delimited JSON), and as they come (server-sent events).
 * 1. Nothing is answered before host, origin and token were checked, whatever the path.
 * 2. What is read is the committed history; nothing can be changed.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Run } from "../index.ts";
import { messagesOf } from "./inspector-feed.ts";
import { pageOf } from "./inspector-page.ts";
import { toJson } from "./json.ts";
import { problemOf } from "./problem.ts";

export interface InspectorOptions {
  /** 0 for any that is free. */
  readonly port: number;
  readonly context: boolean;
}

export interface Inspector {
  /** Where its page is, with the token. */
  readonly url: string;
  close(): Promise<void>;
}

const HOST = "127.0.0.1";
const TOKEN_BYTES = 32;
/** Streams and pages at the same time. */
const CONNECTIONS_MAX = 100;
/** Names by which a browser on this machine means this machine. */
const LOOPBACK: ReadonlySet<string> = new Set([HOST, "localhost", "[::1]"]);

/** Serves a run. @throws PAWL_USAGE when the port is taken or not allowed */
export async function serveInspector(run: Run<unknown>, { port, context }: InspectorOptions): Promise<Inspector> {
  const token = randomBytes(TOKEN_BYTES).toString("base64url");
  const closing = new AbortController();
  const { workflow } = await run.status();
  const server = createServer({ maxHeaderSize: 16_384 }, (request, response) => {
    const refusal = refusalOf(request, token, addressOf(server).port);
    if (refusal !== undefined) return answer(response, refusal.status, "text/plain", `${refusal.reason}\n`);
    const { pathname } = urlOf(request);
    if (pathname === "/") return answerPage(response, { runId: run.id, workflow, hasContexts: context });
    if (pathname === "/messages") return void stream(run, { request, response, context, closing: closing.signal, isLive: false });
    if (pathname === "/events") return void stream(run, { request, response, context, closing: closing.signal, isLive: true });
    answer(response, 404, "text/plain", "there is no such page\n");
  });
  server.maxConnections = CONNECTIONS_MAX;
  await listen(server, port);
  return {
    url: `http://${HOST}:${addressOf(server).port}/?token=${token}`,
    close: () =>
      new Promise((resolve) => {
        closing.abort();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const isTaken = error.code === "EADDRINUSE";
      reject(problemOf("PAWL_USAGE", `port ${port} ${isTaken ? "is in use" : "cannot be listened on"}`, "choose another --port, or leave it out"));
    });
    server.listen(port, HOST, resolve);
  });
}

function addressOf(server: Server): AddressInfo {
  return server.address() as AddressInfo;
}

function urlOf({ url }: IncomingMessage): URL {
  return new URL(url ?? "/", `http://${HOST}`);
}

interface Refusal {
  readonly status: number;
  readonly reason: string;
}

/** Why a request is not answered. A page of another site may make this machine's browser ask, under any name that leads here. */
function refusalOf(request: IncomingMessage, token: string, port: number): Refusal | undefined {
  const { host, origin, "sec-fetch-site": site, "sec-fetch-mode": mode } = request.headers;
  const name = host?.endsWith(`:${port}`) ? host.slice(0, -`:${port}`.length) : undefined;
  if (name === undefined || !LOOPBACK.has(name)) return { status: 403, reason: "this host name is not answered" };
  if (origin !== undefined && origin !== `http://${host}`) return { status: 403, reason: "another site may not ask" };
  if (site === "cross-site" && mode !== "navigate") return { status: 403, reason: "another site may not ask" };
  if (!URL.canParse(request.url ?? "", `http://${HOST}`)) return { status: 400, reason: "this is no address" };
  if (!isSame(urlOf(request).searchParams.get("token") ?? "", token)) return { status: 403, reason: "the token is missing or wrong" };
  if (request.method !== "GET") return { status: 405, reason: "only GET is answered" };
  return undefined;
}

/** Takes as long for a token that is nearly right. */
function isSame(given: string, token: string): boolean {
  const [a, b] = [given, token].map((text) => createHash("sha256").update(text).digest()) as [Buffer, Buffer];
  return timingSafeEqual(a, b);
}

const HEADERS = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
} as const;
const NOTHING = "default-src 'none'; frame-ancestors 'none'";

function answer(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { ...HEADERS, "content-type": `${type}; charset=utf-8`, "content-security-policy": NOTHING });
  response.end(body);
}

function answerPage(response: ServerResponse, facts: Parameters<typeof pageOf>[0]): void {
  const nonce = randomBytes(16).toString("base64");
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src 'nonce-${nonce}'`,
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ];
  response.writeHead(200, { ...HEADERS, "content-type": "text/html; charset=utf-8", "content-security-policy": policy.join("; ") });
  response.end(pageOf(facts, nonce));
}

interface Stream {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly context: boolean;
  readonly closing: AbortSignal;
  /** Server-sent events until the run has ended, else what is there. */
  readonly isLive: boolean;
}

/** Sends messages no faster than they are read. A browser that comes back says how many it has. */
async function stream(run: Run<unknown>, { request, response, context, closing, isLive }: Stream): Promise<void> {
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  const skipped = isLive ? Number(request.headers["last-event-id"] ?? 0) || 0 : 0;
  const type = isLive ? "text/event-stream" : "application/x-ndjson";
  response.writeHead(200, { ...HEADERS, "content-type": `${type}; charset=utf-8`, "content-security-policy": NOTHING });
  response.flushHeaders();
  const signal = AbortSignal.any([gone.signal, closing]);
  let number = 0;
  try {
    for await (const messages of messagesOf(run, { context, follow: isLive, signal })) {
      let text = "";
      for (const message of messages) {
        if (++number <= skipped) continue;
        text += isLive ? `id: ${number}\ndata: ${toJson(message)}\n\n` : `${toJson(message)}\n`;
      }
      if (signal.aborted) return;
      if (!response.write(text)) await once(response, "drain", { signal });
    }
    response.end(isLive ? `event: end\ndata: {}\n\n` : "");
  } catch (error) {
    if (signal.aborted) return;
    process.stderr.write(`the inspector stopped sending: ${error instanceof Error ? error.message : String(error)}\n`);
    response.destroy();
  }
}
