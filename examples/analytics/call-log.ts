/**
 * What the agents themselves write down: a line when a call starts, ends, or is cut off by its caller's death, with its
 * idempotency key. Beside pawl and independent of it: this is the witness that no completed node was called again.
 */
import { appendFileSync, existsSync, readFileSync } from "node:fs";

export interface Call {
  readonly what: "start" | "end" | "cut";
  readonly agent: string;
  /** `run/node#1`: the same for every attempt of a node. */
  readonly key: string;
}

export function appendCall(file: string, { what, agent, key }: Call): void {
  appendFileSync(file, `${what} ${agent} ${key}\n`);
}

/** The calls of one run, oldest first. A last line that a kill left unfinished is no call. */
export function readCalls(file: string, runId: string): Call[] {
  if (!existsSync(file)) return [];
  const calls = readFileSync(file, "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => line.split(" "));
  return calls
    .filter(([, , key]) => key?.startsWith(`${runId}/`) === true)
    .map(([what, agent, key]) => ({ what: what as Call["what"], agent: agent!, key: key! }));
}

/** Nodes of the run that were called although they are among those that were kept. */
export function calledAgain(calls: readonly Call[], kept: readonly string[]): string[] {
  const started = new Set(calls.filter(({ what }) => what === "start").map(({ key }) => nodeOf(key)));
  return kept.filter((node) => started.has(node));
}

function nodeOf(key: string): string {
  return key.slice(key.indexOf("/") + 1, key.lastIndexOf("#"));
}
