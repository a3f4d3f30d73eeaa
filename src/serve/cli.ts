/**
 * The program behind the command: parses, calls a verb, prints what went wrong, and answers the verb's exit code.
 * The engine is loaded by the verb that needs it, so that `--help` is quick.
 */
import { createRequire } from "node:module";
import { Command, CommanderError } from "commander";
import { endProcess, tolerateClosedPipes } from "./end-process.ts";
import { EXIT } from "./exit-code.ts";
import { declareVerbs } from "./verbs.ts";

/** Runs one command line to its end, and the process with it. */
export async function main(argv: readonly string[]): Promise<never> {
  tolerateClosedPipes();
  return endProcess(await runCommandLine(argv));
}

/** Runs one command line to its end, and answers its exit code. */
export async function runCommandLine(argv: readonly string[]): Promise<number> {
  const isJson = argv.includes("--json");
  let exitCode: number = EXIT.completed;
  const program = makeProgram((code) => (exitCode = code));
  try {
    await program.parseAsync(argv);
  } catch (error) {
    const verb = program.commands.find((command) => command.name() === argv[2])?.name();
    exitCode = await explain(error, isJson, verb);
  }
  return exitCode;
}

function makeProgram(done: (exitCode: number) => void): Command {
  const program = new Command("pawl")
    .description("Runs workflows of AI agents, and never loses a step that was done.")
    .version(version(), "-v, --version", "print the version")
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .helpCommand(false)
    .showSuggestionAfterError(true);
  declareVerbs(program, done);
  program.addHelpText("after", '\nExamples:\n  $ pawl run workflow.yaml --input \'{"topic": "ratchets"}\'\n  $ pawl ls --status failed');
  return program;
}

/** Found by the package's own name, so that it is right in src and in dist. */
function version(): string {
  return (createRequire(import.meta.url)("pawl/package.json") as { version: string }).version;
}

async function explain(error: unknown, isJson: boolean, verb: string | undefined): Promise<number> {
  const { problemOf, showProblem } = await import("./problem.ts");
  if (!(error instanceof CommanderError)) return showProblem(error, { isJson });
  if (error.code === "commander.helpDisplayed" || error.code === "commander.version") return EXIT.completed;
  if (error.code === "commander.help") return EXIT.usage;
  const [message, ...rest] = error.message
    .replace(/^error: /, "")
    .replace(/^command-argument value/, "the value")
    .split("\n");
  const text = [message, ...rest.map((line) => line.replace(/^\((.*)\)$/, "$1"))].join(" — ");
  return showProblem(problemOf("PAWL_USAGE", text, `see \`pawl ${verb === undefined ? "" : `${verb} `}--help\``), { isJson });
}
