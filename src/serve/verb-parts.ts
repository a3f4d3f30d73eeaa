/**
 * What the declarations of verbs have in common.
 */
import { type Command, InvalidArgumentError } from "commander";

/** Each verb tells its exit code when it is done. */
export type Done = (exitCode: number) => void;

/** Every verb says on which store, and whether for programs. */
export function onStore(command: Command): Command {
  return command.option("--store <path>", "the store's file (default: PAWL_STORE, or .pawl/pawl.db)").option("--json", "print JSON");
}

/** Every verb that reads a definition says which one. */
export const EXPORT_OPTION = ["--export <name>", "which workflow or machine of a module, when it has several"] as const;

export function examples(first: string, second: string): string {
  return `\nExamples:\n  $ ${first}\n  $ ${second}`;
}

/** Of an option that may be given several times. */
export function collect(value: string, earlier: readonly string[] | undefined): readonly string[] {
  return [...(earlier ?? []), value];
}

/** A whole number, which may be negative. */
export function anyNumber(text: string): number {
  if (/^-?\d+$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a whole number.");
}

/** A whole number in these bounds. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}
