/**
 * `pawl work` and `pawl start`: workers that stand by on one store, and runs that are recorded for them.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { expect, test, vi } from "vitest";
import { type RunNotice, verifyNotice } from "../../src/index.ts";
import { partOfHundred } from "../../src/run/row.ts";
import { workerSettings } from "../../src/serve/worker-settings.ts";
import { APPROVAL, HELD, jsonLines, makeFolder } from "./command.ts";

/** Two versions whose only node has another name, and both as one. */
const ROLLOUT = `
import { rollout, workflow } from "pawl";
import { z } from "zod";
import { echo } from "./agents.mjs";

const version = (node: string) => workflow({ name: "ask", input: z.any() }, (wf) => wf.node(node, echo, wf.input).result);
export const stable = version("old");
export const candidate = version("new");
export const ask = rollout({ stable, candidate, percent: 50 });
`;

const SECRET = "a secret that both sides know";
const INPUT = ["--input", '{"text": "done"}'];

test("a worker says what it executes, and tells each run that ends", async () => {
  const folder = makeFolder();
  folder.write("approval.ts", APPROVAL);
  folder.write("held.yaml", HELD);
  folder.open("held");
  const worker = await folder.work("approval.ts", "held.yaml");
  expect(worker.stdout).toBe(`worker ${worker.process.pid} is ready on .pawl/pawl.db: approval, pipeline\n`);
  const started = await folder.pawl("start", "held.yaml", "--id", "r-1", ...INPUT);
  expect(started).toEqual({ code: 0, stdout: "r-1\n", stderr: `recorded; worker ${worker.process.pid} does it\n` });
  await worker.printed("run r-1 completed\n");
  worker.kill("SIGTERM");
  const { code, stdout, stderr } = await worker.ended;
  expect(code).toBe(0);
  expect(stdout).toMatch(/\n\d\d:\d\d:\d\d {2}run r-1 completed\n$/);
  expect(stderr).toMatch(/^closing: running attempts get 10 s .*\nclosed; unfinished runs go on when a worker is there again\n$/);
});

test("with --json a worker tells as JSON lines, and start as an object", async () => {
  const folder = makeFolder();
  folder.write("broken.yaml", HELD.replace("agent: gate", "agent: broken"));
  const worker = folder.start("work", "broken.yaml", "--json");
  await worker.printed('"type":"ready"');
  const { stdout } = await folder.pawl("start", "broken.yaml", "--json", ...INPUT);
  const { runId, ...facts } = JSON.parse(stdout) as { runId: string };
  expect(facts).toEqual({ workflow: "pipeline", status: expect.any(String) as string, workers: [worker.process.pid] });
  await worker.printed('"type":"run.failed"');
  worker.kill("SIGINT");
  expect(jsonLines((await worker.ended).stdout)).toMatchObject([
    { type: "ready", pid: worker.process.pid, store: ".pawl/pawl.db", definitions: ["pipeline"] },
    { type: "run.failed", runId, code: "PAWL_AGENT_FAILED", commitNo: expect.any(Number) as number, at: expect.any(Number) as number },
  ]);
});

test("a worker posts notices that are signed with the secret of its environment, and does not begin without one", async () => {
  const folder = makeFolder();
  folder.write("broken.yaml", HELD.replace("agent: gate", "agent: broken"));
  const received = Promise.withResolvers<RunNotice>();
  const server = createServer((request, response) => {
    void text(request)
      .then((body) => verifyNotice({ body, signature: String(request.headers["pawl-signature"]), secret: SECRET }))
      .then(received.resolve, received.reject)
      .finally(() => response.writeHead(204).end());
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const words = ["work", "broken.yaml", "--notify", `http://127.0.0.1:${(server.address() as AddressInfo).port}/`];
  vi.stubEnv("PAWL_NOTIFY_SECRET", "");
  expect(await folder.start(...words).ended).toMatchObject({ code: 2, stderr: expect.stringContaining("PAWL_USAGE PAWL_NOTIFY_SECRET is not set") as string });
  vi.stubEnv("PAWL_NOTIFY_SECRET", "short");
  expect(await folder.start(...words).ended).toMatchObject({ code: 2, stderr: expect.stringContaining("fewer than 16 characters") as string });
  vi.stubEnv("PAWL_NOTIFY_SECRET", SECRET);
  const worker = folder.start(...words);
  vi.unstubAllEnvs();
  await worker.printed("is ready on");
  await folder.pawl("start", "broken.yaml", "--id", "r-1", ...INPUT);
  expect(await received.promise).toMatchObject({ type: "run.failed", runId: "r-1", node: "held", code: "PAWL_AGENT_FAILED" });
  worker.kill("SIGTERM");
  expect((await worker.ended).code).toBe(0);
  server.close().closeAllConnections();
});

test("how a worker works is said by flags, or else by its environment; what is wrong is refused by its name", async () => {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  folder.write("two.yaml", HELD.replace("nodes:", "nodes:\n  other: { agent: gate }"));
  const refused = { code: 2, stderr: 'PAWL_USAGE --timeout-multiplier is "0"\nnext: write a number above 0, at most 1000\n' };
  expect(await folder.pawl("work", "held.yaml", "--timeout-multiplier", "0")).toMatchObject(refused);
  const alone = await folder.pawl("work", "held.yaml", "--stall-after", "10m");
  expect(alone).toMatchObject({ code: 2, stderr: expect.stringContaining("stallAfter is given, but nobody to tell") as string });
  vi.stubEnv("PAWL_STALL_AFTER", "10m");
  expect(workerSettings({ maxConcurrentAttempts: "7", maxActiveRuns: "5" })).toEqual({ maxConcurrentAttempts: 7, maxActiveRuns: 5, stallAfter: "10m" });
  for (const [name, text] of [
    ["PAWL_MAX_CONCURRENT_ATTEMPTS", "1.5"],
    ["PAWL_MAX_ACTIVE_RUNS", "0"],
    ["PAWL_STALL_AFTER", "soon"],
    ["PAWL_LIMITS", "seats"],
  ] as const) {
    vi.stubEnv(name, text);
    expect(() => workerSettings({})).toThrow(`${name} is "${text}"`);
    vi.unstubAllEnvs();
  }
  vi.stubEnv("PAWL_TIMEOUT_MULTIPLIER", "0.001");
  vi.stubEnv("PAWL_MAX_CONCURRENT_ATTEMPTS", "1");
  const hasty = folder.start("work", "held.yaml", "--max-concurrent-attempts", "2");
  const narrow = folder.start("work", "two.yaml", "--store", "two.db", "--timeout-multiplier", "1", "--max-active-runs", "1");
  vi.unstubAllEnvs();
  await Promise.all([hasty.printed("is ready"), narrow.printed("is ready")]);
  await folder.pawl("start", "held.yaml", "--id", "r-1", ...INPUT);
  await hasty.printed("run r-1 failed: PAWL_AGENT_TIMEOUT");
  await folder.pawl("start", "two.yaml", "--id", "r-2", "--store", "two.db", ...INPUT);
  await folder.called("other");
  const { nodes } = JSON.parse((await folder.pawl("show", "r-2", "--store", "two.db", "--json")).stdout) as { nodes: { id: string; status: string }[] };
  expect(nodes.slice(0, 2)).toMatchObject([
    { id: "other", status: "running" },
    { id: "first", status: "queued" },
  ]);
  await folder.pawl("start", "two.yaml", "--id", "r-3", "--store", "two.db", ...INPUT);
  await vi.waitFor(async () => expect((await folder.pawl("why", "r-3", "--store", "two.db")).stdout).toContain("those that have its definition are busy"), {
    timeout: 20_000,
  });
  expect((await folder.pawl("ls", "--status", "pending", "--store", "two.db")).stdout).toContain("r-3");
});

test("of a module it takes all, one that is there with its options once; --export takes one", async () => {
  const folder = makeFolder();
  folder.write("approval.ts", `${APPROVAL}\nimport { durable } from "pawl";\nexport default durable(approval, {});\n`);
  folder.write("two.ts", `${APPROVAL}\nexport const second = setup({}).createMachine({ id: "second" });\n`);
  folder.write("none.ts", "export const nothing = 1;\n");
  expect((await folder.work("two.ts")).stdout).toMatch(/: approval, second\n$/);
  const one = folder.start("work", "two.ts", "--export", "second");
  await one.printed("is ready on .pawl/pawl.db: second\n");
  expect((await folder.work("approval.ts")).stdout).toMatch(/ is ready on \.pawl\/pawl\.db: approval\n$/);
  expect(await folder.pawl("work", "none.ts")).toMatchObject({ code: 2, stderr: expect.stringContaining("exports no workflow or machine") as string });
  expect((await folder.pawl("work")).stderr).toContain("missing required argument 'files'");
});

test("a rollout is worked on and started as one workflow: each run gets the version of its id, or the one that is named", async () => {
  const folder = makeFolder();
  folder.write("ask.ts", ROLLOUT);
  folder.write("only.ts", `${ROLLOUT.replaceAll("export const", "const")} export { ask };`);
  const ids = Array.from({ length: 30 }, (_, i) => `r-${i}`);
  const [young, another, unstarted] = ids.filter((id) => partOfHundred(id) < 50) as [string, string, string];
  const old = ids.find((id) => partOfHundred(id) >= 50)!;
  const worker = await folder.work("ask.ts");
  expect(worker.stdout).toMatch(/: ask\n$/);
  for (const id of [young, old, another]) {
    expect((await folder.pawl("start", "ask.ts", "--id", id, ...INPUT)).code).toBe(0);
    await worker.printed(`run ${id} completed\n`);
  }
  expect(folder.calls()).toEqual(["new", "old", "new"]);
  expect(await folder.pawl("start", "ask.ts", "--id", young, ...INPUT)).toMatchObject({ code: 0, stderr: "it was there before: it is completed\n" });
  expect((await folder.pawl("run", "ask.ts", "--export", "stable", "--id", unstarted, ...INPUT)).code).toBe(0);
  const { code, stderr } = await folder.pawl("run", "only.ts", "--id", young, ...INPUT, "--store", "other.db");
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/new +completed/) as string });
  expect(folder.calls().slice(3)).toEqual(["old", "new"]);
});

test("check and graph take one version of a rollout, by the name of its export", async () => {
  const folder = makeFolder();
  folder.write("ask.ts", `${ROLLOUT.replaceAll("export const", "const")} export { ask };`);
  const several = expect.stringContaining("exports several workflows or machines: ask.stable, ask.candidate") as string;
  expect(await folder.pawl("check", "ask.ts")).toMatchObject({ code: 2, stderr: several });
  expect((await folder.pawl("check", "ask.ts", "--export", "ask.candidate")).stdout).toMatch(/workflow ask, 1 node, no errors\n[^]* new +echo/);
  expect((await folder.pawl("graph", "ask.ts", "--export", "ask.stable")).stdout).toContain("old<br/>echo");
});

test("a worker that is stopped leaves its runs to another one, and says so", async () => {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  const first = await folder.work("held.yaml");
  await folder.pawl("start", "held.yaml", "--id", "r-1", ...INPUT);
  await folder.called("held");
  const second = await folder.work("held.yaml");
  first.kill("SIGTERM");
  await first.printed("closing");
  folder.open("held");
  expect((await first.ended).stderr).toContain(`closed; worker ${second.process.pid} goes on with unfinished runs\n`);
  expect((await folder.pawl("watch", "r-1")).code).toBe(0);
});

test("a worker that is killed is replaced at once by another one", async () => {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  const first = await folder.work("held.yaml");
  await folder.pawl("start", "held.yaml", "--id", "r-1", ...INPUT);
  await folder.called("held");
  const second = await folder.work("held.yaml");
  first.kill("SIGKILL");
  folder.open("held");
  await second.printed("run r-1 completed\n");
  expect(folder.calls()).toEqual(["first", "held", "held", "last"]);
  expect((await folder.pawl("show", "r-1", "--history")).stdout).toContain("run was taken up by a worker");
});

test("start of a run that is there says so; an input that does not fit is refused before it is recorded", async () => {
  const folder = makeFolder();
  folder.write("approval.ts", APPROVAL);
  await folder.pawl("start", "approval.ts", "--id", "doc-7");
  expect(await folder.pawl("start", "approval.ts", "--id", "doc-7")).toEqual({ code: 0, stdout: "doc-7\n", stderr: "it was there before: it is pending\n" });
  expect(await folder.pawl("start", "approval.ts", "--id", "doc-7", "--input", "1")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("PAWL_RUN_CONFLICT") as string,
  });
});

test("subject and tags are shown, and looked up by, together with the time of the start", async () => {
  const folder = makeFolder();
  folder.write("approval.ts", APPROVAL);
  await folder.pawl("start", "approval.ts", "--id", "doc-7", "--subject", "ada", "--tag", "urgent", "--tag", "law");
  await folder.pawl("start", "approval.ts", "--id", "doc-8", "--subject", "bea", "--tag", "law");
  await folder.pawl("start", "approval.ts", "--id", "doc-9");
  const ids = async (...words: string[]): Promise<string[]> =>
    (JSON.parse((await folder.pawl("ls", "--json", ...words)).stdout) as { id: string }[]).map(({ id }) => id);
  expect(await ids("--subject", "ada")).toEqual(["doc-7"]);
  expect(await ids("--tag", "law")).toEqual(["doc-8", "doc-7"]);
  expect(await ids("--since", "1h", "--until", "2999-01-01")).toEqual(["doc-9", "doc-8", "doc-7"]);
  expect(await ids("--since", "2999-01-01T10:00")).toEqual([]);
  expect(await ids("--until", "1h")).toEqual([]);
  const { stdout, stderr } = await folder.pawl("ls", "--tag", "law", "--since", "7d", "--until", "2999-01-01", "--status", "pending", "--limit", "1");
  expect(stdout).toMatch(/^RUN +STATUS +WORKFLOW +SUBJECT +STARTED +TOOK\ndoc-8 +pending +approval +bea /);
  expect(stderr).toBe("more: pawl ls --after doc-8 --limit 1 --status pending --tag law --since 7d --until 2999-01-01\n");
  expect(await folder.pawl("ls", "--since", "yesterday")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('PAWL_USAGE --since is "yesterday", which is no instant\nnext: write 90m, 24h or 7d') as string,
  });
  expect((await folder.pawl("show", "doc-7")).stdout).toMatch(/^subject +ada\ntags +urgent, law$/m);
});

test("run takes subject and tags, too", async () => {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  folder.open("held");
  await folder.pawl("run", "held.yaml", "--id", "r-1", "--subject", "ada", "--tag", "urgent", ...INPUT);
  expect(JSON.parse((await folder.pawl("show", "r-1", "--json")).stdout)).toMatchObject({ subject: "ada", tags: ["urgent"] });
});
