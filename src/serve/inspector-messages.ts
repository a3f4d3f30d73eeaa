/**
 * The messages of Stately's inspector: which actors there are, which events they were told, which states followed.
 * Written by hand, as @statelyai/inspect sends them, with the true instants.
 */
import type { HistoryEntry, RunView } from "../index.ts";

/** The version of @statelyai/inspect whose messages these are. */
const PROTOCOL_VERSION = "0.7.2";

interface MessageBase {
  /** The actor that it is about: the run's id, or the run's id and the key of the actor or node. */
  readonly sessionId: string;
  readonly rootId: string;
  /** Ms since 1970, as text. */
  readonly createdAt: string;
  readonly id: null;
  readonly _version: string;
}

/** A state as the inspector takes it. What is not known is left out. */
export interface InspectorSnapshot {
  readonly status: "active" | "done" | "error" | "stopped";
  readonly value?: unknown;
  readonly context?: unknown;
  readonly output?: unknown;
  readonly error?: unknown;
  readonly children: Readonly<Record<string, { readonly xstate$$type: 1; readonly id: string }>>;
}

interface InspectorEvent {
  readonly type: string;
  readonly [field: string]: unknown;
}

export interface ActorMessage extends MessageBase {
  readonly type: "@xstate.actor";
  readonly name: string;
  /** Undefined for the root. */
  readonly parentId: string | undefined;
  /** A machine's configuration as JSON. */
  readonly definition: string | undefined;
  readonly snapshot: InspectorSnapshot;
}

export interface EventMessage extends MessageBase {
  readonly type: "@xstate.event";
  readonly sourceId: string | undefined;
  readonly event: InspectorEvent;
}

export interface SnapshotMessage extends MessageBase {
  readonly type: "@xstate.snapshot";
  readonly event: InspectorEvent;
  readonly snapshot: InspectorSnapshot;
}

export type InspectorMessage = ActorMessage | EventMessage | SnapshotMessage;

/** Writes messages of one run: knows its id and the instant. */
export class Pen {
  readonly runId: string;
  at = 0;
  #written: InspectorMessage[] = [];

  constructor(runId: string) {
    this.runId = runId;
  }

  actor(sessionId: string, facts: Pick<ActorMessage, "name" | "parentId" | "definition" | "snapshot">): void {
    this.#written.push({ type: "@xstate.actor", ...facts, ...this.#base(sessionId) });
  }

  event(sessionId: string, event: InspectorEvent, sourceId?: string): void {
    this.#written.push({ type: "@xstate.event", event, sourceId, ...this.#base(sessionId) });
  }

  snapshot(sessionId: string, event: InspectorEvent, snapshot: InspectorSnapshot): void {
    this.#written.push({ type: "@xstate.snapshot", event, snapshot, ...this.#base(sessionId) });
  }

  #base(sessionId: string): MessageBase {
    return { sessionId, rootId: this.runId, createdAt: String(this.at), id: null, _version: PROTOCOL_VERSION };
  }

  /** What was written; begins anew. */
  take(): InspectorMessage[] {
    const written = this.#written;
    this.#written = [];
    return written;
  }
}

/** Turns what happened into messages, for one kind of run. */
export interface Scribe {
  /** An entry, from the first on. */
  happened(entry: HistoryEntry, pen: Pen): void;
  /** The run has ended, and all entries were told. */
  ended(view: RunView, pen: Pen): void;
}
