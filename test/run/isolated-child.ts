/**
 * A process to be killed: its agent works in a thread, keeps two steps, and never ends.
 */
import { agent, open, workflow } from "pawl";
import { z } from "zod";

const [file, log] = process.argv.slice(2) as [string, string];
const stepper = agent({ name: "stepper", input: z.any(), output: z.any(), isolate: new URL("./isolated-agents.ts#steps", import.meta.url) });
const flow = workflow({ name: "flow", input: z.any() }, (wf) => wf.node("n", stepper, { log, stay: true }).result);
const pawl = await open(file, { workflows: [flow] });
await pawl.start(flow, { id: "r", input: {} });
