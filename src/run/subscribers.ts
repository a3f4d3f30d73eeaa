/**
 * Who listens in this process to what happens in its runs: what machines emit, and what the history says, each once it is
 * durable. A listener that throws harms nobody, and hears what comes next.
 */
import type { Log } from "../define/agent.ts";
import type { Emitted } from "./emitted.ts";
import { HISTORY_TYPES, type HistoryEvent, type RunChange } from "./history.ts";
import type { AnyEvent } from "./xstate/actor.ts";

/** Where an event comes from. */
export interface EventOrigin {
  readonly runId: string;
  /** Of what the history says: the commit, and its instant in ms since 1970. Absent with what a machine emitted. */
  readonly commitNo?: number;
  readonly at?: number;
}

/** Told of one event of the history. */
export type HistoryListener<Type> = (event: HistoryEvent & { readonly type: Type }, from: Required<EventOrigin>) => void;
/** Told of events of any kind. */
export type EventListener = (event: AnyEvent, from: EventOrigin) => void;

interface Sources {
  readonly emitted: Emitted<AnyEvent, { readonly runId: string }>;
  readonly changes: Emitted<RunChange>;
  readonly log: Log;
}

/** Answers what ends it. */
export function listen({ emitted, changes, log }: Sources, type: string, listener: EventListener): () => void {
  const hear: EventListener = (event, from) => {
    try {
      if (type === "*" || event.type === type) listener(event, from);
    } catch (error) {
      log.error({ error }, "a listener threw");
    }
  };
  const ends = [emitted.add(hear)];
  if (type === "*" || (HISTORY_TYPES as readonly string[]).includes(type))
    ends.push(changes.add(({ events, runId, commitNo, at }) => events.forEach((event) => hear({ ...event }, { runId, commitNo, at }))));
  return () => ends.forEach((end) => end());
}
