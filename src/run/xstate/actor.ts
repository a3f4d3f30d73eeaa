/**
 * One actor of a run, of any kind of logic: a row in the store, an inert ref among xstate's actors.
 */
import type { AnyActorLogic, AnyActorRef, AnyActorScope, AnyMachineSnapshot, AnyStateMachine, StateNode } from "xstate";
import { PawlError } from "../../errors.ts";

/** An event as xstate takes it. */
export interface AnyEvent {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** `new` was made and not started yet; the last three have ended. */
export type Life = "new" | "running" | "done" | "error" | "stopped";

/** What any logic's snapshot has. */
export interface AnySnapshot {
  readonly status: "active" | "done" | "error" | "stopped";
  readonly output?: unknown;
  readonly error?: unknown;
}

/** A delayed event that waits for its instant. Part of its source's row. */
export interface ActorTimer {
  /** The number under which it was set: later ones are greater. */
  readonly number: number;
  /** The name by which it can be cancelled. */
  readonly id: string;
  /** The key of the actor that gets the event, or `run:` and the id of another run. */
  readonly to: string;
  /** The event as text. */
  readonly event: string;
  readonly policy: TimerPolicy;
  /** The instant in ms since 1970, on the wall clock for `deadline`, else in steady time. */
  readonly dueAt: number;
  /** For `restart`: how long it takes, and the epoch of the worker whose start it counts from. */
  readonly delayMs: number;
  readonly epoch: number;
}

/**
 * What a delay means when the process was down. `deadline`: its original instant. `remaining`: its length, whatever the
 * wall clock does. `restart`: its length again from the worker's start.
 */
export type TimerPolicy = "deadline" | "remaining" | "restart";

/** xstate's ref with the parts that the host replaces. */
export type HostedRef = AnyActorRef & {
  logic: unknown;
  _parent: HostedRef | undefined;
  _processingStatus: number;
  _syncSnapshot?: boolean;
  sessionId: string;
  systemId: string | undefined;
  readonly options: { readonly input?: unknown; readonly systemId?: string };
};

/** A row of the store. */
interface ActorRecord {
  readonly key: string;
  readonly status: string;
  readonly body: string;
  readonly output: string | null;
  readonly checksum: number;
}

/** What identifies an actor in its run. */
export interface ActorIdentity {
  readonly key: string;
  readonly id: string;
  /** The name by which its parent's logic knows its logic; empty for the root. */
  readonly src: string;
  readonly parent: Actor | undefined;
  readonly logic: AnyActorLogic;
  readonly syncSnapshot: boolean;
  readonly systemId: string | undefined;
}

/** The name that xstate holds a child under which was spawned without an id. */
export const NO_NAME = "undefined";

export class Actor {
  readonly key: string;
  readonly id: string;
  readonly src: string;
  readonly parent: Actor | undefined;
  readonly logic: AnyActorLogic;
  readonly syncSnapshot: boolean;
  readonly systemId: string | undefined;
  input: unknown;
  life: Life = "new";
  snapshot: AnySnapshot | undefined;
  /** The text of its state as its row has it, until somebody reads it. */
  storedState: string | undefined;
  /** The actors it made that are not gone, oldest first. */
  readonly children = new Set<Actor>();
  /** Those that its snapshot holds as children, by name. */
  readonly held = new Map<string, Actor>();
  readonly mailbox: AnyEvent[] = [];
  readonly deferred: (() => void)[] = [];
  timers: ActorTimer[] = [];
  /** Its logic runs in this process: a promise, a callback, an observable. */
  isStarted = false;
  /** The state value that the history noted last, as text. */
  notedValue: string | undefined;
  /** Its row and its snapshot as they were committed last. */
  row: ActorRecord | undefined;
  committed: AnySnapshot | undefined;
  ref!: HostedRef;
  scope!: AnyActorScope;

  constructor(identity: ActorIdentity) {
    this.key = identity.key;
    this.id = identity.id;
    this.src = identity.src;
    this.parent = identity.parent;
    this.logic = identity.logic;
    this.syncSnapshot = identity.syncSnapshot;
    this.systemId = identity.systemId;
    this.parent?.children.add(this);
  }

  /** Its name among its parent's children; undefined when another took that name. */
  get heldAs(): string | undefined {
    const { parent, id } = this;
    return parent?.held.get(id) === this ? id : parent?.held.get(NO_NAME) === this ? NO_NAME : undefined;
  }

  /** Its logic acts outside of turns, when they are durable: a promise, a callback, an observable. */
  get isOutside(): boolean {
    return isOutside(this.logic);
  }
}

export function isMachine(logic: unknown): logic is AnyStateMachine {
  return typeof logic === "object" && logic !== null && "root" in logic && "implementations" in logic;
}

export function isOutside(logic: AnyActorLogic): boolean {
  return !isMachine(logic) && typeof logic.start === "function";
}

const INLINE_INVOKE = /^xstate\.invoke\.(\d+)\.(.*)$/;

/** The logic that a machine has under a name, as xstate finds it; undefined when it has none. */
export function logicNamed(parent: AnyActorLogic, src: string): AnyActorLogic | undefined {
  if (!isMachine(parent)) return undefined;
  const inline = INLINE_INVOKE.exec(src);
  if (inline === null) {
    const actors = parent.implementations.actors as Record<string, AnyActorLogic>;
    return Object.hasOwn(actors, src) ? actors[src] : undefined;
  }
  const invoked = (nodeNamed(parent, inline[2]!)?.config as { invoke?: unknown } | undefined)?.invoke;
  const one = (Array.isArray(invoked) ? (invoked as unknown[])[Number(inline[1])] : invoked) as { src?: AnyActorLogic } | undefined;
  return typeof one?.src === "object" ? one.src : undefined;
}

/** The name under which a machine knows a logic that was spawned as an object. */
export function nameOf(parent: Actor | undefined, src: unknown): string {
  if (typeof src === "string") return src;
  if (parent === undefined) return "";
  const known = isMachine(parent.logic) ? Object.entries(parent.logic.implementations.actors as Record<string, unknown>) : [];
  const found = known.find(([, logic]) => logic === src);
  if (found !== undefined) return found[0];
  throw new PawlError("PAWL_INLINE_SPAWN", { message: `actor "${parent.id}" spawns logic that it has no name for` });
}

/** A machine's state node of this id, also of ids with dots. */
export function nodeNamed(machine: AnyStateMachine, id: string): StateNode<any, any> | undefined {
  return (machine as unknown as { idMap: ReadonlyMap<string, StateNode<any, any>> }).idMap.get(id);
}

export function isMachineSnapshot(value: object): value is AnyMachineSnapshot {
  return "machine" in value && "_nodes" in value && isMachine(value.machine);
}
