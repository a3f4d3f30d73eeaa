/**
 * `pawl why` and `pawl failures`: what is printed, to people and to programs.
 */
import { expect, test } from "vitest";
import type { FailurePatterns, Why } from "pawl";
import { AGENTS_OF_DOCUMENT, APPROVAL, makeFolder } from "./command.ts";

const BROKEN = `name: chain
${AGENTS_OF_DOCUMENT}
nodes:
  first: { agent: broken, input: { text: "x" } }
  last: { agent: echo, input: { text: "\${first.result.text}" } }
output: { text: "\${last.result.text}" }
`;

test("why prints a short tree with the remedy, for the store that was asked, and nothing that controls the terminal", async () => {
  const folder = makeFolder();
  folder.write("chain.yaml", BROKEN);
  await folder.pawl("run", "chain.yaml", "--id", "r-1");
  const { code, stdout, stderr } = await folder.pawl("why", "r", "--store", ".pawl/pawl.db");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toBe(
    [
      "run  r-1  failed  can go on",
      '├ failed  first failed: PAWL_AGENT_FAILED no such [31m model (its attempt, agent "broken"); it blocks last',
      "└ blocked  last never starts: first failed",
      "  └ failed  first failed: PAWL_AGENT_FAILED no such [31m model",
      "next: `pawl retry r-1 --store .pawl/pawl.db`; with another input: `pawl retry r-1 --input 'first=…' --store .pawl/pawl.db`",
      "",
    ].join("\n"),
  );
  const why = JSON.parse((await folder.pawl("why", "r-1", "--json")).stdout) as Why;
  expect(why).toMatchObject({
    runId: "r-1",
    status: "failed",
    recoverable: true,
    leftOut: 0,
    causes: [{ kind: "failed", node: "first" }, { kind: "blocked" }],
  });
  expect(why.next).toMatch(/^`pawl retry r-1`/);
  expect((await folder.pawl("why", "r-7")).code).toBe(5);
});

test("why of a machine's run without a worker says what it waits for first, and that nobody would take it", async () => {
  const folder = makeFolder();
  folder.write("approval.ts", APPROVAL);
  await folder.pawl("start", "approval.ts", "--id", "doc-7");
  const { stdout } = await folder.pawl("why", "doc-7");
  expect(stdout).toBe('run  doc-7  pending  can go on\n└ noWorker  no worker is there\nnext: start one that has "approval": `pawl work FILE`\n');
});

test("failures counts what runs fail of, with the newest run of each", async () => {
  const folder = makeFolder();
  folder.write("chain.yaml", BROKEN);
  for (const id of ["r-1", "r-2"]) await folder.pawl("run", "chain.yaml", "--id", id);
  const { stdout, code } = await folder.pawl("failures", "--since", "1h");
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^RUNS +STATUS +WORKFLOW +NODE +CODE +NEWEST +MESSAGE\n2 +failed +chain +first \(broken\) +PAWL_AGENT_FAILED transient +r-2 +no such \[31m model\n$/,
  );
  const { stdout: json, stderr } = await folder.pawl("failures", "--limit", "1", "--json");
  expect(JSON.parse(json) as FailurePatterns).toMatchObject({ runs: 1, hasMore: true, patterns: [{ count: 1, newest: { id: "r-2" } }] });
  expect(stderr).toBe("");
  expect(await folder.pawl("failures", "--workflow", "other")).toMatchObject({ code: 0, stdout: "", stderr: "no run failed\n" });
});

test("timeouts tells how long agents take, with a timeout that would suit each", async () => {
  const folder = makeFolder();
  expect(await folder.pawl("timeouts", "--workflow", "other")).toMatchObject({ code: 2 });
  folder.write("chain.yaml", `name: chain\n${AGENTS_OF_DOCUMENT}\nnodes: { only: { agent: echo, input: { text: x } } }\n`);
  expect((await folder.pawl("run", "chain.yaml", "--id", "r-1")).code).toBe(0);
  const { stdout } = await folder.pawl("timeouts");
  expect(stdout).toMatch(/^AGENT +ATTEMPTS +P50 +P95 +P99 +LONGEST +TIMED OUT +SUGGESTED\necho +1 +\d+.+ +0 +\d+[smh]\n$/);
  expect(JSON.parse((await folder.pawl("timeouts", "--json")).stdout)).toMatchObject({
    runs: 1,
    hasMore: false,
    agents: [{ agent: "echo", count: 1, timedOut: 0 }],
  });
  expect(await folder.pawl("timeouts", "--workflow", "other")).toMatchObject({ code: 0, stdout: "", stderr: "no attempt was measured\n" });
});
