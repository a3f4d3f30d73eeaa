/**
 * A process that notifies: runs a workflow that fails, and posts the notice. With DIES=before it is killed when it is
 * about to, after the commit.
 */
import { agent, open, webhook, workflow } from "pawl";
import { z } from "zod";

const [file, url, secret] = process.argv.slice(2) as [string, string, string];

const breaks = agent({
  name: "breaks",
  input: z.object({}),
  output: z.string(),
  retry: { maxAttempts: 1 },
  run: async (): Promise<string> => {
    throw new Error("it broke");
  },
});
const flow = workflow({ name: "flow", input: z.object({}) }, (wf) => wf.node("bad", breaks, {}).result);

const hook = webhook({ url, secret });
const pawl = await open(file, {
  workflows: [flow],
  notify: async (notice) => {
    if (process.env["DIES"] === "before") process.kill(process.pid, "SIGKILL");
    await hook(notice);
    console.log("told");
  },
});
const run = await pawl.start(flow, { id: "r", input: {} });
await run.result().catch(() => {});
