/**
 * The command line for circuit breakers: each verb with its arguments, options and two examples.
 */
import type { Command } from "commander";
import type { BreakerVerb, BreakerVerbOptions } from "./breaker.ts";
import { type Done, examples, onStore } from "./verb-parts.ts";

const EXIT_CODES = "\nExit codes: 0 done, 2 wrong command, 5 no such breaker, 70 store failed";

const ACTS: Readonly<Record<BreakerVerb, string>> = {
  open: "open a circuit breaker for all workers: no call of its agents is made until it is reset",
  close: "close a circuit breaker for all workers, however many calls fail, until it is reset",
  reset: "close a circuit breaker as if nothing had failed; calls decide again",
};

export function declareBreakerVerbs(program: Command, done: Done): void {
  const breaker = program.command("breaker").description("circuit breakers, which all workers share: ls, open, close, reset").helpCommand(false);
  breaker.addHelpText("after", examples("pawl breaker ls", "pawl breaker open openai"));
  const ls = breaker
    .command("ls")
    .description("list the circuit breakers of a store, and what state they are in")
    .addHelpText("after", examples("pawl breaker ls --store pawl.db", "pawl breaker ls --json"))
    .action(async (options: BreakerVerbOptions) => done(await (await import("./breaker.ts")).listBreakers(options)));
  const acts = (Object.keys(ACTS) as BreakerVerb[]).map((verb) =>
    breaker
      .command(`${verb} <breaker>`)
      .description(ACTS[verb])
      .addHelpText("after", examples(`pawl breaker ${verb} openai`, `pawl breaker ${verb} openai --json`))
      .action(async (name: string, options: BreakerVerbOptions) => done(await (await import("./breaker.ts")).setBreaker(verb, name, options))),
  );
  for (const command of [ls, ...acts]) onStore(command).addHelpText("after", EXIT_CODES);
}
