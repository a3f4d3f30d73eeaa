/**
 * `pawl limits`, what `--limit` of `pawl work` and `pawl run` limits, and for whom and how urgently `pawl start` starts a run.
 */
import { once } from "node:events";
import { type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { limitsSetting } from "../../src/serve/worker-settings.ts";
import { makeFolder } from "./command.ts";

const LIMITED = `
name: limited
agents: { model: { http: { url: "http://localhost:1" }, concurrency: 3 } }
nodes: { ask: { agent: model } }
`;

/** Two nodes at once, each of which uses a seat and three tokens. */
const seated = (url: string) => `
name: seated
agents: { model: { http: { url: "${url}" }, uses: { seats: 1, tokens: 3 } } }
nodes: { one: { agent: model }, two: { agent: model } }
`;
const FORM = "next: write name=max[/per][/tenant], max from 1 on, per as 500ms, 60s, 5m or 1h: llmTokens=100000/60s, or dbConnections=50/tenant\n";

test("a worker's limits are listed, set and reset from another process, and a run is started for a tenant", async () => {
  const folder = makeFolder();
  folder.write("limited.yaml", LIMITED);
  expect(await folder.pawl("limits", "ls").then(({ code }) => code)).not.toBe(1);
  const started = await folder.pawl("start", "limited.yaml", "--id", "r-1", "--tenant", "acme", "--priority", "-2");
  expect(started.code).toBe(0);
  expect(await folder.pawl("limits", "ls")).toMatchObject({ code: 0, stderr: "no limits\n" });
  const { stdout } = await folder.pawl("show", "r-1");
  expect(stdout).toMatch(/^tenant +acme$/m);
  expect(stdout).toMatch(/^priority +-2$/m);
  expect((await folder.pawl("ls")).stdout).toMatch(/^RUN +STATUS +WORKFLOW +TENANT +STARTED/);
  const worker = await folder.work("limited.yaml");
  expect((await folder.pawl("limits", "ls")).stdout).toMatch(/^LIMIT +MAX +USED +WAITING +FREE AT +WORKERS\nagent:model +3 +\d/);
  expect((await folder.pawl("limits", "set", "agent:model", "1")).stdout).toContain("1, set instead of 3");
  const reset = JSON.parse((await folder.pawl("limits", "reset", "agent:model", "--json")).stdout) as object;
  expect(reset).toMatchObject({ name: "agent:model", max: 3 });
  expect(await folder.pawl("limits", "set", "agent:modl", "1")).toMatchObject({
    code: 5,
    stderr: expect.stringContaining('PAWL_UNKNOWN_LIMIT there is no limit "agent:modl"; did you mean "agent:model"?') as string,
  });
  expect((await folder.pawl("limits", "set", "agent:model", "0")).code).toBe(2);
  worker.kill("SIGTERM");
  await worker.ended;
});

test("what agents of a document use is limited by --limit of their worker, and it refuses those that use what none names", async () => {
  const folder = makeFolder();
  const asked: ServerResponse[] = [];
  const server = createServer((_, response) => void asked.push(response));
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => server.close().closeAllConnections());
  folder.write("seated.yaml", seated(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`));
  const refused = await folder.pawl("work", "seated.yaml", "--limit", "seat=1");
  expect(refused).toMatchObject({
    code: 5,
    stderr: expect.stringMatching(/^PAWL_UNKNOWN_LIMIT .*did you mean "seat"\?.*\n(.*\n)*.*or --limit seats=MAX\n/) as string,
  });
  await folder.work("seated.yaml", "--limit", "seats=1/tenant", "--limit", "tokens=50/90s");
  await folder.pawl("start", "seated.yaml", "--id", "r-1", "--tenant", "acme");
  await vi.waitFor(async () => {
    const { stdout } = await folder.pawl("limits", "ls", "--json");
    expect(JSON.parse(stdout)).toMatchObject([
      { name: "seats", max: 1, each: "tenant", tenant: "acme", used: 1, waiting: 1, nodes: 1 },
      { name: "tokens", max: 50, perMs: 90_000, used: 3, waiting: 3 },
    ]);
  }, 20_000);
  expect((await folder.pawl("why", "r-1")).stdout).toContain("seats");
  for (let answered = 1; answered <= 2; answered++) {
    await vi.waitFor(() => expect(asked).toHaveLength(answered), 20_000);
    asked.at(-1)!.end("1");
  }
  expect((await folder.pawl("watch", "r-1")).code).toBe(0);
  await folder.work("seated.yaml", "--limit", "seats=1/tenant", "--limit", "tokens=60/90s");
  const differs = 'workers were given different numbers for "tokens", and each goes by its own: start them with the same\n';
  expect(await folder.pawl("limits", "ls")).toMatchObject({ code: 0, stderr: differs });
});

test("pawl run limits, too, and says it again in the command that goes on", async () => {
  const folder = makeFolder();
  folder.write("seated.yaml", seated("http://127.0.0.1:1/"));
  const { code, stderr } = await folder.pawl("run", "seated.yaml", "--id", "r-1", "--limit", "tokens=2", "--limit", "seats=1/1h");
  expect(stderr).toContain("go on with\n  pawl run seated.yaml --id r-1 --limit tokens=2 --limit seats=1/1h\n");
  expect((await folder.pawl("show", "r-1")).stdout).toContain("PAWL_LIMIT_EXCEEDED");
  expect(code).toBe(1);
});

test.each(["work", "run"])("pawl %s refuses a limit that is not written as one, and shows how", async (verb) => {
  const folder = makeFolder();
  folder.write("limited.yaml", LIMITED);
  expect(await folder.pawl(verb, "limited.yaml", "--limit", "llmTokens")).toEqual({
    code: 2,
    stdout: "",
    stderr: `PAWL_USAGE --limit is "llmTokens"\n${FORM}`,
  });
  expect((await folder.pawl(verb, "limited.yaml", "--limit")).stderr).toContain("argument missing");
});

test("limits are said by flags, or else by PAWL_LIMITS, each once", () => {
  vi.stubEnv("PAWL_LIMITS", "llmTokens=100000/60s, dbConnections=50/tenant,both=1/1.5h/tenant");
  const [said, typed] = [limitsSetting(undefined), limitsSetting(["seats=2"])];
  for (const wrong of ["a=1,,b=2", "=1", "a=", "a=0", "a=1.5", "a=-1", "a=1/60", "a=1/0s", "a=1/tenants", "a=1/tenant/60s", "a=9007199254740993"]) {
    vi.stubEnv("PAWL_LIMITS", wrong);
    expect(() => limitsSetting(undefined), wrong).toThrow('PAWL_LIMITS is "');
  }
  vi.unstubAllEnvs();
  expect(said).toEqual({
    limits: { llmTokens: { max: 100_000, per: "60s" }, dbConnections: { max: 50, each: "tenant" }, both: { max: 1, per: "1.5h", each: "tenant" } },
  });
  expect(typed).toEqual({ limits: { seats: { max: 2 } } });
  expect(limitsSetting(undefined)).toEqual({});
  expect(() => limitsSetting(["a=1", "a=2"])).toThrow('--limit names "a" twice');
});
