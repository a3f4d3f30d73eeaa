/**
 * What people see of recovery actions, warnings and stages: `pawl show`, `pawl why`, and the board beside them.
 */
import { join } from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";
import { type Run, type StageView, type Why, agent, open, workflow } from "pawl";
import { Board } from "../../src/serve/board.ts";
import { makeFolder } from "./command.ts";

const verdict = z.enum(["continue", "restart", "fail"]);
const input = z.any();

/** A run that is warned of, with a stage and a node that are, each with an action beside it, and a node that is to be recovered. */
function troubled() {
  const gate = Promise.withResolvers<void>();
  const says = (name: string, said: z.infer<typeof verdict>) => agent({ name, input, output: verdict, run: () => gate.promise.then(() => said) });
  const slow = agent({
    ...{ name: "slow", input, output: z.any(), warnAfter: "5ms", onWarn: ["save"] },
    recovery: { save: says("saver", "restart") },
    run: (_, { attempt }) => (attempt === 1 ? new Promise(() => {}) : "done"),
  });
  const flaky = agent({
    ...{ name: "flaky", input, output: z.any(), recovery: { cleanUp: says("cleaner", "continue") }, retry: { initialInterval: "1ms" } },
    onError: () => ({ recover: "cleanUp" }),
    run: (_, { attempt }) => (attempt === 1 ? Promise.reject(new Error("the disk is full")) : "done"),
  });
  const ladder = { warnAfter: "5ms", recovery: { keep: says("keeper", "continue") }, onWarn: ["keep"] } as const;
  const flow = workflow({ name: "troubled", input: z.object({}), ...ladder }, (wf) => {
    const first = wf.stage("code", ladder, () => [wf.node("write", slow, {}), wf.node("try", flaky, {})] as const);
    return wf.stage("ship", () => wf.node("end", agent({ name: "end", input, output: z.any(), run: () => 1 }), {}, { after: first }).result);
  });
  return { flow, gate };
}

async function expectAgreement(run: Run<unknown>): Promise<void> {
  const views = await run.nodes();
  const board = new Board(views);
  for await (const entry of run.history()) board.apply(entry);
  const facts = ({ id, status, attempt }: { id: string; status: string; attempt: number }): object => ({ id, status, attempt });
  expect(board.nodes.map(facts)).toEqual(views.map(facts));
}

test("show and why tell of what takes long, what runs beside it, and of nodes that are recovered; show tells of verdicts", async () => {
  const folder = makeFolder();
  const { flow, gate } = troubled();
  await using pawl = await open(join(folder.path, ".pawl/pawl.db"), { workflows: [flow] });
  const run = await pawl.start(flow, { id: "r-1", input: {} });
  const standing = async (): Promise<unknown[]> =>
    (await run.why()).causes.map(({ kind, node, stage, message }) => [kind, node ?? stage, /recovery action "(\w+)"/.exec(message)?.[1]]);
  await expect.poll(standing).toEqual([
    ["recovering", "try", "cleanUp"],
    ["takesLong", "write", "save"],
    ["takesLong", undefined, "keep"],
    ["takesLong", "code", "keep"],
  ]);
  await expectAgreement(run);

  const why = JSON.parse((await folder.pawl("why", "r-1", "--json")).stdout) as Why;
  const [, write, , code] = why.causes;
  expect(write).toMatchObject({ node: "write", since: (await run.nodes())[0]!.warnedAt, next: expect.stringContaining("`pawl override r-1 write") as string });
  expect(code).toMatchObject({ stage: "code", since: (await run.stages())[0]!.warnedAt, next: expect.stringContaining("`pawl cancel r-1`") as string });
  expect(code!.message).toMatch(/it began at .*, people were warned at .*; recovery action "keep" runs beside it: write, try$/);
  expect((await folder.pawl("why", "r-1")).stdout).toMatch(
    /\n├ recovering {2}try: its attempt failed: PAWL_AGENT_FAILED the disk is full.*\n├ takesLong {2}write: /,
  );

  const { stdout } = await folder.pawl("show", "r-1");
  expect(stdout).toMatch(
    /\nSTAGE +STATUS +BEGUN +TIME +ENDED +WHY\ncode +warned +.* +0\/2 +warned of at .*; 1 recovery action called; keep runs\nship +waiting +0\/1\n/,
  );
  expect(stdout).toMatch(/\ncode +write +running +1 +slow +warned of at \S+; recovery action save\n/);
  expect(stdout).toMatch(/\n +try +recovering +1 +\S+ +flaky +recovery action cleanUp after PAWL_AGENT_FAILED the disk is full\n/);
  const { stages } = JSON.parse((await folder.pawl("show", "r-1", "--json")).stdout) as { stages: StageView[] };
  expect(stages).toMatchObject([
    { name: "code", status: "warned", action: "keep", recoveries: 1 },
    { name: "ship", status: "waiting" },
  ]);

  gate.resolve();
  expect(await run.result()).toBe(1);
  await expectAgreement(run);
  expect((await run.nodes()).map(({ action }) => action)).toEqual([undefined, undefined, undefined]);
  const told = (await folder.pawl("show", "r-1", "--history")).stdout;
  expect(told).toMatch(/\nship +completed +.* +1\/1\n/);
  for (const text of [
    "write takes longer than its warning says",
    "write[recovery-1] started as recovery action save",
    "write was told to restart by recovery action save",
    "try calls recovery action cleanUp, attempt 1: PAWL_AGENT_FAILED the disk is full",
    "try was told to continue by recovery action cleanUp",
    "stage code takes longer than its warning says",
    "stage code was told to continue by recovery action keep",
    "run was told to continue by recovery action keep",
  ])
    expect(told).toContain(text);
});

test("graph of such a run is drawn, and a run without stages has no table of them", async () => {
  const folder = makeFolder();
  const { flow, gate } = troubled();
  await using pawl = await open(join(folder.path, ".pawl/pawl.db"), { workflows: [flow] });
  const run = await pawl.start(flow, { id: "r-1", input: {} });
  await expect.poll(async () => (await run.nodes()).map(({ status }) => status)).toEqual(["running", "recovering", "waiting"]);
  expect((await folder.pawl("graph", "r-1")).stdout).toContain('"try<br/>recovering"]:::recovering');
  gate.resolve();
  await run.ended();
  const plain = workflow({ name: "plain", input: z.object({}) }, () => 1);
  await (await pawl.start(plain, { id: "r-2", input: {} })).result();
  expect((await folder.pawl("show", "r-2")).stdout).not.toContain("STAGE");
});
