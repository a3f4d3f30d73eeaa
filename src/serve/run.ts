/**
 * `pawl run`: starts a run or goes on with it, shows it while it goes, and ends with its result.
 */
import { type Pawl, PawlError, type Run, type RunView, type WorkerView, type Workflow, checkDefinition, isPawlError, open } from "../index.ts";
import type { LogOptions } from "../watch/log.ts";
import { type Offered, kindOf, loadOffered, versionsOf } from "./definition-file.ts";
import { follow } from "./follow.ts";
import { readInput } from "./input.ts";
import { tellOutcome } from "./outcome.ts";
import { showProblem } from "./problem.ts";
import { type Reporter, makeReporter } from "./reporter.ts";
import { standingOf } from "./standing.ts";
import { type StartVerbOptions, startOptions } from "./start.ts";
import { CLOSING, StopSignals } from "./stop-signals.ts";
import { openToLook, runWords, storeExists, storePath } from "./stored.ts";
import { canDraw } from "./terminal.ts";
import { commandLine } from "./text.ts";
import { type LimitsSetting, limitsSetting } from "./worker-settings.ts";
import { otherWorkers } from "./workers.ts";

export interface RunOptions extends StartVerbOptions {
  readonly logLevel: NonNullable<LogOptions["level"]>;
  readonly limit?: readonly string[];
}

/** What is to be run, read and checked before the store is opened. */
interface Request {
  readonly file: string;
  readonly options: RunOptions;
  readonly offered: Offered;
  readonly kind: RunView["kind"];
  /** Undefined when none was given. */
  readonly input: { readonly value: unknown } | undefined;
  /** The run as it was before, when there is one of this id. */
  readonly known: RunView | undefined;
  readonly limits: LimitsSetting;
}

export async function run(file: string, options: RunOptions): Promise<number> {
  const request = await readRequest(file, options);
  const isJson = options.json === true;
  const reporter = await makeReporter({ isJson, canDraw: canDraw(), kind: request.kind });
  const { makeLog } = await import("../watch/log.ts");
  const fatal = Promise.withResolvers<never>();
  fatal.promise.catch(() => {});
  const pawl = await open(storePath(options.store), {
    workflows: [request.offered],
    ...request.limits,
    log: makeLog({ level: options.logLevel, write: (line) => reporter.says(line) }),
    onFatal: fatal.reject,
  });
  let others: readonly WorkerView[] = [];
  const signals = new StopSignals(async () => {
    reporter.says(CLOSING);
    others = await otherWorkers(pawl, [request.offered]);
    await pawl.close();
  });
  let begun: Run<unknown> | undefined;
  try {
    const run = (begun = await begin(pawl, request));
    const view = await Promise.race([followIt(pawl, run, request, reporter), fatal.promise]);
    return await tellOutcome(run, view, reporter, options);
  } catch (error) {
    reporter.ends();
    const names = { FILE: file, ...(options.id !== undefined && { RUN: options.id }) };
    if (signals.exitCode === undefined || !isPawlError(error, "PAWL_CLOSED")) return await showProblem(error, { isJson, names });
    await pawl.close();
    reporter.says(closedLine(begun, others, request));
    return signals.exitCode;
  } finally {
    await closeSoon(pawl, reporter);
  }
}

async function readRequest(file: string, options: RunOptions): Promise<Request> {
  const limits = limitsSetting(options.limit);
  const offered = await loadOffered(file, options.export);
  const input = options.input === undefined ? undefined : { value: await readInput(options.input) };
  const known = options.id === undefined || !storeExists(options.store) ? undefined : await look(options.store, options.id);
  return { file, options, offered, kind: kindOf(offered), input, known, limits };
}

async function look(store: string | undefined, id: string): Promise<RunView | undefined> {
  await using pawl = await openToLook(store);
  try {
    return await (await pawl.run(id)).status();
  } catch (error) {
    if (isPawlError(error, "PAWL_RUN_NOT_FOUND")) return undefined;
    throw error;
  }
}

/** A run that is there goes on with the input that it has, unless one is given: then that must be the same. */
async function begin(pawl: Pawl, { offered, kind, input, known, options }: Request): Promise<Run<unknown>> {
  const { name } = checkDefinition(versionsOf(offered)[0]);
  if (known !== undefined && (known.kind !== kind || known.workflow !== name))
    throw new PawlError("PAWL_RUN_CONFLICT", {
      message: `run "${known.id}" belongs to ${known.kind} "${known.workflow}", not to ${kind} "${name}"`,
      next: `choose another id for the new run; see that one with \`pawl show ${known.id}\``,
    });
  if (known !== undefined && input === undefined) return pawl.run(known.id, offered as Workflow);
  return pawl.start(offered as Workflow, startOptions(kind, input, options));
}

function closedLine(run: Run<unknown> | undefined, [other]: readonly WorkerView[], request: Request): string {
  if (run === undefined) return "closed; no run was started";
  if (other === undefined) return `closed; the same command goes on with it\n  ${continueCommand(run.id, request)}`;
  return `closed; worker ${other.pid} goes on with it\n  ${commandLine(["pawl", "watch", ...runWords(run.id, request.options.store)])}`;
}

async function followIt(pawl: Pawl, run: Run<unknown>, request: Request, reporter: Reporter): Promise<RunView> {
  const { kind, known } = request;
  const standing = await standingOf(run, kind);
  const { workflow } = await run.status();
  const words = runWords(run.id, request.options.store);
  const opening = { run, workflow, standing, isContinued: known !== undefined, words, command: continueCommand(run.id, request) };
  return follow(run, {
    standing,
    reporter,
    toldCommitNo: known?.commitNo ?? 0,
    begins: () => reporter.begins(opening),
    pawl,
  });
}

/** Without the input: the run has it. */
function continueCommand(id: string, { file, options }: Request): string {
  const words = ["pawl", "run", file, "--id", id];
  if (options.export !== undefined) words.push("--export", options.export);
  if (options.store !== undefined) words.push("--store", options.store);
  for (const limit of options.limit ?? []) words.push("--limit", limit);
  return commandLine(words);
}

/** Other runs of the workflow may be under way in this store: then closing takes a while, and the reason is told. */
const CLOSE_QUIET_MS = 500;

async function closeSoon(pawl: Pawl, reporter: Reporter): Promise<void> {
  const timer = setTimeout(() => reporter.says("closing: other runs in this store still have attempts under way; they go on next time"), CLOSE_QUIET_MS);
  await pawl.close();
  clearTimeout(timer);
}
