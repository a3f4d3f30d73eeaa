/**
 * `pawl schedules`: what is started at certain times, and what people ask of it.
 */
import type { ScheduleView } from "../index.ts";
import { EXIT } from "./exit-code.ts";
import { toJson } from "./json.ts";
import { showProblem } from "./problem.ts";
import { openToLook } from "./stored.ts";
import { type Cell, alignColumns, dateAndTime } from "./text.ts";
import { takerText, workersOf } from "./workers.ts";

export interface ScheduleVerbOptions {
  readonly store?: string;
  readonly json?: true;
}

export async function listSchedules(options: ScheduleVerbOptions): Promise<number> {
  await using pawl = await openToLook(options.store);
  const schedules = await pawl.schedules();
  if (options.json) process.stdout.write(`${toJson(schedules)}\n`);
  else if (schedules.length === 0) process.stderr.write("no schedules\n");
  else process.stdout.write(`${alignColumns(tableOf(schedules), process.stdout).join("\n")}\n`);
  return EXIT.completed;
}

function tableOf(schedules: readonly ScheduleView[]): (string | Cell)[][] {
  const rows = schedules.map((schedule) => {
    const { name, workflow, cron, timeZone, lastRunId, skipped, skippedAt } = schedule;
    const passedOver = skippedAt === null ? "0" : `${skipped}, last ${dateAndTime(skippedAt)}`;
    return [name, workflow, cron, timeZone, nextText(schedule), lastRunId ?? "", passedOver];
  });
  return [["SCHEDULE", "WORKFLOW", "CRON", "TIME ZONE", "NEXT", "LAST RUN", "SKIPPED"], ...rows];
}

function nextText({ nextAt, isServed }: ScheduleView): string | Cell {
  if (nextAt === null) return "never";
  return isServed ? dateAndTime(nextAt) : { text: `${dateAndTime(nextAt)}, but no worker serves it`, style: "yellow" };
}

/** Starts a run of it now. */
export async function runSchedule(name: string, options: ScheduleVerbOptions): Promise<number> {
  await using pawl = await openToLook(options.store);
  try {
    const run = await pawl.runSchedule(name);
    const workers = await workersOf(pawl, run);
    if (options.json) process.stdout.write(`${toJson({ runId: run.id, schedule: name, workers: workers.map(({ pid }) => pid) })}\n`);
    else {
      process.stdout.write(`${run.id}\n`);
      process.stderr.write(`recorded; ${takerText(workers)}\n`);
    }
    return EXIT.completed;
  } catch (error) {
    return showProblem(error, { isJson: options.json === true });
  }
}
