/**
 * The command line for schedules: each verb with its arguments, options and two examples.
 */
import type { Command } from "commander";
import type { ScheduleVerbOptions } from "./schedules.ts";
import { type Done, examples, onStore } from "./verb-parts.ts";

const EXIT_CODES = "\nExit codes: 0 done, 2 wrong command, 5 no such schedule, 70 store failed";

export function declareScheduleVerbs(program: Command, done: Done): void {
  const schedules = program.command("schedules").description("schedules, which start runs at certain times: ls, run").helpCommand(false);
  schedules.addHelpText("after", examples("pawl schedules ls", "pawl schedules run nightly"));
  schedules.addHelpText("after", "\nA module exports a schedule beside its workflow, and `pawl work FILE` serves it.");
  const ls = schedules
    .command("ls")
    .description("list the schedules of a store, with their next and last instants")
    .addHelpText("after", examples("pawl schedules ls --store pawl.db", "pawl schedules ls --json"))
    .action(async (options: ScheduleVerbOptions) => done(await (await import("./schedules.ts")).listSchedules(options)));
  const run = schedules
    .command("run <schedule>")
    .description("start a run of a schedule now, beside those of its instants")
    .addHelpText("after", examples("pawl schedules run nightly", "pawl schedules run nightly --json"))
    .action(async (name: string, options: ScheduleVerbOptions) => done(await (await import("./schedules.ts")).runSchedule(name, options)));
  for (const command of [ls, run]) onStore(command).addHelpText("after", EXIT_CODES);
}
