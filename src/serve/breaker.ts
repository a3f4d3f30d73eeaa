/**
 * `pawl breaker`: the circuit breakers of a store, and what people ask of them.
 */
import type { BreakerView } from "../index.ts";
import { EXIT } from "./exit-code.ts";
import { toJson } from "./json.ts";
import { showProblem } from "./problem.ts";
import { openToLook } from "./stored.ts";
import { type Cell, alignColumns, dateAndTime, oneLine } from "./text.ts";

const FAILURE_LENGTH_MAX = 80;

export type BreakerVerb = "open" | "close" | "reset";

export interface BreakerVerbOptions {
  readonly store?: string;
  readonly json?: true;
}

export async function listBreakers(options: BreakerVerbOptions): Promise<number> {
  await using pawl = await openToLook(options.store);
  const breakers = await pawl.breakers();
  if (options.json) process.stdout.write(`${toJson(breakers)}\n`);
  else if (breakers.length === 0) process.stderr.write("no circuit breakers\n");
  else process.stdout.write(`${alignColumns(tableOf(breakers), process.stdout).join("\n")}\n`);
  return EXIT.completed;
}

const WORDS: Readonly<Record<BreakerView["state"], string>> = {
  closed: "closed",
  open: "open",
  halfOpen: "half open",
  forcedOpen: "forced open",
  forcedClosed: "forced closed",
};

function tableOf(breakers: readonly BreakerView[]): (string | Cell)[][] {
  const rows = breakers.map((view) => {
    const { name, state, since, failures, openings } = view;
    const isWell = state === "closed" || state === "forcedClosed";
    return [
      name,
      { text: WORDS[state], style: isWell ? "green" : "yellow" } satisfies Cell,
      dateAndTime(since),
      `${failures}`,
      `${openings}`,
      nextText(view),
      lastText(view),
    ];
  });
  return [["BREAKER", "STATE", "SINCE", "FAILURES", "OPENINGS", "NEXT", "LAST FAILURE"], ...rows];
}

function lastText({ lastFailure }: BreakerView): string {
  return lastFailure === null ? "" : oneLine(`${lastFailure.code} ${lastFailure.message}`, FAILURE_LENGTH_MAX);
}

/** What it waits for. */
function nextText({ state, halfOpensAt, successes, probes, policy }: BreakerView): string {
  if (halfOpensAt !== null) return `a call tries from ${dateAndTime(halfOpensAt)}`;
  if (state === "halfOpen") return `${successes} of ${policy.successThreshold} have succeeded, ${probes} under way`;
  return state === "closed" ? "" : "until it is reset";
}

/** Opens, closes or resets it for all workers. */
export async function setBreaker(verb: BreakerVerb, name: string, options: BreakerVerbOptions): Promise<number> {
  await using pawl = await openToLook(options.store);
  try {
    const view = verb === "reset" ? await pawl.resetBreaker(name) : await pawl.forceBreaker(name, verb === "open" ? "open" : "closed");
    process.stdout.write(options.json ? `${toJson(view)}\n` : `breaker ${name} is ${WORDS[view.state]}\n`);
    return EXIT.completed;
  } catch (error) {
    return showProblem(error, { isJson: options.json === true });
  }
}
