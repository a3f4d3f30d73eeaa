/**
 * What the example prints, line by line. Holds no logic beyond words.
 */
import type { RunChange } from "pawl";
import type { Call } from "./call-log.ts";
import { drawBars } from "./draw-chart.ts";
import type { Rows } from "./messages.ts";

interface Told {
  readonly title: string;
  readonly rows: Rows;
  readonly answer: string;
  readonly readBy: "model" | "rules";
  readonly sql: string;
}

const startedAt = performance.now();
const isTerminal = process.stdout.isTTY;
const bold = (text: string): string => (isTerminal ? `\u001b[1m${text}\u001b[0m` : text);

export function say(text = ""): void {
  console.log(text);
}

export function heading(text: string): void {
  say(`\n${bold(text)}`);
}

/** A line of the story with its time since the start. */
export function line(what: string, text: string): void {
  say(`  ${((performance.now() - startedAt) / 1_000).toFixed(2).padStart(5)} s  ${what.padEnd(9)} ${text}`);
}

/** What one commit says happened; `again` are the nodes that had been cut off. */
export function tellChange({ events }: RunChange, again: readonly string[]): void {
  for (const { type, node = "", attempt = 1, message = "" } of events) {
    if (type === "node.started") line(node, again.includes(node) ? `is called again, still as attempt ${attempt}` : `attempt ${attempt} starts`);
    if (type === "node.completed") line(node, "completed, and on the disk");
    if (type === "node.backingOff") line(node, `attempt ${attempt} failed, another follows: ${message}`);
    if (type === "node.failed") line(node, `failed: ${message}`);
    if (type === "run.completed") line("run", "completed");
  }
}

/** What the agents themselves counted. Answers whether it is as promised. */
export function tellWitness(calls: readonly Call[], again: readonly string[]): boolean {
  heading("What the agents wrote down themselves");
  for (const agent of ["nlp", "data", "viz"]) {
    const count = (what: Call["what"]): number => calls.filter((call) => call.agent === agent && call.what === what).length;
    const started = count("start");
    const unanswered = started - count("end");
    say(`  ${agent.padEnd(5)} called ${started === 1 ? "once" : `${started} times`}${unanswered > 0 ? `, ${unanswered} of them cut off by a kill` : ""}`);
  }
  if (again.length === 0) say("  No node that had completed was called again.");
  else say(`  BROKEN PROMISE: these had completed and were called again: ${again.join(", ")}`);
  return again.length === 0;
}

export function tellResult({ title, rows, answer, readBy, sql }: Told, file: string): void {
  heading(title);
  for (const bar of drawBars(rows)) say(`  ${bar}`);
  say(`\n  ${answer}\n`);
  say(`  question read by  ${readBy === "model" ? "a language model" : "rules; OPENAI_API_KEY would make it a language model"}`);
  say(`  SQL               ${sql}`);
  say(`  chart             ${file}\n`);
}
