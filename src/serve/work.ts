/**
 * `pawl work`: a worker that stands by: executes the runs of these definitions, those of before and those that come, until
 * it is told to stop.
 */
import { environmentVariable } from "../environment.ts";
import { type HistoryEvent, type HistoryType, type Pawl, type RunChange, type Schedule, type Webhook, checkDefinition, open } from "../index.ts";
import type { LogOptions } from "../watch/log.ts";
import { type Offered, loadAllOffered, loadSchedules, versionsOf } from "./definition-file.ts";
import { EXIT } from "./exit-code.ts";
import { toJson } from "./json.ts";
import { eventText } from "./event-text.ts";
import { problemOf, showProblem } from "./problem.ts";
import { CLOSING, stopSignal } from "./stop-signals.ts";
import { storePath } from "./stored.ts";
import { timeOfDay } from "./text.ts";
import { type WorkerFlags, workerSettings } from "./worker-settings.ts";
import { otherWorkers } from "./workers.ts";

export interface WorkOptions extends WorkerFlags {
  readonly export?: string;
  readonly store?: string;
  readonly logLevel: NonNullable<LogOptions["level"]>;
  readonly notify?: string;
  readonly json?: true;
}

/** What notices are signed with: no argument, as those are seen by whoever looks at the processes. */
const SECRET = "PAWL_NOTIFY_SECRET";

export async function work(files: readonly string[], options: WorkOptions): Promise<number> {
  const isJson = options.json === true;
  const { offered, schedules } = await load(files, options.export);
  const names = [...new Set(offered.map((each) => checkDefinition(versionsOf(each)[0]).name))];
  const given = { ...webhookOf(options.notify), ...workerSettings(options) };
  const { makeLog } = await import("../watch/log.ts");
  const fatal = Promise.withResolvers<never>();
  const path = storePath(options.store);
  const pawl = await open(path, { workflows: offered, schedules, log: makeLog({ level: options.logLevel }), ...given, onFatal: fatal.reject });
  const stop = stopSignal();
  pawl.subscribe((change) => tellEnd(change, isJson));
  const times = schedules.map(({ name }) => name);
  if (isJson)
    process.stdout.write(`${toJson({ type: "ready", pid: process.pid, store: path, definitions: names, ...(times.length > 0 && { schedules: times }) })}\n`);
  else process.stdout.write(`worker ${process.pid} is ready on ${path}: ${names.join(", ")}${times.length > 0 ? `; schedules: ${times.join(", ")}` : ""}\n`);
  try {
    await Promise.race([stop, fatal.promise]);
    process.stderr.write(`${CLOSING}\n`);
    await closeWorker(pawl, offered);
    return EXIT.completed;
  } catch (error) {
    await pawl.close().catch(() => {});
    return showProblem(error, { isJson });
  }
}

function webhookOf(url: string | undefined): { readonly notify?: Webhook } {
  if (url === undefined) return {};
  const secret = environmentVariable(SECRET);
  if (secret !== undefined) return { notify: { url, secret } };
  throw problemOf("PAWL_USAGE", `${SECRET} is not set: notices are signed with it`, "set it to at least 16 characters, and give the receiver the same");
}

/** What the files export: workflows, machines, rollouts, schedules, and what these start. */
async function load(files: readonly string[], exportName: string | undefined): Promise<{ offered: Offered[]; schedules: Schedule[] }> {
  const offered = new Set<Offered>();
  const schedules: Schedule[] = [];
  for (const file of files) {
    for (const each of await loadAllOffered(file, exportName)) offered.add(each);
    if (exportName === undefined) schedules.push(...(await loadSchedules(file)));
  }
  for (const { workflow } of schedules) offered.add(workflow);
  return { offered: [...offered], schedules };
}

function tellEnd({ runId, commitNo, at, events, status, isEnd }: RunChange, isJson: boolean): void {
  if (!isEnd) return;
  const event: HistoryEvent = events.findLast((candidate) => candidate.type === `run.${status}`) ?? { type: `run.${status}` as HistoryType };
  const text = isJson ? toJson({ ...event, runId, commitNo, at }) : `${timeOfDay(at)}  ${eventText(event).replace(/^run/, `run ${runId}`)}`;
  process.stdout.write(`${text}\n`);
}

async function closeWorker(pawl: Pawl, offered: readonly Offered[]): Promise<void> {
  const [other] = await otherWorkers(pawl, offered);
  await pawl.close();
  process.stderr.write(
    other === undefined ? "closed; unfinished runs go on when a worker is there again\n" : `closed; worker ${other.pid} goes on with unfinished runs\n`,
  );
}
