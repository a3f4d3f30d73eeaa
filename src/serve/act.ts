/**
 * What is done to a run that is there, wherever it is: the run is found, its workers are asked, and one line tells what
 * became of it. Recorded and not done yet is an end of its own.
 */
import { type Duration, type HistoryType, type Pawl, PawlError, type Run, isPawlError } from "../index.ts";
import { EXIT } from "./exit-code.ts";
import { toJson } from "./json.ts";
import { showProblem } from "./problem.ts";
import { findRun, openToLook, runWords } from "./stored.ts";
import { commandLine } from "./text.ts";
import { workersOf, workersText } from "./workers.ts";

export interface ActOptions {
  readonly store?: string;
  readonly json?: true;
  /** A file of what the run is one of. */
  readonly definition?: string;
}

/** Of what another process does. */
export interface AskOptions extends ActOptions {
  readonly timeout?: Duration;
}

/** What was done: for people, and for programs. */
export interface Done {
  readonly line: string;
  readonly facts: object;
  /** Default 0. */
  readonly exitCode?: number;
}

/** Does it, tells it, and answers the exit code. */
export async function act(id: string, options: ActOptions, deed: (run: Run<unknown>, pawl: Pawl) => Promise<Done>): Promise<number> {
  const isJson = options.json === true;
  const offered = options.definition === undefined ? [] : await (await import("./definition-file.ts")).loadAllOffered(options.definition);
  await using pawl = await openToLook(options.store, offered);
  const run = await findRun(pawl, id);
  try {
    const { line, facts, exitCode = EXIT.completed } = await deed(run, pawl);
    process.stdout.write(isJson ? `${toJson({ runId: run.id, ...facts })}\n` : `${line}\n`);
    return exitCode;
  } catch (error) {
    return showProblem(await withAdvice(error, run, pawl), { isJson, names: { RUN: commandLine(runWords(run.id, options.store)) } });
  }
}

/** The number of the newest commit after this one in which one of these happened; undefined when none did. */
export async function commitOf(run: Run<unknown>, after: number, types: readonly HistoryType[]): Promise<number | undefined> {
  let found: number | undefined;
  for await (const { commitNo, events } of run.history(after)) if (events.some(({ type }) => types.includes(type))) found = commitNo;
  return found;
}

/** At a terminal nobody has an event's id at hand, and what is asked twice may be done twice. */
async function withAdvice(error: unknown, run: Run<unknown>, pawl: Pawl): Promise<unknown> {
  if (isPawlError(error, "PAWL_RUN_ENDED")) return new PawlError(error.code, { message: error.message, next: "see `pawl show RUN`", cause: error });
  if (isPawlError(error, "PAWL_EVENT_REFUSED"))
    return new PawlError(error.code, { message: error.message, next: "see what it takes: `pawl show RUN`", cause: error });
  if (!isPawlError(error, "PAWL_SEND_PENDING")) return error;
  return new PawlError(error.code, { message: error.message, next: await whoDoesIt(run, pawl), cause: error });
}

async function whoDoesIt(run: Run<unknown>, pawl: Pawl): Promise<string> {
  if ((await run.status()).status === "paused") return "the run is paused; `pawl resume RUN`, and it is done";
  const worker = workersText(await workersOf(pawl, run));
  if (worker === undefined) return "a worker that is given its definition does it: `pawl work FILE`";
  return `${worker} does it; if it is stopped, another one does so when it was silent for 15 s`;
}
