/**
 * The same done to many runs from the command line: says how many first, asks, tells of each, and goes on past one that refuses.
 */
import { expect, test } from "vitest";
import { AGENTS_OF_DOCUMENT, APPROVAL, type Ended, type Folder, makeFolder } from "./command.ts";

const LACKING = `name: lacking
${AGENTS_OF_DOCUMENT.trimEnd()}
  lacking: { module: ./agents.mjs }
nodes:
  lack: { agent: lacking, input: "\${input.text}" }
output: "\${lack.result}"
`;
const problem = (stderr: string): Partial<Ended> => ({ code: 2, stderr: expect.stringContaining(stderr) as string });

/** Three runs that have failed, one that waits for an event, and no worker. */
async function ended(): Promise<Folder> {
  const folder = makeFolder();
  folder.write("lacking.yaml", LACKING);
  folder.write("approval.ts", APPROVAL);
  for (const id of ["r-1", "r-2", "r-3"]) expect((await folder.pawl("run", "lacking.yaml", "--id", id, "--input", '{"text": "x"}')).code).toBe(1);
  await folder.pawl("start", "approval.ts", "--id", "doc-7");
  return folder;
}

test("retry --where says how many there are, does nothing without --yes where nobody can be asked, and then tells of each", async () => {
  const folder = await ended();
  const words = ["retry", "--where", "status=failed,name=lacking,since=24h"];
  const asked = await folder.pawl(...words);
  expect(asked).toMatchObject({ code: 2, stdout: "to be tried again: 3 runs (r-3, r-2, r-1)\n" });
  expect(asked.stderr).toBe("PAWL_USAGE nothing was done: there is no terminal to ask\nnext: give --yes to do it\n");
  const done = await folder.pawl(...words, "--yes", "--limit", "2");
  expect(done).toMatchObject({ code: 0 });
  expect(done.stdout).toBe("to be tried again: 2 runs (r-3, r-2)\nr-3 is tried again\nr-2 is tried again\n2 runs tried again\n");
  // those to which it was done are not found again
  const rest = JSON.parse((await folder.pawl(...words, "--yes", "--json")).stdout) as object;
  expect(rest).toMatchObject({ done: 1, recorded: 0, refused: 0, runs: [{ runId: "r-1", workflow: "lacking", status: "failed", did: "done" }] });
  expect((await folder.pawl(...words, "--yes")).stdout).toBe("no run is meant\n");
});

test("one that refuses does not stop the others, and the exit code says so; without a worker a cancel is recorded, or done at once", async () => {
  const folder = await ended();
  folder.open("lack");
  expect((await folder.pawl("run", "lacking.yaml", "--id", "r-4", "--input", '{"text": "x"}')).code).toBe(0);
  const refused = await folder.pawl("retry", "--where", "name=lacking,status=completed", "--yes");
  expect(refused).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/r-4 was not tried again: PAWL_RUN_NOT_RETRYABLE .*\n0 runs tried again, 1 refused\n$/) as string,
  });
  expect(await folder.pawl("cancel", "--where", "name=approval", "--yes", "--timeout", "100ms")).toMatchObject({
    code: 6,
    stdout: expect.stringMatching(/doc-7 will be cancelled: PAWL_SEND_PENDING .*\n0 runs cancelled, 1 recorded\n$/) as string,
  });
  expect((await folder.pawl("cancel", "--where", "name=approval", "--yes", "--now")).stdout).toContain("1 run cancelled\n");
});

test("it says what is wrong with what it was given", async () => {
  const folder = await ended();
  expect(await folder.pawl("retry")).toEqual(expect.objectContaining(problem("PAWL_USAGE it is not said which run is meant")));
  expect(await folder.pawl("pause", "doc-7", "--where", "status=running")).toEqual(expect.objectContaining(problem("PAWL_USAGE it is not said which run")));
  expect(await folder.pawl("resume", "--where", "state=failed")).toEqual(expect.objectContaining(problem('PAWL_USAGE --where "state=failed" says nothing')));
  expect(await folder.pawl("retry", "--where", "since=yesterday")).toEqual(expect.objectContaining(problem("PAWL_USAGE --where since is")));
});

test("at a terminal it asks", async () => {
  const folder = await ended();
  for (const [answer, code] of [
    ["n", 1],
    ["y", 0],
  ] as const) {
    const command = folder.startOnTerminal(40, "retry", "--where", "status=failed");
    await command.printed("Do it? [y/N]");
    command.type(`${answer}\n`);
    expect((await command.ended).code).toBe(code);
  }
  expect((await folder.pawl("ls", "--status", "failed", "--json")).stdout.trim()).toBe("[]");
});
