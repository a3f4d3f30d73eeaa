/**
 * `pawl doctor`: what is right and wrong with a store, and what to do about it.
 */
import { type Finding, examineStore } from "../index.ts";
import { EXIT } from "./exit-code.ts";
import { toJson } from "./json.ts";
import { storePath } from "./stored.ts";
import { type Cell, alignColumns, count, oneLine } from "./text.ts";

export interface DoctorVerbOptions {
  readonly full?: true;
  readonly fix?: true;
  readonly store?: string;
  readonly json?: true;
}

const STYLES = { ok: "green", warning: "yellow", problem: "red" } as const;
const MESSAGE_MAX = 1_000;

export async function doctor(options: DoctorVerbOptions): Promise<number> {
  const findings = await examineStore(storePath(options.store), { full: options.full === true, fix: options.fix === true });
  const problems = findings.filter(({ severity }) => severity === "problem").length;
  const warnings = findings.filter(({ severity }) => severity === "warning").length;
  if (options.json) process.stdout.write(`${toJson(findings)}\n`);
  else {
    process.stdout.write(`${alignColumns(findings.flatMap(rowsOf), process.stdout).join("\n")}\n`);
    process.stdout.write(`${problems + warnings === 0 ? "all is well" : `${count(problems, "problem")}, ${count(warnings, "warning")}`}\n`);
  }
  return problems > 0 ? EXIT.failed : EXIT.completed;
}

/** A finding, and beneath it what to do. */
function rowsOf({ severity, code, message, next }: Finding): (string | Cell)[][] {
  const row = [{ text: severity, style: STYLES[severity] }, code, oneLine(message, MESSAGE_MAX)];
  return next === null ? [row] : [row, ["", "", `next: ${next}`]];
}
