/**
 * `pawl start`: records a run for whichever worker takes it on, and prints its id.
 */
import { type Duration, type Pawl, type RunView, type StartOptions, type StartTime, type Workflow, isPawlError, open } from "../index.ts";
import { kindOf, loadOffered } from "./definition-file.ts";
import { EXIT } from "./exit-code.ts";
import { readInput } from "./input.ts";
import { readDateTime } from "./instant.ts";
import { toJson } from "./json.ts";
import { showProblem } from "./problem.ts";
import { storeExists, storePath } from "./stored.ts";
import { dateAndTime } from "./text.ts";
import { takerText, workersOf } from "./workers.ts";

export interface StartVerbOptions {
  readonly input?: string;
  readonly id?: string;
  readonly subject?: string;
  readonly tag?: readonly string[];
  readonly tenant?: string;
  readonly priority?: number;
  readonly at?: string;
  readonly delay?: Duration;
  readonly export?: string;
  readonly store?: string;
  readonly json?: true;
}

export async function start(file: string, options: StartVerbOptions): Promise<number> {
  const isJson = options.json === true;
  const offered = await loadOffered(file, options.export);
  const input = options.input === undefined ? undefined : { value: await readInput(options.input) };
  const when = whenOf(options);
  // only who executes makes a store
  if (!storeExists(options.store)) await (await open(storePath(options.store))).close();
  await using pawl = await open(storePath(options.store), { execute: false });
  try {
    const isThere = options.id !== undefined && (await isKnown(pawl, options.id));
    const run = await pawl.start(offered as Workflow, { ...startOptions(kindOf(offered), input, options), ...when });
    const [{ status, workflow, wakeAt }, workers] = await Promise.all([run.status(), workersOf(pawl, run)]);
    const startsAt = status === "pending" ? wakeAt : null;
    const later = startsAt === null ? "" : `it starts at ${dateAndTime(startsAt)}; `;
    if (isJson)
      process.stdout.write(`${toJson({ runId: run.id, workflow, status, ...(startsAt !== null && { startsAt }), workers: workers.map(({ pid }) => pid) })}\n`);
    else {
      process.stdout.write(`${run.id}\n`);
      process.stderr.write(isThere ? `it was there before: it is ${status}\n` : `recorded; ${later}${takerText(workers, file)}\n`);
    }
    return EXIT.completed;
  } catch (error) {
    return showProblem(error, { isJson, names: { FILE: file } });
  }
}

function whenOf({ at, delay }: StartVerbOptions): StartTime {
  return {
    ...(at !== undefined && { startAt: readDateTime(at, "--at") }),
    ...(delay !== undefined && { delay }),
  };
}

async function isKnown(pawl: Pawl, id: string): Promise<boolean> {
  return pawl.run(id).then(
    () => true,
    (error: unknown) => {
      if (isPawlError(error, "PAWL_RUN_NOT_FOUND")) return false;
      throw error;
    },
  );
}

/** How a run is started as the command line says. Machines often take no input; workflows have fields. */
export function startOptions(
  kind: RunView["kind"],
  input: { readonly value: unknown } | undefined,
  { id, subject, tag, tenant, priority }: Pick<StartVerbOptions, "id" | "subject" | "tag" | "tenant" | "priority">,
): StartOptions<unknown> {
  return {
    input: input === undefined ? (kind === "machine" ? undefined : {}) : input.value,
    ...(id !== undefined && { id }),
    ...(subject !== undefined && { subject }),
    ...(tag !== undefined && { tags: tag }),
    ...(tenant !== undefined && { tenant }),
    ...(priority !== undefined && { priority }),
  };
}
