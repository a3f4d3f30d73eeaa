/**
 * A question at the terminal, to be answered with yes or no.
 */
import { createInterface } from "node:readline/promises";

/** Was it answered with yes? Who leaves has not. */
export async function confirmed(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const left = Promise.withResolvers<string>();
  terminal.once("close", () => left.resolve(""));
  const answer = await Promise.race([terminal.question(question), left.promise]);
  terminal.close();
  return /^y(?:es)?$/i.test(answer.trim());
}
