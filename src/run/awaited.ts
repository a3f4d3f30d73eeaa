/**
 * The events that a workflow's run waits for now: from its rows and its stored structure, also where its code is not.
 */
import { eventSchemas } from "../define/plan-structure.ts";
import { PawlError } from "../errors.ts";
import type { RunRecord, Store } from "../store/store.ts";
import type { WaitingFor } from "./machine-view.ts";
import { type NodeBody, openActorRow } from "./row.ts";

/** An event that a node of a workflow waits for. */
export interface AwaitedEvent {
  /** The type of the event, which is the id of the node. */
  readonly type: string;
  /** Since when, in ms since 1970. */
  readonly since: number;
  /** When its timeout strikes; undefined when it has none. */
  readonly dueAt: number | undefined;
  /** JSON Schema of its fields, to make a form of; undefined when the event's schema cannot say it. */
  readonly schema: unknown;
}

type Schemas = ReadonlyMap<string, unknown>;

/** Definitions whose events are kept in memory: runs are looked at again and again. */
const KNOWN_MAX = 100;
/** By the hash of the definition. */
const known = new Map<string, Schemas>();

const MAY_WAIT: ReadonlySet<string> = new Set(["running", "paused"]);

/** Undefined when it waits for none. */
export async function viewAwaited(store: Store, record: RunRecord): Promise<WaitingFor | undefined> {
  if (!MAY_WAIT.has(record.status)) return undefined;
  const schemas = await schemasOf(store, record.definition);
  if (schemas.size === 0) return undefined;
  const rows = (await store.readActors(record.id, [...schemas.keys()])).filter(({ status }) => status === "running");
  const awaited = rows.map((row): AwaitedEvent => {
    const { startedAt, dueAt } = openActorRow(record.id, row) as NodeBody;
    return { type: row.key, since: startedAt, dueAt, schema: schemas.get(row.key) };
  });
  if (awaited.length === 0) return undefined;
  awaited.sort((a, b) => a.since - b.since);
  return { events: awaited.map(({ type }) => type), timers: [], awaited };
}

async function schemasOf(store: Store, definition: string): Promise<Schemas> {
  const found = known.get(definition);
  if (found !== undefined) return found;
  const body = await store.readDefinition(definition);
  if (body === undefined) throw new PawlError("PAWL_ROW_CORRUPT", { message: "the definition of this run is missing" });
  // most workflows wait for none: theirs are not parsed
  const schemas: Schemas = body.includes('"kind":"event"') ? eventSchemas(body) : new Map();
  const [oldest] = known.keys();
  if (known.size >= KNOWN_MAX) known.delete(oldest!);
  known.set(definition, schemas);
  return schemas;
}
