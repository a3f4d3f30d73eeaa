/**
 * Shows one thing: a loop of model and tool calls that is killed goes on after the last call that has ended. Kill it when you
 * like, and say the same again: each line is a call that is made now, and none of them comes twice but the one that was cut off.
 *
 *   node --conditions=pawl-source examples/deep-research/main.ts
 *
 * `--id` names the run, so that another one begins anew; `--store` is its file. The models and what they read are offline; any model of the AI SDK takes their place.
 */
import { parseArgs } from "node:util";
import { open } from "pawl";
import type { ModelChunk } from "pawl/ai";
import { deepResearch } from "./workflow.ts";

const { values: flags } = parseArgs({ options: { id: { type: "string", default: "ratchets" }, store: { type: "string", default: ".pawl/deep-research.db" } } });

await using pawl = await open(flags.store);
const run = await pawl.start(deepResearch, { id: flags.id, input: { topic: "ratchets" } });
console.log(`run ${run.id} in ${flags.store}`);

let isHeard = false;
for await (const { chunk } of run.stream<ModelChunk>()) {
  if (chunk.kind !== "text") continue;
  process.stdout.write(isHeard ? chunk.text : `\n${chunk.text}`);
  isHeard = true;
}
const { report, findings } = await run.result();
console.log(isHeard ? "" : `\n${report}`);
console.log(`\nSources: ${[...new Set(findings.flatMap(({ sources }) => sources))].join(", ")}`);
