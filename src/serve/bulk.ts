/**
 * `pawl cancel|pause|resume|retry --where …`: the same done to many runs. Says first how many they are, and asks.
 */
import type { BulkFilter, BulkOptions, BulkOutcome, BulkVerb, Pawl } from "../index.ts";
import { confirmed } from "./confirm.ts";
import { EXIT } from "./exit-code.ts";
import { readInstant } from "./instant.ts";
import { toJson } from "./json.ts";
import { problemOf, showProblem } from "./problem.ts";
import { openToLook } from "./stored.ts";
import { count, oneLine } from "./text.ts";

export interface BulkVerbOptions {
  readonly where?: string;
  readonly yes?: true;
  readonly limit?: number;
  readonly store?: string;
  readonly json?: true;
}

type Manner = Pick<BulkOptions, "now" | "compensate" | "timeout">;

const DONE: Readonly<Record<BulkVerb, string>> = { cancel: "cancelled", pause: "paused", resume: "resumed", retry: "tried again" };
const STATUSES = new Set(["pending", "running", "paused", "compensating", "completed", "failed", "timedOut", "cancelled"]);
const NAMES_SHOWN_MAX = 5;

/** One run by its id, or many by `--where`; the exit code of what was done. */
export async function oneOrMany(
  verb: BulkVerb,
  id: string | undefined,
  options: BulkVerbOptions,
  manner: Manner,
  one: (id: string) => Promise<number>,
): Promise<number> {
  const isJson = options.json === true;
  if (id !== undefined && options.where === undefined) return one(id);
  try {
    if (id !== undefined || options.where === undefined)
      throw problemOf("PAWL_USAGE", "it is not said which run is meant", `give the id of one run, or --where status=failed,name=x,since=24h for many`);
    return await many(verb, readWhere(options.where), options, manner);
  } catch (error) {
    return showProblem(error, { isJson });
  }
}

async function many(verb: BulkVerb, where: BulkFilter, options: BulkVerbOptions, manner: Manner): Promise<number> {
  const { yes, limit } = options;
  const isJson = options.json === true;
  await using pawl = await openToLook(options.store);
  const asked: BulkOptions = { where, ...manner, ...(limit !== undefined && { limit }) };
  const planned = (await Array.fromAsync(pawl.bulk(verb, { ...asked, dryRun: true }))).map(({ runId }) => runId);
  const names = planned.slice(0, NAMES_SHOWN_MAX).join(", ") + (planned.length > NAMES_SHOWN_MAX ? ", …" : "");
  if (!isJson) process.stdout.write(`${planned.length === 0 ? "no run is meant" : `to be ${DONE[verb]}: ${count(planned.length, "run")} (${names})`}\n`);
  if (planned.length === 0) return told(verb, [], isJson);
  if (!yes && (isJson || !process.stdin.isTTY || !process.stderr.isTTY)) {
    if (isJson) process.stdout.write(`${toJson({ planned })}\n`);
    throw problemOf("PAWL_USAGE", "nothing was done: there is no terminal to ask", "give --yes to do it");
  }
  if (!yes && !(await confirmed("Do it? [y/N] "))) {
    process.stdout.write("nothing was done\n");
    return EXIT.failed;
  }
  return told(verb, await done(pawl, verb, asked, isJson), isJson);
}

async function done(pawl: Pawl, verb: BulkVerb, asked: BulkOptions, isJson: boolean): Promise<BulkOutcome[]> {
  const outcomes: BulkOutcome[] = [];
  for await (const outcome of pawl.bulk(verb, asked)) {
    outcomes.push(outcome);
    if (!isJson) process.stdout.write(`${outcome.runId} ${outcomeText(verb, outcome)}\n`);
  }
  return outcomes;
}

function outcomeText(verb: BulkVerb, { did, error }: BulkOutcome): string {
  if (did === "done") return `is ${DONE[verb]}`;
  return `${did === "recorded" ? "will be" : "was not"} ${DONE[verb]}: ${error?.code} ${oneLine(error?.message ?? "")}`;
}

function told(verb: BulkVerb, outcomes: readonly BulkOutcome[], isJson: boolean): number {
  const counts = { done: 0, recorded: 0, refused: 0, planned: 0 };
  for (const { did } of outcomes) counts[did]++;
  const { done, recorded, refused } = counts;
  const more = [recorded > 0 ? `${recorded} recorded` : "", refused > 0 ? `${refused} refused` : ""].filter((text) => text !== "");
  if (isJson) process.stdout.write(`${toJson({ done, recorded, refused, runs: outcomes })}\n`);
  else if (outcomes.length > 0) process.stdout.write(`${[`${count(done, "run")} ${DONE[verb]}`, ...more].join(", ")}\n`);
  return refused > 0 ? EXIT.failed : recorded > 0 ? EXIT.pending : EXIT.completed;
}

/** `status=failed,name=x,since=24h`; also `workflow` for `name`, `tag`, `subject` and `until`. */
function readWhere(text: string): BulkFilter {
  const now = new Date().getTime();
  const filter: Record<string, string | number> = {};
  for (const part of text.split(",")) {
    const [, field, value] = /^([a-z]+)=(.+)$/s.exec(part.trim()) ?? [];
    if (field === "since" || field === "until") filter[field] = readInstant(value!, `--where ${field}`, now);
    else if (field === "name" || field === "workflow") filter["workflow"] = value!;
    else if (field === "tag" || field === "subject") filter[field] = value!;
    else if (field === "status" && STATUSES.has(value!)) filter["status"] = value!;
    else
      throw problemOf("PAWL_USAGE", `--where "${oneLine(part)}" says nothing`, "write fields such as status=failed,name=x,tag=t,subject=s,since=24h,until=1h");
  }
  return filter;
}
