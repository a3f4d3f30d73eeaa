/**
 * Runs that belong to another run, as the store tells it: whether that one is over, and which of them a run that nobody
 * has in memory began.
 */
import type { RunRecord, Store, StoredActor } from "../store/store.ts";
import { childRunId } from "./attempt.ts";
import { parentsOf } from "./child-address.ts";
import { decode } from "./codec.ts";
import { READABLE, isMachineRun } from "./machine-view.ts";
import { isOver, readHistory } from "./view.ts";
import { ROOT_KEY } from "./xstate/system.ts";

/** The likeliest id of the run that this one belongs to; undefined for a run that somebody started. */
export function parentOf(runId: string): string | undefined {
  return parentsOf(runId)[0];
}

/** Does the run belong to one that is over, or gone? One that was set aside is not over: somebody may look into it. */
export async function isOrphan(store: Store, runId: string): Promise<boolean> {
  const parents = parentsOf(runId);
  for (const id of parents) {
    const parent = await store.readRun(id);
    if (parent !== undefined) return isOver(parent.status) && parent.status !== "quarantined";
  }
  return parents.length > 0;
}

/** The unfinished runs that a run began for its nodes or actors, and waits for. */
export async function childrenOf(store: Store, record: RunRecord): Promise<string[]> {
  const begun = isMachineRun(record) ? actorAddresses(record.id, await store.readActors(record.id)) : await nodeAddresses(store, record.id);
  const children: string[] = [];
  for (const id of new Set(begun)) {
    const child = await store.readRun(id);
    if (child !== undefined && !isOver(child.status)) children.push(id);
  }
  return children;
}

/** What the attempts that were started last would be called. */
async function nodeAddresses(store: Store, runId: string): Promise<string[]> {
  const started = new Map<string, number>();
  for await (const { events } of readHistory(store, runId))
    for (const { type, node, attempt } of events) {
      if (type === "node.started") started.set(node!, attempt!);
      else if (node !== undefined) started.delete(node);
    }
  return [...started].map(([node, attempt]) => childRunId(runId, node, attempt));
}

/** What the actors that run would be called: by their key, or as an attempt of their parent. */
function actorAddresses(runId: string, rows: readonly StoredActor[]): string[] {
  return rows.filter(({ key, status }) => status === "running" && key !== ROOT_KEY).flatMap((row) => childAddresses(runId, row));
}

/** What the run would be called that this actor may be. */
export function childAddresses(runId: string, { key, output }: StoredActor): string[] {
  const parent = key.slice(0, Math.max(0, key.lastIndexOf("/")));
  const attempt = attemptIn(output);
  return [`${runId}/${key}`, ...(parent === "" || attempt === undefined ? [] : [childRunId(runId, parent, attempt)])];
}

/** A damaged row has none: the run is to end all the same. */
function attemptIn(text: string | null): number | undefined {
  try {
    const { input } = decode(text ?? "{}", READABLE) as { readonly input?: { readonly attempt?: unknown } };
    return typeof input?.attempt === "number" ? input.attempt : undefined;
  } catch {
    return undefined;
  }
}
