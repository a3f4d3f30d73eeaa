/**
 * The history of a run: what happened, commit by commit, as people read it. Compact as stored, objects as read.
 */
import type { Failure, Verdict } from "../../machines/node.ts";
import type { HistoryRecord } from "../store/store.ts";
import type { OverrideNote } from "./row.ts";
import type { RunStatus } from "./view.ts";

/** What a commit says happened, in order. */
export const HISTORY_TYPES = [
  "run.started",
  "run.recovered",
  "run.paused",
  "run.resumed",
  "run.forked",
  "run.retried",
  "run.continued",
  "run.completed",
  "run.failed",
  "run.timedOut",
  "run.cancelled",
  "run.compensating",
  "run.warned",
  "run.actionEnded",
  "stage.started",
  "stage.warned",
  "stage.recovered",
  "stage.timedOut",
  "stage.completed",
  "node.started",
  "node.completed",
  "node.backingOff",
  "node.alternative",
  "node.warned",
  "node.recovering",
  "node.recovered",
  "node.failed",
  "node.skipped",
  "node.cancelled",
  "node.notTaken",
  "node.overridden",
  "node.compensating",
  "node.compensated",
  "node.compensationFailed",
  "machine.turned",
  "actor.started",
  "actor.ended",
  "action.performed",
] as const;
export type HistoryType = (typeof HISTORY_TYPES)[number];

/** One thing that happened in a run. */
export interface HistoryEvent {
  readonly type: HistoryType;
  /** The node it is about. */
  readonly node?: string;
  /** The stage it is about. */
  readonly stage?: string;
  readonly attempt?: number;
  /** The actor of a machine run that it is about, by its key. */
  readonly actor?: string;
  /** The type of the event that a machine was told. */
  readonly event?: string;
  /** The machine's state value after that, when it changed. */
  readonly value?: unknown;
  /** What an actor's logic or an action is called, or how an actor ended. */
  readonly name?: string;
  /** Why, for failures. */
  readonly message?: string;
  readonly code?: string;
  /** Of a map that was opened: how many items it has. */
  readonly items?: number;
  /** Of a choice that was made: the branch that was taken; absent when none was. */
  readonly branch?: string;
  /** Of an event that is awaited from then on: when its timeout strikes, in ms since 1970. */
  readonly dueAt?: number;
  /** Of an attempt that is a run of its own: that run's id. */
  readonly childRun?: string;
  /** Of an attempt that waits for the end of a run which was started elsewhere. */
  readonly awaitsRun?: true;
  /** Of a node whose outcome somebody set: how it ends, who said so, and why. */
  readonly outcome?: "completed" | "skipped" | "failed";
  readonly by?: string;
  readonly reason?: string;
  /** The name of the recovery action that is called, that an attempt is of, or that has ended, and what it said. */
  readonly action?: string;
  readonly verdict?: "continue" | "restart" | "fail";
  /** Of a node that is tried again with another input: which one it is, from 2 on. */
  readonly generation?: number;
}

/** What a node began with: what a group was opened with, until when an event is awaited, the run that an attempt is, or what action. */
type Opening = Pick<HistoryEvent, "items" | "branch" | "dueAt" | "childRun" | "awaitsRun" | "action">;
/** What is said of a node beside its attempt. */
type Detail = Opening | OverrideNote | Pick<HistoryEvent, "generation"> | Recovered;
/** What is said of a recovery action. */
type Recovered = Pick<HistoryEvent, "action" | "verdict" | "code" | "message" | "stage">;

/** One commit: everything in it happened at once. */
export interface HistoryEntry {
  readonly commitNo: number;
  /** Wall clock, ms since 1970. */
  readonly at: number;
  readonly events: readonly HistoryEvent[];
}

/** What happened in a run, told when it is durable. */
export interface RunChange extends HistoryEntry {
  readonly runId: string;
  /** The run's status since then. */
  readonly status: RunStatus;
  /** The run has ended with it. */
  readonly isEnd: boolean;
}

type Compact = [type: HistoryType, node?: string | 0, attempt?: number, code?: string | Detail, message?: string] | MachineEntry;
/** Of a machine run: the actor, the event or name, and the state value when it changed. */
type MachineEntry = [type: MachineType, actor: string, name: string, value?: unknown];
type MachineType = "machine.turned" | "actor.started" | "actor.ended" | "action.performed";

const MACHINE_TYPES: ReadonlySet<string> = new Set(["machine.turned", "actor.started", "actor.ended", "action.performed"]);

/** What entering a state of a run, or of a node, is called. */
export const RUN_EVENTS: Readonly<Record<string, HistoryType>> = {
  running: "run.started",
  paused: "run.paused",
  completed: "run.completed",
  failed: "run.failed",
  timedOut: "run.timedOut",
  cancelled: "run.cancelled",
  compensating: "run.compensating",
};
export const NODE_EVENTS: Readonly<Record<string, HistoryType>> = {
  completed: "node.completed",
  failed: "node.failed",
  skipped: "node.skipped",
  cancelled: "node.cancelled",
  notTaken: "node.notTaken",
  backingOff: "node.backingOff",
};
/** What happens to the compensation of a node. */
export const UNDO_EVENTS: Readonly<Record<string, HistoryType>> = {
  completed: "node.compensated",
  failed: "node.compensationFailed",
  cancelled: "node.compensationFailed",
  backingOff: "node.compensating",
};

/** An actor whose turns are noted, with the text of the state value that was noted last. */
interface Turned {
  readonly key: string;
  readonly snapshot: unknown;
  notedValue: string | undefined;
}

/** Collects the events of one commit. */
export class HistoryWriter {
  #events: Compact[] = [];
  #isRecovered = false;

  /** The run was taken up again by another process: said with the next thing that happens. */
  recovered(): void {
    this.#isRecovered = true;
  }

  get isEmpty(): boolean {
    return this.#events.length === 0;
  }

  node(type: HistoryType, node: string, attempt: number, failure?: { code: string; message: string }): void {
    this.#events.push(failure === undefined ? [type, node, attempt] : [type, node, attempt, failure.code, failure.message]);
  }

  /** An attempt started, a group was opened, or an event is awaited from now on. */
  started(node: string, opening: Opening, attempt = 0): void {
    const hasOpening = Object.keys(opening).length > 0;
    this.#events.push(hasOpening ? ["node.started", node, attempt, opening] : attempt > 0 ? ["node.started", node, attempt] : ["node.started", node]);
  }

  /** A recovery action of the node is called for this failure. */
  actionBegins(node: string, attempt: number, { code, message, recover }: Failure): void {
    this.#events.push(["node.recovering", node, attempt, { ...(recover !== undefined && { action: recover }), code, message }]);
  }

  /** A recovery action of the node has said how it goes on; one that failed itself with that failure. */
  actionEnded(node: string, attempt: number, said: Recovered): void {
    this.#events.push(["node.recovered", node, attempt, said]);
  }

  /** A stage, or the run's warning, has entered this state. Of a run only the warning is told. */
  stage(stage: string | undefined, state: string): void {
    if (stage !== undefined) this.#events.push([`stage.${state === "running" ? "started" : state}` as HistoryType, 0, 0, { stage }]);
    else if (state === "warned") this.run("run.warned");
  }

  /** A recovery action of a stage, or of the run, has ended. */
  stageRecovered(stage: string | undefined, action: string, verdict: Verdict, failure: Failure | undefined): void {
    const { code, message } = failure ?? {};
    const said: Recovered = { ...(stage !== undefined && { stage }), action, verdict, ...(code !== undefined && { code, message: message! }) };
    this.#events.push([stage === undefined ? "run.actionEnded" : "stage.recovered", 0, 0, said]);
  }

  /** Somebody said how the node ends. */
  overridden(node: string, note: OverrideNote): void {
    this.#events.push(["node.overridden", node, 0, note]);
  }

  run(type: HistoryType, failure?: { code: string; message: string }): void {
    this.#events.push(failure === undefined ? [type] : [type, 0, 0, failure.code, failure.message]);
  }

  /** Something in a machine run. */
  actor(type: MachineType, actor: string, name: string, value?: unknown): void {
    this.#events.push(value === undefined ? [type, actor, name] : [type, actor, name, value]);
  }

  /** A machine was told an event; its state value is noted when it changed. */
  turn(actor: Turned, event: string): void {
    const { value } = actor.snapshot as { value?: unknown };
    const text = typeof value === "string" ? value : JSON.stringify(value);
    this.actor("machine.turned", actor.key, event, text === actor.notedValue ? undefined : value);
    actor.notedValue = text;
  }

  /** The text of the commit's row; begins anew. */
  take(): string {
    const text = JSON.stringify(this.#isRecovered ? [["run.recovered"], ...this.#events] : this.#events);
    this.#events = [];
    this.#isRecovered = false;
    return text;
  }
}

export function readHistoryEntry(record: HistoryRecord): HistoryEntry {
  return { commitNo: record.commitNo, at: record.at, events: (JSON.parse(record.body) as Compact[]).map(readEvent) };
}

function readEvent(compact: Compact): HistoryEvent {
  if (isMachineEntry(compact)) {
    const [type, actor, name, value] = compact;
    return { type, actor, ...(type === "machine.turned" ? { event: name } : { name }), ...(value !== undefined && { value }) };
  }
  const [type, node, attempt, code, message] = compact;
  return {
    type,
    ...(node && { node }),
    ...(attempt && { attempt }),
    ...(typeof code === "object" ? code : code !== undefined && { code }),
    ...(message !== undefined && { message }),
  };
}

function isMachineEntry(compact: Compact): compact is MachineEntry {
  return MACHINE_TYPES.has(compact[0]);
}
