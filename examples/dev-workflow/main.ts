/**
 * Work on the outside world that is done once: from a prompt to a pull request on a real git repository, with a person's
 * approval. Kill it when you like, and say the same again: nothing is committed twice.
 *
 *   node --conditions=pawl-source examples/dev-workflow/main.ts              waits for a person, and says how to answer
 *   node --conditions=pawl-source examples/dev-workflow/main.ts --yes        approves by itself
 *
 * `--id` names the run, `--folder` is where the repository and the file of the runs are.
 */
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { open } from "pawl";
import { ensureOrigin, git } from "./repository.ts";
import { development } from "./workflow.ts";

const PROMPT = "slugify(title) makes a title fit for an address";

const { values: flags } = parseArgs({
  options: { id: { type: "string", default: "dev" }, folder: { type: "string", default: ".pawl/dev-workflow" }, yes: { type: "boolean", default: false } },
});
const { id, yes } = flags;
const store = join(flags.folder, "pawl.db");
const branch = `agent/${id}`;
const origin = await ensureOrigin(resolve(flags.folder));
const say = (_: object, line = ""): void => console.log(`  ${line}`);

await using pawl = await open(store, { log: { debug: () => {}, info: say, warn: say, error: say } });
console.log(`run ${id} in ${store}`);
pawl.subscribe(({ runId, events }) => {
  if (runId === id && events.some(({ type, node }) => type === "node.started" && node === "approval")) ask();
});
const run = await pawl.start(development, { id, input: { prompt: PROMPT, origin, branch } });
const done = (await run.nodes()).filter(({ kind, status }) => kind === "call" && status === "completed");
if (done.length > 0) console.log(`  done before, and not done again: ${done.map((node) => node.id).join(" ")}`);
const { status, waitingFor } = await run.status();
if (waitingFor !== undefined) ask();
if (yes && status === "running") await run.send({ type: "approval", approved: true, by: "--yes" }, { eventId: "yes" }); // one that comes early is kept

const { passed, review } = await run.result();
console.log(`\n${await git(origin, "log", "--oneline", "--graph", branch)}\n`);
if (!passed) console.log("the tests never passed: there is nothing to review");
else console.log(review?.pullRequest === undefined ? `${review?.by} has refused it` : `pull request: ${review.pullRequest}`);
console.log(`what happened: pawl show ${id} --history --store ${store}`);

function ask(): void {
  if (yes) return;
  console.log("\n  A person decides, now or when this process is gone. To see it, and to answer:");
  console.log(`  git -C ${origin} diff main ${branch}`);
  console.log(`  pawl send ${id} approval '{"approved": true, "by": "ana"}' --store ${store}\n`);
}
