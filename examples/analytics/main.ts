/**
 * pawl's main job, in one command: a question in English becomes a chart by way of three agents behind HTTP, and a
 * `kill -9` in the middle loses nothing that was done.
 *
 *   npm start                                              the whole story
 *   npm start -- "Which continent has the most people?"    another question
 *   npm start -- --no-kill                                 without the kill
 *   npm start -- --id ID                                   a run of your own name: kill everything, then say it again
 */
import type { ChildProcess } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { calledAgain, readCalls } from "./call-log.ts";
import { endChild, firstMessage, startChild } from "./children.ts";
import { type Kept, lookAt } from "./look.ts";
import { heading, line, say, tellChange, tellResult, tellWitness } from "./story.ts";
import type { WorkerMessage } from "./worker.ts";

const QUESTION = "Which 5 countries in Asia have the largest population?";
const OTHERS = ["Average GDP per person by continent", "Top 7 countries in Europe by area", "How many countries in Africa have more than 50 million people?"];
/** The second node is killed when it has run for about so long: half of what its agent takes. */
const KILL_AFTER_MS = 150;

type Ended = Exclude<WorkerMessage, { kind: "change" }>;

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { id: { type: "string" }, folder: { type: "string", default: ".pawl" }, "no-kill": { type: "boolean", default: false } },
});
const id = flags.id ?? `analytics-${new Date().toISOString().replace(/\D/g, "").slice(0, 17)}`;
const store = join(flags.folder, "analytics.db");
const log = join(flags.folder, "analytics-calls.log");
/** What was on the disk at a moment without a worker, and how much the agents had written down by then. */
const moments: { readonly kept: Kept; readonly calls: number }[] = [];
const services: ChildProcess[] = [];

mkdirSync(flags.folder, { recursive: true });
try {
  process.exitCode = await story();
} finally {
  await Promise.all(services.map((service) => endChild(service, "SIGTERM")));
}

/** Answers the exit code. */
async function story(): Promise<number> {
  const before = await remember();
  const question = positionals.join(" ") || before?.question || QUESTION;
  const addresses = await startServices();
  heading(question);
  say(`  run ${id}, in ${store}`);
  if (before !== undefined) say(`  ${goesOn(before)}`);
  say();
  const ended = (before === undefined && !flags["no-kill"] && (await killInTheMiddle(question, addresses))) || (await work(question, addresses));
  if (ended.kind === "failed") return failure(ended);
  const again = moments.flatMap(({ kept, calls }) => calledAgain(readCalls(log, id).slice(calls), kept.completed));
  const isKept = tellWitness(readCalls(log, id), again);
  const file = join(flags.folder, `${id}.svg`);
  writeFileSync(file, ended.output.svg);
  tellResult(ended.output, relative(process.cwd(), file));
  return isKept ? 0 : 1;
}

function goesOn({ status, completed }: Kept): string {
  if (status !== "running") return `This run has ended already, ${status}: what is stored is read, nothing is called.`;
  return `This run was cut off; ${completed.length > 0 ? `kept on the disk: ${completed.join(", ")}` : "nothing had completed yet"}. It goes on.`;
}

/** Notes what is on the disk now. */
async function remember(): Promise<Kept | undefined> {
  const kept = await lookAt(store, id);
  if (kept !== undefined) moments.push({ kept, calls: readCalls(log, id).length });
  return kept;
}

/** The three agents, each a process with an address of its own. */
async function startServices(): Promise<Record<string, string>> {
  const started = ["nlp", "data", "viz"].map(async (name) => {
    const service = startChild("service.ts", [name, log]);
    services.push(service);
    const { url } = await firstMessage<{ url: string }>(service);
    return [`${name.toUpperCase()}_AGENT_URL`, url] as const;
  });
  return Object.fromEntries(await Promise.all(started));
}

/** Kills the worker while the second node runs. Answers how the run ended if the kill came too late. */
async function killInTheMiddle(question: string, addresses: Record<string, string>): Promise<Ended | undefined> {
  const ended = await work(question, addresses, "query");
  if (ended !== undefined) return ended;
  const kept = await remember();
  line("", `on the disk: ${kept?.completed.join(", ") || "nothing yet"}; cut off: ${kept?.cutOff.join(", ") || "nothing"}`);
  return undefined;
}

/** Runs a worker to the end of the run, or until it is killed when this node has run for a while. */
async function work(question: string, addresses: Record<string, string>): Promise<Ended>;
async function work(question: string, addresses: Record<string, string>, killAt: string): Promise<Ended | undefined>;
async function work(question: string, addresses: Record<string, string>, killAt?: string): Promise<Ended | undefined> {
  const worker = startChild("worker.ts", [store, id, question], addresses);
  line("worker", `process ${worker.pid} starts`);
  const cutOff = moments.at(-1)?.kept.cutOff ?? [];
  let ended: Ended | undefined;
  const gone = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  worker.on("message", (message) => {
    const said = message as WorkerMessage;
    if (said.kind !== "change") return void (ended = said);
    tellChange(said.change, cutOff);
    if (killAt !== undefined && said.change.events.some(({ type, node }) => type === "node.started" && node === killAt)) setTimeout(kill, KILL_AFTER_MS);
  });
  const kill = (): void => {
    if (worker.kill("SIGKILL")) line("KILL -9", `process ${worker.pid} is gone, without a chance to say goodbye`);
  };
  await gone;
  if (ended === undefined && killAt === undefined) throw new Error("the worker ended without a result");
  return ended;
}

function failure({ code, message, next }: Extract<Ended, { kind: "failed" }>): number {
  say(`\n  ${code}: ${message}\n  What to do: ${next}\n\n  Questions that it can answer:`);
  for (const question of [QUESTION, ...OTHERS]) say(`    npm start -- ${JSON.stringify(question)}`);
  say();
  return 1;
}
