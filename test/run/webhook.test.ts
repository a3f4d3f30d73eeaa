/**
 * Notices by HTTP: signed, checked, repeated until they were taken, also by another process than the one that died.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type Server, createServer } from "node:http";
import { type AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test, vi } from "vitest";
import { open } from "../../src/index.ts";
import type { RunNotice } from "../../src/run/notice.ts";
import { verifyNotice, webhook } from "../../src/run/webhook.ts";
import { anyAgent, anyWorkflow } from "../sim/machine-room.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const SECRET = "a secret that both sides know";
const notice: RunNotice = { id: "r:3:run.failed", type: "run.failed", runId: "r", workflow: "flow", commitNo: 3, at: 5, message: "Grüße" };
const folder = temporaryFolder();

interface Received {
  readonly body: string;
  readonly signature: string;
  readonly key: string | undefined;
}

const servers: Server[] = [];
const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve).closeAllConnections());
});

/** A receiver that answers as it is told: a status for each request in turn, the last one from then on. */
async function receiver(statuses: readonly number[] = [204], port = 0): Promise<{ url: string; port: number; received: Received[] }> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => (body += text));
    request.on("end", () => {
      const { "pawl-signature": signature = "", "idempotency-key": key } = request.headers;
      received.push({ body, signature: String(signature), key: String(key) });
      response.writeHead(statuses[Math.min(received.length, statuses.length) - 1]!).end();
    });
  });
  servers.push(server);
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${address.port}/hook`, port: address.port, received };
}

const checked = ({ body, signature }: Received): Promise<RunNotice> => verifyNotice({ body, signature, secret: SECRET });

test("what is posted is verified by the secret, and by nothing else", async () => {
  const { url, received } = await receiver();
  await webhook({ url, secret: SECRET })(notice);
  const [{ body, signature, key }] = received as [Received];
  expect(key).toBe(notice.id);
  expect(await verifyNotice({ body, signature, secret: SECRET })).toEqual(notice);
  const now = Number(/^t=(\d+)/.exec(signature)![1]) * 1_000;
  const [, hex] = /v1=(\w+)/.exec(signature)!;
  const refused: [string, Partial<Parameters<typeof verifyNotice>[0]>][] = [
    ["another secret", { secret: "a secret that somebody made up" }],
    ["another body", { body: body.replace("run.failed", "run.stalled") }],
    ["another instant", { signature: `t=${now / 1_000 + 1},v1=${hex}` }],
    ["no signature", { signature: null }],
    ["half a signature", { signature: signature.slice(0, -1) }],
    ["too late", { now: now + 300_001 }],
    ["too early", { now: now - 300_001 }],
    ["later than is tolerated", { now: now + 10_001, tolerance: "10s" }],
  ];
  for (const [what, changes] of refused)
    await expect(verifyNotice({ body, signature, secret: SECRET, ...changes }), what).rejects.toMatchObject({ code: "PAWL_SIGNATURE_INVALID" });
  expect(await verifyNotice({ body, signature, secret: SECRET, now: now + 300_000 })).toEqual(notice);
});

test("the signature is the HMAC-SHA256 of the instant, a dot and the body", async () => {
  // printf '1700000000.{}' | openssl dgst -sha256 -hmac "$SECRET"
  const signature = "t=1700000000,v1=ef9c8960941ccf8aa31c0d4d97fd751a3b4d3d0b012e89632982f4692167a728";
  expect(await verifyNotice({ body: "{}", signature, secret: SECRET, now: 1_700_000_000_000 })).toEqual({});
});

test("an address that is none, and a secret that is short, are refused when it is made", async () => {
  for (const url of ["nowhere", "ftp://a.example/"]) expect(() => webhook({ url, secret: SECRET })).toThrow("no http or https address");
  expect(() => webhook({ url: "https://a.example/", secret: "short" })).toThrow("fewer than 16");
  await expect(open(":memory:", { notify: { url: "nowhere", secret: SECRET } })).rejects.toMatchObject({ code: "PAWL_INVALID_VALUE" });
});

test("a receiver that refuses, and one that is not there, are told when they take it, under the same id", async () => {
  const breaks = anyAgent("breaks", () => Promise.reject(new Error("it broke")), { retry: { maxAttempts: 1 } });
  const flow = anyWorkflow("flow", (wf) => void wf.node("bad", breaks, {}));
  const gone = await receiver();
  await new Promise((resolve) => servers.pop()!.close(resolve));
  await using pawl = await open(":memory:", { workflows: [flow], notify: { url: gone.url, secret: SECRET } });
  const run = await pawl.start(flow, { id: "r", input: {} });
  await run.result().catch(() => {});
  const { received } = await receiver([500, 204], gone.port);
  await vi.waitFor(() => expect(received.length).toBe(2), { timeout: 30_000 });
  const notices = await Promise.all(received.map(checked));
  expect(notices.map(({ runId, type, node }) => ({ runId, type, node }))).toEqual(
    Array.from({ length: 2 }, () => ({ runId: "r", type: "run.failed", node: "bad" })),
  );
  expect(new Set(notices.map(({ id }) => id)).size).toBe(1);
});

test("killed between the commit and the delivery, the next process delivers", async () => {
  const { url, received } = await receiver();
  const start = (env: Record<string, string>): ChildProcess => {
    const script = fileURLToPath(new URL("notice-child.ts", import.meta.url));
    const child = spawn(process.execPath, ["--conditions=pawl-source", script, join(folder.path, "kill.db"), url, SECRET], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    children.push(child);
    return child;
  };
  expect(await once(start({ DIES: "before" }), "exit")).toEqual([null, "SIGKILL"]);
  expect(received).toEqual([]);
  const next = start({});
  await once(next.stdout!, "data");
  expect(await Promise.all(received.map(checked))).toMatchObject([{ runId: "r", type: "run.failed", workflow: "flow" }]);
});
