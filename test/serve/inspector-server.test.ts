/**
 * The inspector's server: who is answered and who is not, by real requests; what it sends, and what its page does with it.
 */
import { type IncomingHttpHeaders, request as httpRequest } from "node:http";
import { networkInterfaces } from "node:os";
import { connect } from "node:net";
import { createContext, runInContext } from "node:vm";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { setup } from "xstate";
import { type MachineHandle, type Pawl, open } from "pawl";
import { SCRIPT, VIEWER_URL, pageOf } from "../../src/serve/inspector-page.ts";
import { type Inspector, serveInspector } from "../../src/serve/inspector-server.ts";
import { jsonLines } from "./command.ts";

const door = setup({}).createMachine({
  id: "door",
  initial: "closed",
  context: { secret: "hidden" },
  states: { closed: { on: { OPEN: "open" } }, open: { on: { CLOSE: "gone" } }, gone: { type: "final" } },
});

let pawl: Pawl;
let run: MachineHandle<typeof door>;
let inspector: Inspector;

beforeEach(async () => {
  pawl = await open(":memory:");
  run = await pawl.start(door, { id: "d-1" });
  inspector = await serveInspector(run, { port: 0, context: false });
});
afterEach(async () => {
  await inspector.close();
  await pawl.close();
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Asks as a browser or program does, with headers that `fetch` would not let through. */
function ask(path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Answer> {
  const { hostname, port } = new URL(inspector.url);
  return new Promise((resolve, reject) => {
    const asked = httpRequest({ hostname, port, path, method, headers }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => (body += text));
      response.on("end", () => resolve({ status: response.statusCode!, headers: response.headers, body }));
    });
    asked.on("error", reject).end();
  });
}

const tokenOf = (): string => new URL(inspector.url).searchParams.get("token")!;
const PATHS = ["/", "/messages", "/events", "/elsewhere", "/messages/"];

describe("nobody is answered", () => {
  test.each(PATHS)("at %s without the token, or with a wrong one", async (path) => {
    const token = tokenOf();
    expect(token).toMatch(/^[\w-]{43}$/);
    const wrong = [token.slice(0, -1), `${token}x`, token.toUpperCase(), ""].map((text) => `${path}?token=${text}`);
    for (const address of [path, ...wrong]) {
      const { status, body } = await ask(address);
      expect([address, status, body]).toEqual([address, 403, "the token is missing or wrong\n"]);
    }
  });

  test.each(PATHS)("at %s for a page of another site, or under another name of this machine", async (path) => {
    const address = `${path}?token=${tokenOf()}`;
    const { port } = new URL(inspector.url);
    for (const origin of ["https://evil.example", "null", `http://evil.example:${port}`, `https://127.0.0.1:${port}`, "http://127.0.0.1"])
      expect([origin, (await ask(address, { origin })).status]).toEqual([origin, 403]);
    for (const host of ["evil.example", `evil.example:${port}`, `127.0.0.1.evil.example:${port}`, "127.0.0.1", "127.0.0.1:1", `192.0.2.1:${port}`])
      expect([host, (await ask(address, { host })).status]).toEqual([host, 403]);
    expect((await ask(address, { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" })).status).toBe(403);
  });

  test("who wants to change something", async () => {
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) expect((await ask(`/?token=${tokenOf()}`, {}, method)).status).toBe(405);
  });

  test("from another machine: it listens on the loopback address alone", async () => {
    const { port } = new URL(inspector.url);
    const others = Object.values(networkInterfaces()).flatMap((all = []) => all.filter(({ internal, family }) => !internal && family === "IPv4"));
    for (const address of ["127.0.0.2", ...others.map(({ address }) => address)]) {
      const isOpen = await new Promise((resolve) => {
        const socket = connect(Number(port), address, () => (socket.destroy(), resolve(true)));
        socket.on("error", () => resolve(false));
      });
      expect([address, isOpen]).toEqual([address, false]);
    }
    expect(new URL(inspector.url).hostname).toBe("127.0.0.1");
  });
});

describe("with the token", () => {
  test("the page comes from this machine's own browser under any of its loopback names, and fetches nothing from elsewhere", async () => {
    const { port } = new URL(inspector.url);
    const address = `/?token=${tokenOf()}`;
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`])
      expect((await ask(address, { host, origin: `http://${host}` })).status).toBe(200);
    const { headers, body } = await ask(address, { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" });
    expect(headers).toMatchObject({ "cache-control": "no-store", "referrer-policy": "no-referrer", "x-content-type-options": "nosniff" });
    const policy = headers["content-security-policy"] as string;
    expect(policy).toMatch(/^default-src 'none'; script-src 'nonce-[^']+'; style-src 'nonce-[^']+'; connect-src 'self'; .*frame-ancestors 'none'/);
    const [, nonce] = /script-src 'nonce-([^']+)'/.exec(policy)!;
    expect(body).toContain(`<script nonce="${nonce}">`);
    expect(body).not.toMatch(/\b(?:src|href)="/);
    expect(body).not.toContain(tokenOf());
    expect((await ask(address)).headers["content-security-policy"]).not.toBe(policy);
  });

  test("no other site is allowed to read an answer", async () => {
    for (const path of ["/", "/messages"]) expect(Object.keys((await ask(`${path}?token=${tokenOf()}`)).headers).join(" ")).not.toContain("access-control");
  });

  test("/messages are the messages until now, one JSON object in a line", async () => {
    const { status, headers, body } = await ask(`/messages?token=${tokenOf()}`);
    expect([status, headers["content-type"]]).toEqual([200, "application/x-ndjson; charset=utf-8"]);
    expect(jsonLines(body).map(({ type, sessionId }) => [type, sessionId])).toEqual([
      ["@xstate.actor", "d-1"],
      ["@xstate.event", "d-1"],
      ["@xstate.snapshot", "d-1"],
    ]);
    expect(body).not.toContain("hidden");
  });

  test("/events sends what was and what comes, as it is committed, and ends with the run", async () => {
    const response = await fetch(inspector.url.replace("/?", "/events?"));
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    let text = "";
    const reading = (async () => {
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) text += chunk;
    })();
    await expect.poll(() => text.match(/^data: /gm)?.length).toBe(3);
    await run.send({ type: "OPEN" });
    await expect.poll(() => text.match(/^data: /gm)?.length, { timeout: 5_000 }).toBe(5);
    expect(text).toMatch(/id: 5\ndata: .*"value":"open"/);
    await run.send({ type: "CLOSE" });
    await reading;
    expect(text).toMatch(/id: 8\ndata: .*"status":"done".*\n\nevent: end\ndata: \{\}\n\n$/);
    const rest = await ask(`/events?token=${tokenOf()}`, { "last-event-id": "6" });
    expect(rest.body.match(/^id: .*$/gm)).toEqual(["id: 7", "id: 8"]);
  });

  test("--context puts the contexts in, and the page says so", async () => {
    const other = await serveInspector(run, { port: 0, context: true });
    try {
      expect(await (await fetch(other.url.replace("/?", "/messages?"))).text()).toContain("hidden");
      expect(await (await fetch(other.url)).text()).toContain("contexts, output and errors");
      expect(await (await fetch(inspector.url)).text()).toContain("no contexts");
    } finally {
      await other.close();
    }
  });

  test("another path is not found, and closing ends what is being sent", async () => {
    expect((await ask(`/elsewhere?token=${tokenOf()}`)).status).toBe(404);
    const sending = ask(`/events?token=${tokenOf()}`).then(
      () => "ended",
      () => "ended",
    );
    await inspector.close();
    expect(await sending).toBe("ended");
  });
});

test("a port that is taken is a mistake in usage", async () => {
  const { port } = new URL(inspector.url);
  await expect(serveInspector(run, { port: Number(port), context: false })).rejects.toMatchObject({ code: "PAWL_USAGE", message: `port ${port} is in use` });
});

test("names in the page are text, whatever they hold", () => {
  const page = pageOf({ runId: "<img src=x onerror=alert(1)>", workflow: '"&', hasContexts: false }, "nonce");
  expect(page).not.toContain("<img");
  expect(page).toContain("&lt;img src=x onerror=alert(1)&gt;");
  expect(page).toContain("&quot;&amp;");
});

/** A page with as much of a browser as the script asks for. */
function browser(): {
  hear: (message: object) => void;
  click: () => void;
  tell: (data: object, origin?: string, source?: unknown) => void;
  opened: string[];
  posted: unknown[][];
  viewer: object;
  texts: () => string;
} {
  const opened: string[] = [];
  const posted: unknown[][] = [];
  const lines: { cells: { textContent: string }[] }[] = [];
  const handlers = new Map<string, (event: object) => void>();
  const element = (name: string): object => ({
    rows: lines,
    textContent: "",
    addEventListener: (type: string, handler: (event: object) => void) => handlers.set(`${name} ${type}`, handler),
    insertRow: () => {
      const line = { cells: [] as { textContent: string }[], insertCell: () => line.cells[line.cells.push({ textContent: "" }) - 1] };
      lines.push(line);
      return line;
    },
  });
  const elements = new Map<string, object>();
  const viewer = { closed: false, postMessage: (...sent: unknown[]) => posted.push(sent) };
  const global = {
    location: { search: "?token=t" },
    URLSearchParams,
    document: { getElementById: (id: string) => elements.get(id) ?? elements.set(id, element(id)).get(id) },
    window: {
      open: (url: string) => (opened.push(url), viewer),
      addEventListener: (type: string, handler: (event: object) => void) => handlers.set(`window ${type}`, handler),
    },
    EventSource: class {
      addEventListener(type: string, handler: (event: object) => void): void {
        handlers.set(`source ${type}`, handler);
      }
    },
  };
  runInContext(SCRIPT, createContext(global));
  return {
    opened,
    posted,
    viewer,
    hear: (message) => handlers.get("source message")!({ data: JSON.stringify(message) }),
    click: () => handlers.get("open click")!({}),
    tell: (data, origin = new URL(VIEWER_URL).origin, source = viewer) => handlers.get("window message")!({ data, origin, source }),
    texts: () => lines.flatMap(({ cells }) => cells.map(({ textContent }) => textContent)).join(" | "),
  };
}

const message = (type: string): object => ({ type: "@xstate.event", sessionId: "d-1", event: { type }, createdAt: "1795219698194" });

test("the page sends nothing to Stately's viewer before a click and its answer, then all, to its origin alone", () => {
  const page = browser();
  page.hear(message("ONE"));
  page.tell({ type: "@statelyai.connected" });
  expect([page.opened, page.posted]).toEqual([[], []]);
  page.click();
  page.hear(message("TWO"));
  expect([page.opened, page.posted]).toEqual([["https://stately.ai/inspect"], []]);
  page.tell({ type: "@statelyai.connected" }, "https://evil.example");
  page.tell({ type: "@statelyai.connected" }, undefined, {});
  page.tell({ type: "something" });
  expect(page.posted).toEqual([]);
  page.tell({ type: "@statelyai.connected" });
  page.hear(message("THREE"));
  expect(page.posted).toEqual(["ONE", "TWO", "THREE"].map((type) => [message(type), "https://stately.ai"]));
  page.tell({ type: "@statelyai.disconnected" });
  page.hear(message("FOUR"));
  expect(page.posted).toHaveLength(3);
  expect(page.texts()).toContain("FOUR");
});
