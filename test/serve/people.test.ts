/**
 * People in the loop: a workflow's run waits for an event in one process, and somebody answers it from another terminal.
 */
import { expect, test } from "vitest";
import { type Ended, type Folder, jsonLines, makeFolder } from "./command.ts";

/** first → review (with a note beside it) → the way it was reviewed. */
const REVIEW = `
import { workflow } from "pawl";
import { z } from "zod";
import { echo, gate } from "./agents.mjs";
export const child = workflow({ name: "child", input: z.any() }, (wf) => wf.node("inner", echo, {}).result);
export const review = workflow({ name: "review", input: z.any() }, (wf) => {
  const each = wf.stage("reading", () => wf.map("each", [1, 2, 3], echo, (n) => ({ n })));
  const held = wf.node("held", gate, {}, { after: [each] });
  const asked = wf.event("asked", z.object({ approved: z.boolean(), by: z.string().optional() }), { timeout: "2d" });
  const later = wf.event("later", z.object({ text: z.string() }), { after: [held] });
  const way = wf.when("way", asked.result.approved, () => wf.run("yes", child, {}).result, () => wf.node("no", echo, {}).result);
  return { by: asked.result.by, text: later.result.text, way: way.result };
});
export default review;
`;

async function asking(): Promise<{ readonly folder: Folder; readonly pid: number }> {
  const folder = makeFolder();
  folder.write("review.ts", REVIEW);
  const worker = await folder.work("review.ts");
  await folder.pawl("start", "review.ts", "--export", "review", "--id", "r-1", "--input", "{}");
  await folder.called("held");
  return { folder, pid: worker.process.pid! };
}

const problem = (code: number, stderr: string): Partial<Ended> => ({ code, stdout: "", stderr: expect.stringContaining(stderr) as string });
const said = (text: string): Partial<Ended> => ({ code: 0, stdout: expect.stringMatching(text) as string });

test("show says what is awaited, since when, until when, and the command that answers; as JSON with the schema of a form", async () => {
  const { folder } = await asking();
  const { stdout } = await folder.pawl("show", "r-1");
  expect(stdout).toMatch(/\nwaits for event asked, since [\d :-]+, until [\d :-]+\n {2}pawl send r-1 asked '\{"approved": <boolean>\}'\n/);
  expect(stdout).toMatch(/reading +each +completed +\d+m?s +echo +3\/3 done\n/);
  expect(stdout).toMatch(/ asked +awaited +until /);
  expect(stdout).toMatch(/ later +waiting +waits for held\n/);
  const shown = JSON.parse((await folder.pawl("show", "r-1", "--json")).stdout) as { waitingFor: { awaited: object[] }; nodes: object[] };
  expect(shown.waitingFor.awaited).toEqual([
    {
      type: "asked",
      since: expect.any(Number) as number,
      dueAt: expect.any(Number) as number,
      schema: expect.objectContaining({ type: "object", required: ["approved"] }) as object,
    },
  ]);
  expect(shown.nodes).toHaveLength(10);
});

test("an answer is checked before it is taken, taken once, and kept when it comes early; the run goes on with it", async () => {
  const { folder, pid } = await asking();
  const send = (...words: string[]): Promise<Ended> => folder.pawl("send", "r-1", ...words);
  expect(await send("asked", '{"approved": "yes"}')).toEqual(
    problem(1, "expected boolean, received string → at approved\nnext: see what it takes: `pawl show r-1`"),
  );
  expect(await send("asked")).toEqual(problem(1, "→ at approved"));
  expect(await send("askd", "{}")).toEqual(problem(1, 'workflow "review" has no event "askd"; it takes asked, later; did you mean "asked"?'));
  expect(await send("held", "{}")).toEqual(problem(1, 'has no event "held"'));
  expect(await send("asked", "[1]")).toEqual(problem(2, "PAWL_USAGE"));
  expect(await send("later", '{"text": "early"}')).toMatchObject(said(`^run r-1 keeps later until it waits for it; commit \\d+ \\(worker ${pid}\\)\n$`));
  expect(await send("later", '{"text": "late"}')).toMatchObject(said("^run r-1 does not wait for later any more"));
  expect(await send("later", '{"text": "late"}', "--strict")).toEqual(problem(1, 'PAWL_EVENT_UNHANDLED run "r-1" does not wait for "later" any more'));
  const answer = ["asked", '{"approved": true, "by": "ana"}', "--event-id", "mail-1"];
  expect(await send(...answer)).toMatchObject(said(`^run r-1 took asked; commit \\d+ \\(worker ${pid}\\)\n$`));
  expect(await send(...answer)).toMatchObject(said("^run r-1 took the event of this id before, with commit "));
  folder.open("held");
  const { code, stdout } = await folder.pawl("watch", "r-1");
  expect([code, JSON.parse(stdout)]).toEqual([0, { by: "ana", text: "early", way: {} }]);
  expect(await send(...answer), "also after the end").toMatchObject(said("^run r-1 took the event of this id before"));
  expect(await send("asked", '{"approved": true}')).toEqual(problem(1, 'PAWL_RUN_ENDED run "r-1" is completed'));
  const shown = await folder.pawl("show", "r-1", "--history");
  expect(shown.stdout).toMatch(/ {2}yes +completed +1 +\d+m?s +child +run r-1\/yes\n.*not taken: no\n/);
  expect(shown.stdout).toMatch(/asked came after .*\n.*way took then\n.*yes started as run r-1\/yes\n/);
  expect((await folder.pawl("show", "r-1/yes")).code).toBe(0);
});

test("watch tells of what is awaited with the command that answers, as lines and as JSON", async () => {
  const { folder } = await asking();
  await folder.seen("r-1", /waits for event asked, since .*\n +pawl send r-1 asked '\{"approved": <boolean>\}'/);
  const watch = folder.start("watch", "r-1", "--json");
  await watch.printed('"type":"waiting"');
  await folder.pawl("send", "r-1", "asked", '{"approved": false}');
  await watch.printed('"type":"node.completed","runId":"r-1","commitNo"');
  watch.kill("SIGKILL");
  const [waiting] = jsonLines((await watch.ended).stdout.replace(/\n[^\n]*$/, "")).filter(({ type }) => type === "waiting");
  expect(waiting).toMatchObject({ events: ["asked"], awaited: [{ type: "asked", schema: { required: ["approved"] } }] });
});

test("without a worker an answer is recorded if it fits, and refused if it does not, though no code is there", async () => {
  const folder = makeFolder();
  folder.write("review.ts", REVIEW);
  await folder.pawl("start", "review.ts", "--export", "review", "--id", "r-1", "--input", "{}");
  expect(await folder.pawl("send", "r-1", "asked", '{"approved": 1}')).toEqual(problem(1, "→ at approved"));
  expect(await folder.pawl("send", "r-1", "later", '{"text": "soon"}')).toEqual(problem(6, "PAWL_SEND_PENDING"));
  await folder.pawl("send", "r-1", "asked", '{"approved": false}');
  folder.open("held");
  await folder.work("review.ts");
  const { stdout } = await folder.pawl("watch", "r-1");
  expect(JSON.parse(stdout)).toMatchObject({ text: "soon" });
  const drawn = await folder.pawl("graph", "r-1");
  expect(drawn.stdout).toMatch(/subgraph sn0\["reading"\]\n +n0\[\["each<br\/>completed: 3\/3 done"\]\]:::completed\n/);
  expect(drawn.stdout).toMatch(/n\d ==>\|"else"\| n\d\n/);
});

test("the inspector has items beneath their map, members beneath their choice, and an event that is awaited", async () => {
  const { folder } = await asking();
  folder.open("held");
  await folder.pawl("send", "r-1", "asked", '{"approved": true}');
  await folder.pawl("send", "r-1", "later", '{"text": "x"}');
  await folder.pawl("watch", "r-1");
  const messages = jsonLines((await folder.pawl("inspect", "r-1", "--json")).stdout) as {
    type: string;
    name?: string;
    parentId?: string;
    sessionId: string;
    snapshot?: { value: unknown };
  }[];
  const parents = new Map(messages.filter(({ type }) => type === "@xstate.actor").map(({ name, parentId }) => [name, parentId]));
  expect(parents.get("each[1]")).toBe("r-1/each");
  expect(parents.get("yes")).toBe("r-1/way");
  expect(parents.get("asked")).toBe("r-1/supervisor~1");
  expect(parents.has("no")).toBe(false);
  const states = messages.flatMap(({ sessionId, snapshot }) => (sessionId === "r-1/asked" && snapshot !== undefined ? [snapshot.value] : []));
  expect(states).toEqual(["waiting", "awaited", "completed"]);
});
