/**
 * `pawl override` and `pawl retry --input`: an operator says how a node ends, or gives it another input, while a worker executes
 * beside; and two processes that do so at once.
 */
import { expect, test } from "vitest";
import { AGENTS_OF_DOCUMENT, APPROVAL, type Ended, type Folder, HELD, makeFolder } from "./command.ts";

const INPUT = ["--input", '{"text": "done"}'];
const WHO = ["--by", "ana", "--reason", "the service is gone"];
const problem = (code: number, stderr: string): Partial<Ended> => ({ code, stdout: "", stderr: expect.stringContaining(stderr) as string });

/** `lack` fails until the test opens it; `last` is blocked by it. */
const LACKING = `name: lacking
${AGENTS_OF_DOCUMENT.trimEnd()}
  lacking: { module: ./agents.mjs }
nodes:
  lack: { agent: lacking, input: "\${input.text}" }
  last: { agent: echo, input: { text: "\${lack.result}" } }
output: { text: "\${last.result.text}" }
`;

/** A worker, and a run whose node `held` runs and waits for the test. */
async function held(): Promise<{ readonly folder: Folder; readonly pid: number }> {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  const worker = await folder.work("held.yaml");
  await folder.pawl("start", "held.yaml", "--id", "r-1", ...INPUT);
  await folder.called("held");
  return { folder, pid: worker.process.pid! };
}

/** A worker, and a run that has failed at `lack`. */
async function failed(): Promise<Folder> {
  const folder = makeFolder();
  folder.write("lacking.yaml", LACKING);
  const worker = await folder.work("lacking.yaml");
  await folder.pawl("start", "lacking.yaml", "--id", "r-1", ...INPUT);
  await worker.printed("run r-1 failed: ");
  return folder;
}

test("a node that runs is given a result by name and with a reason, and the run goes on with it", async () => {
  const { folder, pid } = await held();
  const { code, stdout } = await folder.pawl("override", "r-1", "held", "--result", '{"text": "by hand"}', ...WHO);
  expect([code, stdout.replace(/commit \d+/, "commit N")]).toEqual([0, `node held of run r-1 ends with this result; commit N (worker ${pid})\n`]);
  expect(await folder.pawl("watch", "r-1")).toMatchObject({ code: 0, stdout: '{\n  "text": "by hand!"\n}\n' });
  const shown = (await folder.pawl("show", "r-1", "--history")).stdout;
  expect(shown).toMatch(/held +completed +.*was given a result by ana: the service is gone/);
  expect(shown).toMatch(/held was given a result by ana: the service is gone\n.*held completed/);
  const { nodes } = JSON.parse((await folder.pawl("show", "r-1", "--json")).stdout) as { nodes: { id: string; overridden?: object }[] };
  expect(nodes.find(({ id }) => id === "held")!.overridden).toEqual({ outcome: "completed", by: "ana", reason: "the service is gone" });
});

test("a node that failed is passed over, and its run goes on in place", async () => {
  const folder = await failed();
  const { stdout } = await folder.pawl("override", "r-1", "lack", "--skip", "--by", "ana", "--json");
  expect(JSON.parse(stdout)).toEqual({ runId: "r-1", node: "lack", outcome: "skipped", by: "ana", commitNo: expect.any(Number) as number });
  expect((await folder.pawl("watch", "r-1")).code).toBe(0);
  expect((await folder.pawl("show", "r-1")).stdout).toMatch(/lack +skipped +.*was passed over by ana/);
});

test("a node that runs is given up, and the run fails of it", async () => {
  const { folder } = await held();
  expect((await folder.pawl("override", "r-1", "held", "--fail", ...WHO)).stdout).toContain("is given up");
  expect((await folder.pawl("watch", "r-1")).code).toBe(1);
  expect((await folder.pawl("show", "r-1")).stdout).toContain("PAWL_NODE_OVERRIDDEN it was given up by ana: the service is gone");
});

test("override says what is wrong with what it was given, and what cannot be set", async () => {
  const { folder } = await held();
  const usage = "PAWL_USAGE it is not said how the node ends";
  expect(await folder.pawl("override", "r-1", "held")).toEqual(problem(2, usage));
  expect(await folder.pawl("override", "r-1", "held", "--skip", "--fail")).toEqual(problem(2, usage));
  expect(await folder.pawl("override", "r-1", "held", "--result", "{")).toEqual(problem(2, "PAWL_USAGE the input is not JSON"));
  expect(await folder.pawl("override", "r-1", "hold", "--skip")).toEqual(problem(2, 'PAWL_INVALID_VALUE run "r-1" has no node "hold"'));
  expect(await folder.pawl("override", "r-1", "first", "--skip")).toEqual(problem(1, 'PAWL_NODE_SETTLED node "first" of run "r-1" is completed'));
  expect(await folder.pawl("override", "r-7", "held", "--skip")).toEqual(problem(5, "PAWL_RUN_NOT_FOUND"));
  folder.write("approval.ts", APPROVAL);
  await folder.pawl("start", "approval.ts", "--id", "doc-7");
  expect(await folder.pawl("override", "doc-7", "waiting", "--skip", "--timeout", "100ms")).toEqual(problem(6, "PAWL_SEND_PENDING"));
});

test("a result that is set in a run that has ended is checked by the file that is named, and by nothing else", async () => {
  const folder = await failed();
  const set = ["override", "r-1", "lack", "--result", '"set"'];
  const refused = await folder.pawl(...set);
  expect(refused).toEqual(problem(2, 'PAWL_DEFINITION_MISSING run "r-1" has ended, and this process was not given "lacking"'));
  expect(refused.stderr).toContain("--definition FILE");
  folder.write("other.yaml", LACKING.replace("last.result.text}", "last.result.text}!"));
  expect((await folder.pawl(...set, "--definition", "other.yaml")).stderr).toContain("PAWL_DEFINITION_MISSING");
  expect((await folder.pawl(...set, "--definition", "none.yaml")).stderr).toContain("PAWL_FILE_UNREADABLE");
  expect((await folder.pawl(...set, "--definition", "lacking.yaml")).stdout).toContain("ends with this result");
  expect(await folder.pawl("watch", "r-1")).toMatchObject({ code: 0, stdout: '{\n  "text": "set"\n}\n' });
});

test("retry --input gives a failed node another input, which the history and the nodes tell", async () => {
  const folder = await failed();
  folder.open("lack");
  const { stdout } = await folder.pawl("retry", "r-1", "--input", 'lack="other"');
  expect(stdout).toMatch(/^run r-1 is tried again: lack, last; /);
  expect(await folder.pawl("watch", "r-1")).toMatchObject({ code: 0, stdout: '{\n  "text": "other"\n}\n' });
  const shown = (await folder.pawl("show", "r-1", "--history")).stdout;
  expect(shown).toContain("lack is tried again with another input");
  expect(shown).toMatch(/lack +completed +.*with another input/);
  expect(await folder.pawl("retry", "r-1", "--input", "lack")).toEqual(problem(2, 'PAWL_USAGE --input "lack" has no value'));
});

test("of processes that set, retry and set again one node at once one wins; the others say what it did", async () => {
  const folder = await failed();
  folder.open("lack");
  const verbs = [
    ["override", "r-1", "lack", "--result", '"set"', "--by", "ana", "--definition", "lacking.yaml"],
    ["retry", "r-1"],
    ["override", "r-1", "lack", "--skip", "--by", "ben"],
  ];
  const ends = await Promise.all(verbs.map((words) => folder.start(...words).ended));
  const won = ends.filter(({ code }) => code === 0);
  const lost = ends.filter(({ code }) => code !== 0);
  expect(won.length).toBeGreaterThan(0);
  for (const { code, stderr } of lost) {
    expect(code).toBe(1);
    expect(stderr).toMatch(/^PAWL_(?:RUN_NOT_RETRYABLE|NODE_SETTLED|RUN_ENDED) /);
  }
  expect((await folder.pawl("watch", "r-1")).code).toBe(0);
  const { history } = JSON.parse((await folder.pawl("show", "r-1", "--history", "--json")).stdout) as {
    history: { events: { type: string; node?: string }[] }[];
  };
  const ended = history.flatMap(({ events }) => events).filter(({ type, node }) => node === "lack" && /completed|skipped/.test(type));
  expect(ended).toHaveLength(1);
});
