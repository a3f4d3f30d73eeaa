/**
 * A person in the loop: every command is a process of its own, and the deadline of a day goes on in between.
 *
 *   node --conditions=pawl-source examples/approval/main.ts contract.pdf
 *   node --conditions=pawl-source examples/approval/main.ts contract.pdf approve --by ana
 *
 * `--minutes` is the deadline (1440 is a day), `--store` the file.
 */
import { parseArgs } from "node:util";
import { open } from "pawl";
import { approval } from "./machine.ts";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    by: { type: "string", default: "somebody" },
    minutes: { type: "string", default: "1440" },
    store: { type: "string", default: ".pawl/approval.db" },
  },
});
const [document, decision] = positionals;
if (document === undefined || (decision !== undefined && decision !== "approve" && decision !== "reject")) {
  console.error("usage: approval/main.ts DOCUMENT [approve | reject] [--by NAME] [--minutes 1440] [--store PATH]");
  process.exit(64);
}

await using pawl = await open(flags.store);
const run = await pawl.start(approval, { id: document, input: { document, minutes: Number(flags.minutes) } });
let snapshot = await run.waitFor(({ value }) => value !== "reading");
if (decision !== undefined && snapshot.status === "active") {
  await run.send({ type: decision, by: flags.by }, { eventId: `${decision} ${flags.by}` }); // said twice, it is done once
  snapshot = await run.snapshot();
}
const { value, context } = snapshot;
if (value === "waiting") {
  const deadline = (await run.status()).waitingFor?.timers.map(({ dueAt }) => new Date(dueAt).toISOString());
  console.log(`${document} (risk: ${context.risk}) waits for approve or reject until ${deadline?.join()}`);
} else console.log(`${document} (risk: ${context.risk}) is ${value} by ${context.by}`);
