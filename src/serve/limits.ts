/**
 * `pawl limits`: how much of what agents use is used, and what people set.
 */
import type { LimitTarget, LimitView, Pawl } from "../index.ts";
import { EXIT } from "./exit-code.ts";
import { toJson } from "./json.ts";
import { showProblem } from "./problem.ts";
import { openToLook } from "./stored.ts";
import { type Cell, alignColumns, count, dateAndTime, durationText } from "./text.ts";

export interface LimitVerbOptions {
  readonly tenant?: string;
  readonly store?: string;
  readonly json?: true;
}

export async function listLimits(options: LimitVerbOptions): Promise<number> {
  await using pawl = await openToLook(options.store);
  const limits = await pawl.limits();
  if (options.json) process.stdout.write(`${toJson(limits)}\n`);
  else if (limits.length === 0) process.stderr.write("no limits\n");
  else process.stdout.write(`${alignColumns(tableOf(limits), process.stdout).join("\n")}\n`);
  if (!options.json) for (const name of new Set(limits.flatMap(({ name, differs }) => (differs ? [name] : [])))) process.stderr.write(differsText(name));
  return EXIT.completed;
}

function differsText(name: string): string {
  return `workers were given different numbers for "${name}", and each goes by its own: start them with the same\n`;
}

function tableOf(limits: readonly LimitView[]): (string | Cell)[][] {
  const hasTenants = limits.some(({ each }) => each !== undefined);
  const rows = limits.map((limit) => [
    limit.name,
    ...(hasTenants ? [tenantText(limit)] : []),
    maxText(limit),
    String(limit.used),
    limit.waiting === 0 ? "0" : { text: waitingText(limit), style: "yellow" as const },
    limit.freeAt === undefined ? "" : dateAndTime(limit.freeAt),
    limit.shares.map(({ pid, share, used }) => `${pid}: ${used}/${share}`).join(", "),
  ]);
  return [["LIMIT", ...(hasTenants ? ["TENANT"] : []), "MAX", "USED", "WAITING", "FREE AT", "WORKERS"], ...rows];
}

function tenantText({ each, tenant, shares }: LimitView): string {
  if (each === undefined) return "";
  return tenant ?? (shares.length === 0 ? "each" : "none");
}

/** `600 by 12 nodes, about 1m05s`: what waits, and how long it is until the last of them has its turn. */
function waitingText({ waiting, nodes, waitMs }: LimitView): string {
  const by = nodes === 0 || nodes === waiting ? "" : ` by ${count(nodes, "node")}`;
  return `${waiting}${by}${waitMs === undefined ? "" : `, about ${durationText(Math.max(1_000, waitMs))}`}`;
}

function maxText({ max, perMs, setFrom }: LimitView): string | Cell {
  const text = perMs === undefined ? String(max) : `${max} in ${durationText(perMs)}`;
  return setFrom === undefined ? text : { text: `${text}, set instead of ${setFrom}`, style: "yellow" };
}

export function setLimit(name: string, max: number, options: LimitVerbOptions): Promise<number> {
  return changed(options, (pawl, target) => pawl.setLimit(name, max, target));
}

export function resetLimit(name: string, options: LimitVerbOptions): Promise<number> {
  return changed(options, (pawl, target) => pawl.resetLimit(name, target));
}

async function changed(options: LimitVerbOptions, change: (pawl: Pawl, target: LimitTarget) => Promise<LimitView>): Promise<number> {
  await using pawl = await openToLook(options.store);
  try {
    const limit = await change(pawl, options.tenant === undefined ? {} : { tenant: options.tenant });
    process.stdout.write(options.json ? `${toJson(limit)}\n` : `${alignColumns(tableOf([limit]), process.stdout).join("\n")}\n`);
    return EXIT.completed;
  } catch (error) {
    return showProblem(error, { isJson: options.json === true });
  }
}
