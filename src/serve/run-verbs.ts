/**
 * The command line for runs that are there, in whatever process: each verb with its arguments, options and two examples.
 */
import { type Command, Option } from "commander";
import type { AskOptions } from "./act.ts";
import type { BulkVerbOptions } from "./bulk.ts";
import type { CancelVerbOptions } from "./cancel.ts";
import type { ForkVerbOptions } from "./fork.ts";
import type { OverrideVerbOptions } from "./override.ts";
import type { RetryVerbOptions } from "./retry.ts";
import type { SendVerbOptions } from "./send.ts";
import { type Done, collect, examples, onStore, wholeNumber } from "./verb-parts.ts";

const EXIT_CODES = "\nExit codes: 0 done, 1 refused or failed, 2 wrong command, 5 no such run, 6 recorded, but not done yet, 70 store failed";

export function declareRunVerbs(program: Command, done: Done): void {
  declareSend(program, done);
  declareCancel(program, done);
  declarePause(program, done);
  declareResume(program, done);
  declareRetry(program, done);
  declareOverride(program, done);
  declareFork(program, done);
}

function declareSend(program: Command, done: Done): void {
  const command = program
    .command("send <run> <event> [data]")
    .description("send an event (a signal) to a run: one that a workflow waits for, or that a machine takes")
    .addHelpText("after", "\nDATA: the event's fields, as a JSON object or @file (@- reads standard input). `pawl show RUN` says what a run waits for.")
    .option("--event-id <id>", "names the event: sent again under the same id, it is not applied again")
    .option("--strict", "an event that is not taken is an error")
    .addHelpText("after", examples("pawl send doc-7 APPROVE", `pawl send r-42 approval '{"approved": true}' --event-id mail-12`))
    .action(async (run: string, type: string, data: string | undefined, options: SendVerbOptions) =>
      done(await (await import("./send.ts")).send(run, type, data, options)),
    );
  ofRun(withTimeout(command));
}

function declareCancel(program: Command, done: Done): void {
  const command = program
    .command("cancel [run]")
    .description("cancel a run: what is under way is aborted, nothing more is started")
    .option("--now", "at once: nothing that would undo what was done is run; works without a worker, too")
    .option("--no-compensate", "nothing that was done is undone, though it could be")
    .addHelpText("after", examples("pawl cancel r-42", "pawl cancel r-42 --now --json"))
    .action(async (id: string | undefined, options: CancelVerbOptions & BulkVerbOptions) => {
      const { now, compensate } = options;
      const manner = { ...(now && { now }), ...(compensate === false && { compensate }), ...patience(options) };
      done(await (await bulk()).oneOrMany("cancel", id, options, manner, async (run) => (await import("./cancel.ts")).cancel(run, options)));
    });
  ofRuns(withTimeout(command));
}

function declarePause(program: Command, done: Done): void {
  const command = program
    .command("pause [run]")
    .description("hold a run: nothing more is started until it is resumed")
    .addHelpText("after", examples("pawl pause r-42", "pawl pause r-42 --timeout 5s"))
    .action(async (id: string | undefined, options: AskOptions & BulkVerbOptions) =>
      done(await (await bulk()).oneOrMany("pause", id, options, patience(options), async (run) => (await import("./pause.ts")).pause(run, options))),
    );
  ofRuns(withTimeout(command));
}

function declareResume(program: Command, done: Done): void {
  const command = program
    .command("resume [run]")
    .description("lift a pause, or go on with a run that was cancelled or reached its timeout")
    .addHelpText("after", examples("pawl resume r-42", "pawl resume r-42 --json"))
    .action(async (id: string | undefined, options: AskOptions & BulkVerbOptions) =>
      done(await (await bulk()).oneOrMany("resume", id, options, patience(options), async (run) => (await import("./resume.ts")).resume(run, options))),
    );
  ofRuns(withTimeout(command));
}

function declareRetry(program: Command, done: Done): void {
  const command = program
    .command("retry [run]")
    .description("run again what failed in an ended run; results that were reached stay")
    .addOption(new Option("--node <id>", "of the failed nodes only this one; repeatable").argParser(collect))
    .addOption(new Option("--input <node=json>", 'another input for a failed node, as web=\'{"q": "x"}\' or web=@file; repeatable').argParser(collect))
    .addHelpText("after", examples("pawl retry r-42", `pawl retry r-42 --node web --input web='{"q": "ratchets"}'`))
    .action(async (id: string | undefined, options: RetryVerbOptions & BulkVerbOptions) =>
      done(await (await bulk()).oneOrMany("retry", id, options, {}, async (run) => (await import("./retry.ts")).retry(run, options))),
    );
  ofRuns(command);
}

function declareOverride(program: Command, done: Done): void {
  const command = program
    .command("override <run> <node>")
    .description("set how a node ends: with a result, passed over, or failed; a run that has ended goes on from there")
    .option("--result <json>", "it completes with this result, as JSON or @file (@- reads standard input)")
    .option("--skip", "those that depend on it go on without its result")
    .option("--fail", "it fails, and is not tried again")
    .option("--by <name>", "who does it, for the history")
    .option("--reason <text>", "why, for the history")
    .option("--definition <file>", "the workflow's file, to check a result by that is set in a run that has ended")
    .addHelpText(
      "after",
      examples(`pawl override r-42 web --result '{"notes": "none"}' --by ana`, 'pawl override r-42 "pages[3]" --skip --reason "the page is gone"'),
    )
    .action(async (run: string, node: string, options: OverrideVerbOptions) => done(await (await import("./override.ts")).override(run, node, options)));
  ofRun(withTimeout(command));
}

function declareFork(program: Command, done: Done): void {
  const command = program
    .command("fork <run>")
    .description("start a new run from where another was; says first what will run again, and asks")
    .requiredOption("--from <node-or-commit>", "a node, which runs again with all that depends on it; or a commit number")
    .addOption(new Option("--set <path=json>", "a value to begin with, as input.topic='\"x\"' or plan.result=@file; repeatable").argParser(collect))
    .option("--id <id>", "the id of the new run")
    .option("--yes", "start it without asking")
    .addHelpText("after", examples("pawl fork r-42 --from write", `pawl fork r-42 --from plan --set 'input.topic="pawls"' --yes`))
    .action(async (run: string, options: ForkVerbOptions) => done(await (await import("./fork.ts")).fork(run, options)));
  ofRun(command);
}

function withTimeout(command: Command): Command {
  return command.option("--timeout <duration>", "how long to wait for whoever does it (default: 30s)");
}

/** One run, or many. */
function ofRuns(command: Command): void {
  command
    .option("--where <fields>", "instead of one run all that fit: status=failed,name=x,tag=t,subject=s,since=24h,until=1h")
    .addOption(new Option("--limit <n>", "with --where: at most so many runs").argParser(wholeNumber(1, 1_000_000)))
    .option("--yes", "with --where: do it without asking");
  ofRun(command);
}

function patience({ timeout }: AskOptions): Pick<AskOptions, "timeout"> {
  return timeout === undefined ? {} : { timeout };
}

const bulk = (): Promise<typeof import("./bulk.ts")> => import("./bulk.ts");

function ofRun(command: Command): void {
  onStore(command).addHelpText("after", EXIT_CODES);
}
