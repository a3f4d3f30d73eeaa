/**
 * `pawl ls`: the runs of a store, newest first, a page at a time.
 */
import type { ListOptions, Pawl, RunStatus, RunSummary } from "../index.ts";
import { EXIT } from "./exit-code.ts";
import { readInstant } from "./instant.ts";
import { toJson } from "./json.ts";
import { stateText } from "./machine-text.ts";
import { findRun, openToLook } from "./stored.ts";
import { type Cell, alignColumns, commandLine, dateAndTime, durationText, oneLine, statusCell } from "./text.ts";

export interface LsOptions {
  readonly status?: RunStatus;
  readonly workflow?: string;
  readonly subject?: string;
  readonly tag?: string;
  readonly since?: string;
  readonly until?: string;
  readonly limit: number;
  readonly after?: string;
  readonly store?: string;
  readonly json?: true;
}

const SUBJECT_LENGTH_MAX = 40;

export async function ls(options: LsOptions): Promise<number> {
  const { limit } = options;
  const filter = filterOf(options);
  await using pawl = await openToLook(options.store);
  const after = options.after === undefined ? undefined : (await findRun(pawl, options.after)).id;
  const runs = await pawl.list({ limit, ...filter, ...(after !== undefined && { after }) });
  const states = await readStates(pawl, runs);
  if (options.json) process.stdout.write(`${toJson(runs.map((run) => ({ ...run, ...(states.has(run.id) && { state: states.get(run.id) }) })))}\n`);
  else if (runs.length === 0) process.stderr.write("no runs\n");
  else {
    process.stdout.write(`${alignColumns(tableOf(runs, states), process.stdout).join("\n")}\n`);
    if (runs.length === limit) process.stderr.write(`more: ${nextPage(options, runs.at(-1)!.id)}\n`);
  }
  return EXIT.completed;
}

function filterOf({ status, workflow, subject, tag, since, until }: LsOptions): Omit<ListOptions, "limit" | "after"> {
  const now = new Date().getTime();
  return {
    ...(status && { status }),
    ...(workflow !== undefined && { workflow }),
    ...(subject !== undefined && { subject }),
    ...(tag !== undefined && { tag }),
    ...(since !== undefined && { since: readInstant(since, "--since", now) }),
    ...(until !== undefined && { until: readInstant(until, "--until", now) }),
  };
}

/** The state values of machines' runs. One that cannot be read is left out; `pawl show` says why. */
async function readStates(pawl: Pawl, runs: readonly RunSummary[]): Promise<Map<string, unknown>> {
  const states = new Map<string, unknown>();
  for (const { id, kind, status } of runs) {
    if (kind !== "machine" || status === "quarantined") continue;
    const view = await (await pawl.run(id)).status().catch(() => undefined);
    if (view?.state !== undefined) states.set(id, view.state);
  }
  return states;
}

/** With columns for states, subjects and instants at which runs begin when there are any. */
function tableOf(runs: readonly RunSummary[], states: ReadonlyMap<string, unknown>): (string | Cell)[][] {
  const hasStates = states.size > 0;
  const hasLater = runs.some(isLater);
  const hasTenants = runs.some(({ tenant }) => tenant !== undefined);
  const hasSubjects = runs.some(({ subject }) => subject !== undefined);
  const rows = runs.map((run) => [
    run.id,
    statusCell(run.status),
    ...(hasStates ? [stateText(states.get(run.id))] : []),
    run.workflow,
    ...(hasTenants ? [run.tenant ?? ""] : []),
    ...(hasSubjects ? [oneLine(run.subject ?? "", SUBJECT_LENGTH_MAX)] : []),
    dateAndTime(run.createdAt),
    durationText(run.updatedAt - run.createdAt),
    ...(hasLater ? [isLater(run) ? dateAndTime(run.wakeAt!) : ""] : []),
  ]);
  return [
    [
      ...["RUN", "STATUS", ...(hasStates ? ["STATE"] : []), "WORKFLOW", ...(hasTenants ? ["TENANT"] : []), ...(hasSubjects ? ["SUBJECT"] : [])],
      ...["STARTED", "TOOK", ...(hasLater ? ["BEGINS"] : [])],
    ],
    ...rows,
  ];
}

/** Was it started for later? */
function isLater({ status, wakeAt }: RunSummary): boolean {
  return status === "pending" && wakeAt !== null;
}

function nextPage({ status, workflow, subject, tag, since, until, limit, store }: LsOptions, after: string): string {
  const words = ["pawl", "ls", "--after", after, "--limit", String(limit)];
  for (const [option, value] of Object.entries({ status, workflow, subject, tag, since, until, store }))
    if (value !== undefined) words.push(`--${option}`, value);
  return commandLine(words);
}
