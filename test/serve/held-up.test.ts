/**
 * What people see of a run that a limit or a circuit breaker holds up: `pawl show`, `why`, `limits ls` and `breaker ls`.
 */
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { makeFolder } from "./command.ts";

/** `/ill` is down; all else takes for ever. */
const server: Server = createServer((request, response) => {
  if (request.url === "/ill") response.writeHead(503).end();
});
beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
afterAll(() => server.closeAllConnections());
afterAll(() => void server.close());

const documentAt = (port: number): string => `name: busy
agents:
  slow: { http: { url: "http://127.0.0.1:${port}/slow" }, concurrency: 1 }
  ill: { http: { url: "http://127.0.0.1:${port}/ill" }, retry: { maxAttempts: 50, initialInterval: 1 }, breaker: { name: api, failureThreshold: 1, openFor: 1h, onOpen: wait } }
nodes:
  a: { agent: slow }
  b: { agent: slow }
  c: { agent: slow }
  d: { agent: ill }
`;

/** A machine whose step calls an agent of which one attempt may run. */
const machineAt = (port: number): string => `import { agent, step } from "pawl";
import { setup } from "xstate";
import { z } from "zod";
const lone = agent({ name: "lone", input: z.string(), output: z.unknown(), http: { url: "http://127.0.0.1:${port}/slow" }, concurrency: 1 });
export const asking = setup({ actors: { call: step(lone) } }).createMachine({ id: "asking", invoke: { id: "ask", src: "call", input: "x" } });
`;

test("it is said which limit and which breaker, how many wait, until when, for whom, and what to type", async () => {
  const folder = makeFolder();
  folder.write("busy.yaml", documentAt((server.address() as AddressInfo).port));
  folder.write("asking.ts", machineAt((server.address() as AddressInfo).port));
  const worker = await folder.work("busy.yaml", "asking.ts");
  await folder.pawl("start", "busy.yaml", "--id", "r-1", "--tenant", "acme", "--priority", "3");
  const words = ["r-1", "--store", ".pawl/pawl.db"];
  await vi.waitFor(async () => expect((await folder.pawl("why", ...words)).stdout).toMatch(/circuitOpen[^]* 2 wait in its worker/), { timeout: 30_000 });

  const { stdout: why } = await folder.pawl("why", ...words);
  expect(why).toMatch(
    /^├ circuitOpen {2}d: waits for the circuit breaker "api", which is open since \S+ \(1 failure, the last of them PAWL_AGENT_HTTP .* 503\); a call tries from /m,
  );
  expect(why).toMatch(
    /^. limit {2}\w, \w: wait for "agent:slow": 1 of 1 is used; all that wait need 2, each of these 1; 2 wait in its worker, which alone knows their order; .*the run has tenant "acme" and priority 3$/m,
  );
  const { stdout: show } = await folder.pawl("show", ...words);
  expect(show).toMatch(/^d: waits for the circuit breaker "api".*\n {2}`pawl breaker reset api --store .pawl\/pawl.db` lets calls through at once; /m);
  expect(show).toMatch(/^\w, \w: wait for "agent:slow".*\n {2}`pawl limits set agent:slow 2 --store .pawl\/pawl.db` if there may be more; /m);
  for (const id of ["m-1", "m-2"]) await folder.pawl("start", "asking.ts", "--id", id);
  const held = 'ask: waits, unless it has begun, for "agent:lone": 1 of 1 is used; all that wait need 1, each of these 1; 1 wait in its worker';
  await vi.waitFor(async () => expect((await folder.pawl("why", "m-2")).stdout).toContain(`limit  ${held}`), { timeout: 30_000 });
  expect((await folder.pawl("show", "m-2")).stdout).toMatch(new RegExp(`^${held}.*\n {2}\`pawl limits set agent:lone 2\` if there may be more; `, "m"));
  const { pid } = worker.process;
  expect((await folder.pawl("limits", "ls")).stdout).toMatch(new RegExp(`^agent:slow +1 +1 +2(, about \\S+s)? +${pid}: 1/1$`, "m"));
  const limits = JSON.parse((await folder.pawl("limits", "ls", "--json")).stdout) as { name: string }[];
  const limit = limits.find(({ name }) => name === "agent:slow");
  expect(limit).toMatchObject({
    name: "agent:slow",
    used: 1,
    waiting: 2,
    nodes: 2,
    shares: [{ epoch: expect.any(Number) as number, pid, share: 1, used: 1, nodes: 2 }],
  });
  expect((await folder.pawl("breaker", "ls")).stdout).toMatch(/^api +open .* a call tries from .* PAWL_AGENT_HTTP the service answered with status 503$/m);
  const [breaker] = JSON.parse((await folder.pawl("breaker", "ls", "--json")).stdout) as object[];
  expect(breaker).toMatchObject({ state: "open", lastFailure: { code: "PAWL_AGENT_HTTP" } });
  worker.kill("SIGKILL");
  await worker.ended;
});
