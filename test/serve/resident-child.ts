/**
 * The command as a process that stays: its modules are loaded once, then it runs the command lines that its parent tells
 * it, one after the other, in the folder of each. A NUL on both streams ends what a command printed.
 */
import { runCommandLine } from "../../src/serve/cli.ts";

/** What the parent tells. */
export interface CommandLine {
  readonly folder: string;
  readonly words: readonly string[];
}

ignoreSignals();
process.on("message", ({ folder, words }: CommandLine) => {
  process.chdir(folder);
  void runCommandLine([process.execPath, "pawl", ...words]).then((code) => {
    ignoreSignals();
    for (const stream of [process.stdout, process.stderr]) stream.write("\0");
    process.send!(code);
  });
});

/** One that comes when its command has ended is not for the next. */
function ignoreSignals(): void {
  for (const signal of ["SIGINT", "SIGTERM"]) process.removeAllListeners(signal).on(signal, () => {});
}
