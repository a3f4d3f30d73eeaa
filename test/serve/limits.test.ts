/**
 * `pawl limits`, and for whom and how urgently `pawl start` starts a run.
 */
import { expect, test } from "vitest";
import { makeFolder } from "./command.ts";

const LIMITED = `
name: limited
agents: { model: { http: { url: "http://localhost:1" }, concurrency: 3 } }
nodes: { ask: { agent: model } }
`;

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
    stderr: expect.stringContaining('PAWL_UNKNOWN_LIMIT there is no limit "agent:modl" did you mean "agent:model"?') as string,
  });
  expect((await folder.pawl("limits", "set", "agent:model", "0")).code).toBe(2);
  worker.kill("SIGTERM");
  await worker.ended;
});
