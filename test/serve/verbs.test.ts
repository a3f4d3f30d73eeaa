/**
 * The verbs of the command line on every kind of node, while a worker executes beside; and two of them at once on one run, each
 * in a process of its own.
 */
import { expect, test, vi } from "vitest";
import { type Folder, makeFolder } from "./command.ts";

/** A node of each kind, none of which ends of itself. */
const KINDS = `
import { agent, workflow } from "pawl";
import { createMachine } from "xstate";
import { z } from "zod";
import { gate } from "./agents.mjs";

const machine = createMachine({ id: "machine", initial: "waits", states: { waits: {} } });
const asMachine = agent({ name: "as-machine", input: z.any(), output: z.any(), machine });
export const inner = workflow({ name: "inner", input: z.any() }, (wf) => wf.node("deep", gate, wf.input).result);
export const kinds = workflow({ name: "kinds", input: z.any() }, (wf) => ({
  items: wf.map("items", [1, 2], gate, (item) => item).result,
  list: wf.map("list", [1, 2], gate, (item) => item).result,
  choice: wf.when("choice", wf.input, () => wf.node("member", gate, {}).result, () => 1).result,
  loop: wf.repeat("loop", gate, {}, { max: 1 }).result,
  child: wf.run("child", inner, {}).result,
  machine: wf.node("machine", asMachine, {}).result,
  awaited: wf.event("awaited", z.any()).result,
  other: wf.resultOf("other", inner, "other").result,
}));
`;

/** A worker on these, and a run of each under way. */
async function kinds(): Promise<Folder> {
  const folder = makeFolder();
  folder.write("kinds.ts", KINDS);
  await folder.work("kinds.ts");
  await folder.pawl("start", "kinds.ts", "--export", "inner", "--id", "other", "--input", "1");
  await folder.pawl("start", "kinds.ts", "--export", "kinds", "--id", "r-1", "--input", "1");
  for (const node of ["items[0]", "items[1]", "list[0]", "member", "loop[0]", "deep"]) await folder.called(node);
  return folder;
}

const statusOf = async (folder: Folder, run: string): Promise<string> =>
  (JSON.parse((await folder.pawl("show", run, "--json")).stdout) as { status: string }).status;

test("nodes of every kind are held, go on, are cut off, run again with another input, and end as they are told", async () => {
  const folder = await kinds();
  const did = async (...words: string[]): Promise<string> => {
    const { code, stdout, stderr } = await folder.pawl(...words);
    expect([code, stderr], words.join(" ")).toEqual([0, ""]);
    return stdout;
  };
  await did("pause", "r-1");
  await did("resume", "r-1");
  await did("override", "r-1", "items[0]", "--fail");
  await did("cancel", "r-1");
  // a run of its own hears of it as soon as its worker comes to it
  await vi.waitFor(async () => expect(await statusOf(folder, "r-1/child")).toBe("cancelled"), { timeout: 30_000, interval: 10 });
  expect(await statusOf(folder, "other")).toBe("running");
  expect(await did("retry", "r-1", "--input", 'items[0]="again"')).toContain("items[0]");
  await did("override", "r-1", "items[0]", "--result", '"one"');
  await did("override", "r-1", "items[1]", "--skip");
  await did("override", "r-1", "list", "--result", '["a"]');
  await did("override", "r-1", "member", "--result", '"yes"');
  await did("override", "r-1", "loop[0]", "--result", '"round"');
  await did("override", "r-1", "child", "--skip");
  await did("override", "r-1", "machine", "--result", '"done"');
  await did("send", "r-1", "awaited", '{"ok": true}');
  await did("override", "r-1", "other", "--result", '"not waited for"');
  const { code, stdout } = await folder.pawl("watch", "r-1");
  expect(code).toBe(0);
  const ends = { items: ["one", null], list: ["a"], choice: "yes", loop: "round", machine: "done", awaited: { ok: true }, other: "not waited for" };
  expect(JSON.parse(stdout)).toMatchObject(ends);
  expect(await statusOf(folder, "other")).toBe("running");
  expect(await did("fork", "r-1", "--from", "list", "--id", "f-1", "--yes")).toContain("f-1");
});

const RACES: readonly (readonly [readonly string[], readonly (readonly string[])[], string, readonly string[]])[] = [
  [["pause", "r-1"], [["cancel", "r-1"], ["pause", "r-1"], ["resume", "r-1"]], "run.cancelled", ["PAWL_RUN_ENDED", "PAWL_RUN_NOT_RETRYABLE"]], // prettier-ignore
  [["cancel", "r-1"], [["resume", "r-1"], ["retry", "r-1"], ["resume", "r-1"]], "taken up", ["PAWL_RUN_NOT_RETRYABLE"]], // prettier-ignore
];

test.each(RACES)("after %j of processes that do %j at once each wins, or is told what was done", async (first, verbs, what, codes) => {
  const folder = await kinds();
  await folder.pawl(...first);
  const ends = await Promise.all(verbs.map((words) => folder.start(...words).ended));
  expect(ends.filter(({ code }) => code === 0)).not.toEqual([]);
  for (const { code, stderr } of ends) if (code !== 0) expect(codes).toContain(/^\w+/.exec(stderr)![0]);
  const { history } = JSON.parse((await folder.pawl("show", "r-1", "--history", "--json")).stdout) as {
    history: { events: { type: string; node?: string }[] }[];
  };
  const told = history.flatMap(({ events }) => events).filter(({ node }) => node === undefined);
  const isIt = (type: string): boolean => (what === "taken up" ? type === "run.continued" || type === "run.retried" : type === what);
  expect(told.filter(({ type }) => isIt(type)).length).toBeGreaterThanOrEqual(1);
  // whoever takes it up twice finds it taken up
  if (what === "taken up") expect(told.filter(({ type }) => isIt(type))).toHaveLength(1);
});
