/**
 * How a machine's run stands, kept up to date from its history: which actors live, and in which states their machines are.
 */
import type { ActorView, HistoryEntry, HistoryEvent } from "../index.ts";
import { ROOT } from "./machine-text.ts";

/** An actor that lives. */
export interface BoardActor {
  readonly key: string;
  /** Its id among the children of its parent. */
  readonly id: string;
  /** What its parent's machine calls its logic; empty for the machine itself. */
  readonly src: string;
  readonly parent: string | undefined;
  /** The value of a machine; undefined for other logic. */
  state: unknown;
  /** The event that it was told last. */
  event: string | undefined;
}

const NONE: ReadonlySet<BoardActor> = new Set();

export class MachineBoard {
  /** Those that live, parents first. The machine itself is always among them. */
  readonly actors = new Map<string, BoardActor>([[ROOT, { key: ROOT, id: ROOT, src: "", parent: undefined, state: undefined, event: undefined }]]);

  isPaused = false;
  readonly #children = new Map<string, Set<BoardActor>>();

  /** A fork begins with actors that its history does not tell of: those that live, parents first. */
  constructor(known: readonly Pick<ActorView, "key" | "src" | "state">[] = []) {
    for (const { key, src, state } of known) {
      if (key === ROOT) this.root.state = state;
      else this.#add({ key, id: idOf(key), src, parent: parentOf(key), state, event: undefined });
    }
  }

  get root(): BoardActor {
    return this.actors.get(ROOT)!;
  }

  /** In the order in which they were started. */
  childrenOf(parent: string): ReadonlySet<BoardActor> {
    return this.#children.get(parent) ?? NONE;
  }

  apply({ events }: HistoryEntry): void {
    for (const event of events) this.applyEvent(event);
  }

  applyEvent({ type, actor: key, event, value, name }: HistoryEvent): void {
    if (type === "run.paused" || type === "run.resumed") this.isPaused = type === "run.paused";
    if (key === undefined) return;
    if (type === "actor.started") this.#add({ key, id: idOf(key), src: name ?? "", parent: parentOf(key), state: undefined, event: undefined });
    else if (type === "actor.ended") this.#remove(key);
    else if (type === "machine.turned") {
      const actor = this.actors.get(key);
      if (actor === undefined) return;
      actor.event = event;
      if (value !== undefined) actor.state = value;
    }
  }

  #add(actor: BoardActor): void {
    this.actors.set(actor.key, actor);
    const siblings = this.#children.get(actor.parent!);
    if (siblings === undefined) this.#children.set(actor.parent!, new Set([actor]));
    else siblings.add(actor);
  }

  #remove(key: string): void {
    const actor = this.actors.get(key);
    if (actor === undefined) return;
    this.actors.delete(key);
    this.#children.get(actor.parent!)?.delete(actor);
    this.#children.delete(key);
  }
}

/** The key of the actor above this one. */
export function parentOf(key: string): string | undefined {
  if (key === ROOT) return undefined;
  return key.includes("/") ? key.slice(0, key.lastIndexOf("/")) : ROOT;
}

/** A key is the parent's, and the id with its number. */
function idOf(key: string): string {
  const text = key.slice(key.lastIndexOf("/") + 1, key.lastIndexOf("~"));
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
