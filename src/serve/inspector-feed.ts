/**
 * A run as the messages of Stately's inspector, made of its committed history: true of a run of any age, in any process.
 * 1. `createdAt` is the instant of the commit. 2. An actor is announced before anything is said of it.
 * 3. The same history gives the same messages, in the same order: a reader can go on where it stopped.
 */
import type { ActorView, HistoryEntry, Run, RunDefinition } from "../index.ts";
import { machineScribe } from "./inspector-machine.ts";
import { type InspectorMessage, Pen, type Scribe } from "./inspector-messages.ts";
import { workflowScribe } from "./inspector-workflow.ts";
import { isOver } from "./stored.ts";

export interface FeedOptions {
  /** With the contexts of the newest states, and output and errors. */
  readonly context: boolean;
  /** Goes on until the run has ended; else ends with what is there. */
  readonly follow: boolean;
  readonly signal?: AbortSignal;
}

/** How often a run that goes on is looked at for something new, and how many looks it is asked whether it was set aside. */
const LOOK_EVERY_MS = 200;
const LOOKS_PER_STATUS = 10;
/** Messages of so many commits come in one piece. */
const COMMITS_MAX = 500;

/** The messages of a run, piece by piece. Throws what `run.status()` throws. */
export async function* messagesOf(run: Run<unknown>, { context, follow, signal }: FeedOptions): AsyncGenerator<InspectorMessage[]> {
  const definition = await run.definition();
  const scribe = scribeOf(definition);
  const pen = new Pen(run.id);
  let seen = 0;
  const taken = async (): Promise<InspectorMessage[]> =>
    context && definition.kind === "machine" ? withContexts(pen.take(), await run.actors(), run.id, seen) : pen.take();
  for (let look = 0; ; look++) {
    if (signal?.aborted) return;
    const before = seen;
    for (let entries = await nextEntries(run, seen); entries.length > 0; entries = await nextEntries(run, seen)) {
      for (const entry of entries) {
        pen.at = entry.at;
        scribe.happened(entry, pen);
      }
      seen = entries.at(-1)!.commitNo;
      yield await taken();
    }
    const view = seen !== before || look % LOOKS_PER_STATUS === 0 ? await run.status() : undefined;
    if (view !== undefined && isOver(view) && seen >= view.commitNo) {
      pen.at = view.updatedAt;
      scribe.ended(context ? view : { ...view, output: undefined, failure: undefined }, pen);
      return yield await taken();
    }
    if (!follow) return;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

async function nextEntries(run: Run<unknown>, after: number): Promise<HistoryEntry[]> {
  const entries: HistoryEntry[] = [];
  for await (const entry of run.history(after)) {
    entries.push(entry);
    if (entries.length === COMMITS_MAX) break;
  }
  return entries;
}

function scribeOf(definition: RunDefinition): Scribe {
  return definition.kind === "machine" ? machineScribe(definition) : workflowScribe(definition);
}

/** Gives the last snapshot of each actor its context, if that is still the newest state. */
function withContexts(messages: readonly InspectorMessage[], actors: readonly ActorView[], runId: string, commitNo: number): InspectorMessage[] {
  const newest = new Map(actors.filter((actor) => actor.commitNo <= commitNo).map((actor) => [sessionIdOf(runId, actor), actor]));
  return messages
    .toReversed()
    .map((message) => {
      const actor = message.type === "@xstate.snapshot" ? newest.get(message.sessionId) : undefined;
      if (actor === undefined || message.type !== "@xstate.snapshot") return message;
      newest.delete(message.sessionId);
      return { ...message, snapshot: { ...message.snapshot, context: actor.context } };
    })
    .toReversed();
}

function sessionIdOf(runId: string, { key, parent }: ActorView): string {
  return parent === undefined ? runId : `${runId}/${key}`;
}
