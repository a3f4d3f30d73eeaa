/**
 * What happened, counted from the histories of all runs: what is in them is on the disk, whoever did it and died since.
 */
import type { Run } from "pawl";

export interface Recount {
  readonly completed: number;
  /** Answers by the agent that the workflow names, and by the other one. */
  readonly answers: { readonly asPlanned: number; readonly instead: number };
  /** Attempts that an open breaker kept from being made. */
  readonly spared: number;
  /** Steps that began although they had completed. */
  readonly repeated: number;
  /** How many searches were made, and within how long. */
  readonly searches: number;
  readonly searchingMs: number;
  /** By tenant: how many searches it had when the first tenant had all that it had asked for. */
  readonly fair: Readonly<Record<string, number>>;
}

interface Step {
  readonly type: string;
  readonly runId: string;
  readonly node: string;
  readonly code: string | undefined;
  readonly at: number;
}

export async function recount(runs: readonly Run<string>[], tenants: Readonly<Record<string, number>>): Promise<Recount> {
  const steps = (await Promise.all(runs.map(stepsOf))).flat().toSorted((a, b) => a.at - b.at);
  const statuses = await Promise.all(runs.map((run) => run.status()));
  const instead = statuses.filter(({ degraded }) => degraded).length;
  const completed = statuses.filter(({ status }) => status === "completed").length;
  const lookUps = steps.filter(({ type, node }) => type === "node.started" && node === "look-up");
  return {
    completed,
    answers: { asPlanned: completed - instead, instead },
    spared: steps.filter(({ code }) => code === "PAWL_CIRCUIT_OPEN").length,
    repeated: repeatedOf(steps),
    searches: lookUps.length,
    searchingMs: lookUps.at(-1)!.at - lookUps[0]!.at,
    fair: fairOf(lookUps, tenants),
  };
}

async function stepsOf(run: Run<string>): Promise<Step[]> {
  const steps: Step[] = [];
  for await (const { at, events } of run.history())
    for (const { type, node, code } of events) if (node !== undefined) steps.push({ type, runId: run.id, node, code, at });
  return steps;
}

function repeatedOf(steps: readonly Step[]): number {
  const completed = new Set<string>();
  let repeated = 0;
  for (const { type, runId, node } of steps)
    if (type === "node.completed") completed.add(`${runId}/${node}`);
    else if (type === "node.started" && completed.has(`${runId}/${node}`)) repeated++;
  return repeated;
}

function fairOf(lookUps: readonly Step[], tenants: Readonly<Record<string, number>>): Record<string, number> {
  const counts: Record<string, number> = Object.fromEntries(Object.keys(tenants).map((tenant) => [tenant, 0]));
  for (const { runId } of lookUps) {
    const tenant = runId.slice(0, runId.lastIndexOf("-"));
    if (++counts[tenant]! === tenants[tenant]) break;
  }
  return counts;
}
