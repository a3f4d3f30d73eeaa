/**
 * The command line for limits: each verb with its arguments, options and two examples.
 */
import type { Command } from "commander";
import type { LimitVerbOptions } from "./limits.ts";
import { type Done, examples, onStore, wholeNumber } from "./verb-parts.ts";

const EXIT_CODES = "\nExit codes: 0 done, 2 wrong command, 5 no such limit, 70 store failed";
const LIMIT_MAX = Number.MAX_SAFE_INTEGER;

export function declareLimitVerbs(program: Command, done: Done): void {
  const limits = program.command("limits").description("limits of what agents use, for all workers: ls, set, reset").helpCommand(false);
  limits.addHelpText("after", examples("pawl limits ls", "pawl limits set llmTokens 20000"));
  limits.addHelpText(
    "after",
    "\nA limit is named in open(url, { limits }), in --limit of `pawl work` and `pawl run`, and in `concurrency` of an agent: agent:NAME.",
  );
  const ls = limits
    .command("ls")
    .description("list the limits of a store, with what is used of them and what waits")
    .addHelpText("after", examples("pawl limits ls --store pawl.db", "pawl limits ls --json"))
    .action(async (options: LimitVerbOptions) => done(await (await import("./limits.ts")).listLimits(options)));
  const set = limits
    .command("set <limit>")
    .argument("<max>", "a whole number: at most so much at once, or within the limit's window", wholeNumber(1, LIMIT_MAX))
    .description("set a limit for all workers, instead of what the code says; running attempts go on")
    .option("--tenant <tenant>", "the tenant, of a limit that each tenant has")
    .addHelpText("after", examples("pawl limits set agent:searcher 2", "pawl limits set apiCalls 5 --tenant acme --json"))
    .action(async (name: string, max: number, options: LimitVerbOptions) => done(await (await import("./limits.ts")).setLimit(name, max, options)));
  const reset = limits
    .command("reset <limit>")
    .description("undo `set`: the limit is what the code says")
    .option("--tenant <tenant>", "the tenant, of a limit that each tenant has")
    .addHelpText("after", examples("pawl limits reset agent:searcher", "pawl limits reset apiCalls --tenant acme --json"))
    .action(async (name: string, options: LimitVerbOptions) => done(await (await import("./limits.ts")).resetLimit(name, options)));
  for (const command of [ls, set, reset]) onStore(command).addHelpText("after", EXIT_CODES);
}
