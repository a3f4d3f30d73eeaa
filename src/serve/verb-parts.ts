/**
 * What the declarations of verbs have in common.
 */
import { type Command, InvalidArgumentError } from "commander";

/** Each verb tells its exit code when it is done. */
export type Done = (exitCode: number) => void;

export function withStore(command: Command): Command {
  return command.option("--store <path>", "the store's file (default: PAWL_STORE, or .pawl/pawl.db)");
}

export function withJson(command: Command): Command {
  return command.option("--json", "print JSON");
}

export function examples(first: string, second: string): string {
  return `\nExamples:\n  $ ${first}\n  $ ${second}`;
}

/** Of an option that may be given several times. */
export function collect(value: string, earlier: readonly string[] | undefined): readonly string[] {
  return [...(earlier ?? []), value];
}

/** A whole number in these bounds. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}
