/**
 * The command line: each verb with its arguments, options and two examples. What a verb does is in the file of its name.
 */
import { type Command, Option } from "commander";
import type { DrawingFormat, RunStatus } from "../index.ts";
import type { CheckOptions } from "./check.ts";
import type { GraphOptions } from "./graph.ts";
import { declareBreakerVerbs } from "./breaker-verbs.ts";
import { declareHouseVerbs } from "./house-verbs.ts";
import type { InspectOptions } from "./inspect.ts";
import { declareLimitVerbs } from "./limit-verbs.ts";
import type { LsOptions } from "./ls.ts";
import type { RunOptions } from "./run.ts";
import { declareRunVerbs } from "./run-verbs.ts";
import { declareScheduleVerbs } from "./schedule-verbs.ts";
import type { ShowOptions } from "./show.ts";
import type { StartVerbOptions } from "./start.ts";
import { type Done, EXPORT_OPTION, anyNumber, collect, examples, onStore, wholeNumber } from "./verb-parts.ts";
import type { TailOptions } from "./tail.ts";
import type { WatchOptions } from "./watch.ts";
import { declareWhyVerbs } from "./why-verbs.ts";
import type { WorkOptions } from "./work.ts";

const STATUSES: readonly RunStatus[] = ["pending", "running", "paused", "compensating", "completed", "failed", "timedOut", "cancelled", "quarantined"];
const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"];
const FORMATS: readonly DrawingFormat[] = ["mermaid", "dot", "json", "stately"];
const LIST_MAX = 1_000;
const PORT_MAX = 65_535;
const EXIT_CODES = "\nExit codes: 0 completed, 1 failed, 2 wrong command or definition, 3 cancelled, 4 timed out, 5 no such run or limit, 70 store failed";

/** Adds every verb to the program; each tells its exit code when it is done. */
export function declareVerbs(program: Command, done: Done): void {
  program.commandsGroup("Execute:");
  declareRun(program, done);
  declareWork(program, done);
  declareStart(program, done);
  program.commandsGroup("Schedules:");
  declareScheduleVerbs(program, done);
  program.commandsGroup("Look:");
  declareLs(program, done);
  declareShow(program, done);
  declareWatch(program, done);
  declareTail(program, done);
  declareInspect(program, done);
  declareWhyVerbs(program, done);
  program.commandsGroup("Control a run:");
  declareRunVerbs(program, done);
  program.commandsGroup("Protection:");
  declareLimitVerbs(program, done);
  declareBreakerVerbs(program, done);
  program.commandsGroup("Definitions:");
  declareCheck(program, done);
  declareGraph(program, done);
  declareSchema(program, done);
  program.commandsGroup("Keep house:");
  declareHouseVerbs(program, done);
}

function declareRun(program: Command, done: Done): void {
  const command = program
    .command("run <file>")
    .description("run a workflow or machine, or go on with a run of it")
    .option("--input <json>", "the run's input, as JSON or @file (@- reads standard input)")
    .option("--id <id>", "the run's id; the same id again goes on with that run")
    .option(...EXPORT_OPTION)
    .addOption(limitOption())
    .addOption(logLevel())
    .addHelpText("after", examples('pawl run research.yaml --input \'{"topic": "ratchets"}\'', "pawl run research.ts --input @input.json --id r-42"))
    .addHelpText("after", EXIT_CODES)
    .action(async (file: string, options: RunOptions) => done(await (await import("./run.ts")).run(file, options)));
  onStore(withFacts(command));
}

function declareWork(program: Command, done: Done): void {
  const command = program
    .command("work <files...>")
    .description("stand by as a worker: execute the runs of these files' workflows and machines until told to stop")
    .option("--export <name>", "only this workflow or machine of a module")
    .option("--notify <url>", "post there what people should know of, as runs that fail; signed with PAWL_NOTIFY_SECRET")
    .option("--stall-after <duration>", "post, too, that a run with work to do commits nothing for so long (default: PAWL_STALL_AFTER, or never)")
    .option("--max-concurrent-attempts <number>", "at most so many attempts at the same time (default: PAWL_MAX_CONCURRENT_ATTEMPTS, or 100)")
    .option(
      "--max-active-runs <number>",
      "work on at most so many runs at the same time; more are pending (default: PAWL_MAX_ACTIVE_RUNS, or 100, or --max-concurrent-attempts if that is more)",
    )
    .option("--timeout-multiplier <number>", "stretch timeouts and warnings, on a slow machine (default: PAWL_TIMEOUT_MULTIPLIER, or 1)")
    .addOption(limitOption())
    .addOption(logLevel())
    .addHelpText("after", examples("pawl work research.yaml approval.ts --limit llmTokens=100000/60s", "pawl work approval.ts --store pawl.db --json"))
    .addHelpText(
      "after",
      "\nAny number of workers share a store. Exit codes: 0 stopped by a signal, 2 wrong command or definition, 5 no such limit, 70 store failed",
    )
    .action(async (files: string[], options: WorkOptions) => done(await (await import("./work.ts")).work(files, options)));
  onStore(command);
}

function declareStart(program: Command, done: Done): void {
  const command = program
    .command("start <file>")
    .description("record a run for a worker to take on, and print its id")
    .option("--input <json>", "the run's input, as JSON or @file (@- reads standard input)")
    .option("--id <id>", "the run's id; the same id again is the same run")
    .option("--at <date>", "not before: 2026-01-15T14:00, in this machine's time zone; with Z at its end in UTC")
    .option("--delay <duration>", "so much later than now: 90s, 10m, 2h or 1d")
    .option(...EXPORT_OPTION)
    .addHelpText(
      "after",
      examples('pawl start research.yaml --input \'{"topic": "ratchets"}\'', "pawl start approval.ts --id doc-7 --subject ada --tag urgent"),
    )
    .action(async (file: string, options: StartVerbOptions) => done(await (await import("./start.ts")).start(file, options)));
  onStore(withFacts(command));
}

function declareLs(program: Command, done: Done): void {
  const command = program
    .command("ls")
    .description("list runs, newest first")
    .addOption(new Option("--status <status>", "only runs of this status").choices(STATUSES))
    .option("--workflow <name>", "only runs of this workflow or machine")
    .option("--subject <subject>", "only runs about this")
    .option("--tag <tag>", "only runs with this tag")
    .option("--since <instant>", "only runs started since: 24h or 7d ago, or a date as 2026-01-15T14:00")
    .option("--until <instant>", "only runs started before")
    .option("--limit <number>", `at most so many, up to ${LIST_MAX}`, wholeNumber(1, LIST_MAX), 20)
    .option("--after <run>", "only runs that come after this one, for the next page")
    .addHelpText("after", examples("pawl ls --status failed", "pawl ls --workflow research --tag urgent --since 7d --json"))
    .action(async (options: LsOptions) => done(await (await import("./ls.ts")).ls(options)));
  onStore(command);
}

function declareShow(program: Command, done: Done): void {
  const command = program
    .command("show <run>")
    .description("show a run: its input, nodes or actors, output and failure")
    .option("--history", "what happened, commit by commit")
    .option("--checkpoints", "the commits that it can be forked from")
    .option("--result <node>", "only what this node gave, as JSON; `null` when it has not completed")
    .addHelpText("after", examples("pawl show r-42", "pawl show r-42 --result web > notes.json"))
    .action(async (run: string, options: ShowOptions) => done(await (await import("./show.ts")).show(run, options)));
  onStore(command);
}

function declareWatch(program: Command, done: Done): void {
  const command = program
    .command("watch <run>")
    .description("follow a run until it ends")
    .addHelpText("after", examples("pawl watch r-42", "pawl watch r-42 --json"))
    .addHelpText("after", EXIT_CODES)
    .action(async (run: string, options: WatchOptions) => done(await (await import("./watch.ts")).watch(run, options)));
  onStore(command);
}

function declareTail(program: Command, done: Done): void {
  const command = program
    .command("tail")
    .description("follow what happens in all runs, until told to stop")
    .option("--after <cursor>", "begin behind this change, as --json tells its cursor; 0: with all that is kept (default: from now on)")
    .option("--types <types>", "only what happens of these types, as run.failed,run.timedOut")
    .addHelpText("after", examples("pawl tail --types run.completed,run.failed", "pawl tail --after 0 --json"))
    .addHelpText("after", "\nEach change is told at least once, with an `id`. Exit codes: 0 stopped by a signal, 2 wrong command, 70 store failed")
    .action(async (options: TailOptions) => done(await (await import("./tail.ts")).tail(options)));
  onStore(command);
}

function declareCheck(program: Command, done: Done): void {
  const command = program
    .command("check <file>")
    .description("check a definition, alone and against the unfinished runs of a store")
    .option(...EXPORT_OPTION)
    .addHelpText("after", examples("pawl check research.yaml", "pawl check approval.ts --store pawl.db --json"))
    .action(async (file: string, options: CheckOptions) => done(await (await import("./check.ts")).check(file, options)));
  onStore(command);
}

function declareGraph(program: Command, done: Done): void {
  const command = program
    .command("graph <file-or-run>")
    .description("draw a workflow, a run, or a machine that a module exports")
    .option(...EXPORT_OPTION)
    .addOption(new Option("--format <format>", "stately is for machines: what Stately Studio imports").choices(FORMATS).default("mermaid"))
    .addHelpText("after", examples("pawl graph research.yaml > research.mmd", "pawl graph order-machine.ts --format dot"))
    .action(async (subject: string, options: GraphOptions) => done(await (await import("./graph.ts")).graph(subject, options)));
  onStore(command);
}

function declareSchema(program: Command, done: Done): void {
  program
    .command("schema")
    .description("print the JSON Schema of workflows in YAML and JSON, for editors")
    .option("--json", "print JSON, which it does in any case")
    .addHelpText("after", examples("pawl schema > pawl.schema.json", "pawl schema --json | jq '.properties | keys'"))
    .addHelpText("after", "\nA document that begins with `# yaml-language-server: $schema=./pawl.schema.json` is checked while it is written.")
    .action(async () => done(await (await import("./schema.ts")).schema()));
}

function declareInspect(program: Command, done: Done): void {
  const command = program
    .command("inspect <run>")
    .description("show a run to Stately's inspector, live or long after: a page on this machine only")
    .option("--port <number>", "listen there (default: any port that is free)", wholeNumber(0, PORT_MAX), 0)
    .option("--context", "with the contexts of the newest states, output and errors; they may hold secrets")
    .addHelpText("after", examples("pawl inspect r-42", "pawl inspect r-42 --json > messages.ndjson"))
    .addHelpText("after", "\nWith --json the messages go to standard output, until the run has ended.")
    .action(async (run: string, options: InspectOptions) => done(await (await import("./inspect.ts")).inspect(run, options)));
  onStore(command);
}

function withFacts(command: Command): Command {
  return command
    .option("--subject <subject>", "what or whom the run is about, to look it up by")
    .addOption(new Option("--tag <tag>", "a word to look it up by; repeatable").argParser(collect))
    .option("--tenant <tenant>", "for whom it works: tenants take turns at what is limited")
    .addOption(new Option("--priority <number>", "which of a tenant's runs comes first at what is limited (default: 0)").argParser(anyNumber));
}

function limitOption(): Option {
  const text = "so much of what agents use and no more, as llmTokens=100000/60s or dbConnections=50/tenant; repeatable (default: PAWL_LIMITS, with commas)";
  return new Option("--limit <name=max[/per][/tenant]>", text).argParser(collect);
}

function logLevel(): Option {
  return new Option("--log-level <level>", "lines of pawl and its agents on standard error").choices(LOG_LEVELS).default("warn");
}
