/**
 * The command line for why, how many and how well: each verb with its arguments, options and two examples.
 */
import type { Command } from "commander";
import type { FailuresVerbOptions } from "./failures.ts";
import type { HealthVerbOptions } from "./health.ts";
import type { CountsVerbOptions } from "./counts.ts";
import { type Done, examples, onStore, wholeNumber } from "./verb-parts.ts";
import type { TimeoutsVerbOptions } from "./timeouts.ts";
import type { WhyVerbOptions } from "./why.ts";

const EXIT_CODES = "\nExit codes: 0 told, 2 wrong command, 5 no such run, 70 store failed";
const LIMIT_MAX = 100_000;

export function declareWhyVerbs(program: Command, done: Done): void {
  const why = program
    .command("why <run>")
    .description("say why a run stands where it does, and what to do about it")
    .addHelpText("after", examples("pawl why r-42", "pawl why r-42 --json | jq '.causes[0]'"))
    .addHelpText("after", EXIT_CODES)
    .action(async (run: string, options: WhyVerbOptions) => done(await (await import("./why.ts")).why(run, options)));
  onStore(why);
  const failures = program
    .command("failures")
    .description("count what runs fail of: by code, node and agent, each with its newest run")
    .option("--since <instant>", "only runs started since: 24h or 7d ago, or a date as 2026-01-15T14:00")
    .option("--workflow <name>", "only runs of this workflow or machine")
    .option("--limit <number>", "look at so many runs of each status, the newest (default: 1000)", wholeNumber(1, LIMIT_MAX))
    .addHelpText("after", examples("pawl failures --since 24h", "pawl failures --workflow research --json"))
    .addHelpText("after", EXIT_CODES)
    .action(async (options: FailuresVerbOptions) => done(await (await import("./failures.ts")).failures(options)));
  onStore(failures);
  const counts = program
    .command("counts")
    .description("count the newest runs by status, and their nodes by agent")
    .option("--limit <number>", "count so many runs, the newest (default: 1000)", wholeNumber(1, LIMIT_MAX))
    .addHelpText("after", examples("pawl counts --limit 10000", "pawl counts --json | jq .agents"))
    .addHelpText("after", EXIT_CODES)
    .action(async (options: CountsVerbOptions) => done(await (await import("./counts.ts")).counts(options)));
  onStore(counts);
  const health = program
    .command("health")
    .description("show the health of the store, its disk and each worker")
    .addHelpText("after", examples("pawl health --store pawl.db", "pawl health --json | jq .status"))
    .addHelpText("after", "\nExit codes: 0 all HEALTHY, WARNING or DEGRADED, 1 the store or a worker CRITICAL or FAILED, 2 wrong command, 70 store failed")
    .action(async (options: HealthVerbOptions) => done(await (await import("./health.ts")).health(options)));
  onStore(health);
  const timeouts = program
    .command("timeouts")
    .description("measure how long agents take, and suggest a timeout for each")
    .option("--workflow <name>", "only runs of this workflow")
    .option("--limit <number>", "look at so many runs, the newest (default: 1000)", wholeNumber(1, LIMIT_MAX))
    .addHelpText("after", examples("pawl timeouts --limit 100", "pawl timeouts --workflow research --json"))
    .addHelpText("after", EXIT_CODES)
    .action(async (options: TimeoutsVerbOptions) => done(await (await import("./timeouts.ts")).timeouts(options)));
  onStore(timeouts);
}
