/**
 * Partial results: a panel of agents assesses an infrastructure, one of them fails for good at one service, and the run
 * completes without that review, `degraded`, and says what is missing. Kill it when you like, and say the same again.
 *
 *   node --conditions=pawl-source examples/infra-assessment/main.ts
 *   node --conditions=pawl-source examples/infra-assessment/main.ts my-infrastructure.json --id mine
 *
 * `--store` is the file of the runs.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { open } from "pawl";
import { assessment } from "./workflow.ts";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { id: { type: "string", default: "assessment" }, store: { type: "string", default: ".pawl/infra-assessment.db" } },
});
const [file = fileURLToPath(new URL("infrastructure.json", import.meta.url))] = positionals;
const say = (_: object, line = ""): void => console.log(`  ${line}`);

await using pawl = await open(flags.store, { log: { debug: () => {}, info: say, warn: say, error: say } });
pawl.subscribe(({ events }) => {
  for (const { type, node, message } of events) {
    if (type === "node.backingOff") console.log(`  ${node} failed, and is tried again: ${message}`);
    if (type === "node.skipped") console.log(`  ${node} failed, and is left out: ${message}`);
  }
});
console.log(`run ${flags.id} in ${flags.store}`);
const run = await pawl.start(assessment, { id: flags.id, input: { file } });
const done = (await run.nodes()).filter(({ kind, status }) => kind === "call" && (status === "completed" || status === "skipped"));
if (done.length > 0) console.log(`  ${done.length} nodes are on the disk already and do not run again`);

const { reviews, poor, missing } = await run.result();
const { degraded } = await run.status();
console.log(`\n${reviews} reviews, ${poor.length} of them poor${degraded ? `; degraded: ${missing.length} missing` : ""}\n`);
for (const { service, area, why } of poor) console.log(`  ${service.padEnd(10)} ${area.padEnd(12)} ${why}`);
for (const what of missing) console.log(`  missing    ${what}`);

console.log(`\nsee each node:    pawl show ${run.id} --store ${flags.store}`);
const [left] = (await run.nodes()).filter(({ status }) => status === "skipped");
if (left !== undefined) {
  console.log(`fill the gap:     put ${file} right, then`);
  console.log(`                  pawl fork ${run.id} --from '${left.id}' --id ${run.id}-2 --yes --store ${flags.store}`);
  console.log(`                  and this again with --id ${run.id}-2: the other reviews are kept`);
}
