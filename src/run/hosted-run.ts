/**
 * What the worker hosts: a run in memory, of a DAG or of a machine, and what that needs from the worker.
 */
import type { Clock } from "../clock.ts";
import { type ErrorCode, PawlError } from "../errors.ts";
import type { Random } from "../random.ts";
import type { Commit, Store } from "../store/store.ts";
import type { AttemptSeams } from "./attempt.ts";
import type { Lane } from "./lane.ts";
import type { Protection } from "./protection.ts";
import type { CancelManner, InboxItem } from "./requests.ts";
import type { SendResult } from "./sends.ts";
import type { Streamed } from "./streams.ts";
import type { AnyEvent } from "./xstate/actor.ts";
import type { StepServices } from "./xstate/step.ts";

export interface HostedRun {
  readonly id: string;
  /** Its commits; 0 before it was created. */
  readonly commitNo: number;
  /** The hash of the definition that it goes by. */
  readonly definitionHash: string;
  /** For whom it works; undefined when nothing was said. */
  readonly lane: Lane | undefined;
  /** It has not begun: it does with the next `grant`. Left out of what begins by itself. */
  readonly isPending?: boolean;
  /** It is paused, or is about to be: events that are given to it now wait for its resume. */
  readonly isPaused: boolean;
  /** Something is to be applied. */
  readonly hasWork: boolean;
  /** A commit is under way: nothing is applied. */
  readonly inFlight: boolean;
  /** Nothing more will happen. */
  readonly finished: boolean;
  /** Something is to be written. */
  readonly isDirty: boolean;
  /** Attempts that wait for a permit, and not for a limit; and those that hold one. */
  readonly queued: number;
  readonly held: number;
  /** Attempts that run; one that is a run of its own holds no permit. */
  readonly running: number;
  /** It only waits for runs of its own. */
  readonly waitsForChild: boolean;
  /** Promises of its run, which end by themselves; they hold no permits. */
  readonly endsSoon: boolean;
  /** When a run that only waits wants to go on, in ms since 1970; null while it has work. */
  readonly wakeAt: number | null;
  /** Applies what happened, at most so many steps; answers how many are left. */
  applyInbox(budget: number): number;
  /** Is this a run of its own that it waits for? */
  wantsChild(childId: string): boolean;
  /** Begins, or starts the next attempt that waits for a permit. */
  grant(): void;
  /** What changed since the last commit, as the next one. */
  takeCommit(epoch: number): Commit;
  /** The commit is durable: now do what it says. */
  committed(): void;
  /** Takes up where the rows left off. */
  resume(): void;
  /** Is asked now and then whether something should move and does not. */
  reconcile(): void;
  cancel(manner?: CancelManner): void;
  /** Events with an id that are under way, by their id. */
  readonly underWay: Map<string, Promise<SendResult>>;
  /** Rows of its inbox, checked. One that it was given before is passed over. */
  receiveInbox(items: readonly InboxItem[]): void;
  /** Leaves memory. Nothing is written. */
  drop(code: DropCode): void;
}

/** In an inbox, instead of an event: the run is no longer wanted by the one that started it, which was cancelled so. */
export function cancelBody({ now, keeps }: CancelManner = {}): string {
  return `cancel${now ? " now" : keeps ? " keeps" : ""}`;
}

const MANNERS: readonly CancelManner[] = [{}, { now: true }, { keeps: true }];
const CANCELS = new Map(MANNERS.map((manner) => [cancelBody(manner), manner]));

/** How the run is cancelled; undefined when the row says something else. */
export function readCancelBody(body: string): CancelManner | undefined {
  return CANCELS.get(body);
}

export type DropCode = Extract<ErrorCode, "PAWL_CLOSED" | "PAWL_RUN_ENDED" | "PAWL_RUN_MOVED" | "PAWL_RUN_QUARANTINED" | "PAWL_STORE_FAILED">;

/** What a run needs from the worker that hosts it. */
export interface RunSeams {
  readonly clock: Clock;
  readonly random: Random;
  readonly attempts: AttemptSeams;
  readonly epoch: number;
  /** For steps of machines; undefined where nothing is executed. */
  readonly services: StepServices | undefined;
  /** Wall time as it was at the start, grown by monotonic time: for lengths that rows remember. Never jumps. */
  steadyNow(): number;
  /** What is to be added to an instant of steady time that the worker of this epoch wrote, in ms; 0 when it is not known. */
  lagOf(epoch: number | undefined): number;
  /** Steady time when the worker started. */
  readonly startedAt: number;
  /** Something is to be applied. */
  wake(run: HostedRun): void;
  /** An attempt no longer holds its permit. */
  released(): void;
  /** Undefined where nothing is executed. */
  readonly protection: Protection | undefined;
  /** Reads from the store. */
  read<T>(call: (store: Store) => Promise<T>): Promise<T>;
  /** An attempt of a node streams something to whoever listens. */
  streamed(runId: string, said: Streamed): void;
  /** The run is no longer paused: what was left in its inbox can be given to it. */
  wantsInbox(runId: string): void;
  /** An actor of the run emitted an event. */
  emitted(run: HostedRun, event: AnyEvent): void;
  /** Something was said to an actor of a run that has left memory. */
  strayed(runId: string, key: string, event: () => string): void;
  /** The run cannot go on. */
  broken(run: HostedRun, error: unknown): void;
}

export type IdleSeams = Pick<RunSeams, "clock" | "random" | "attempts" | "epoch" | "startedAt" | "services">;

/** Seams of a run that nobody hosts: it is only computed. */
export function unhosted({ clock, random, attempts, epoch, startedAt, services }: IdleSeams): RunSeams {
  const refuse = (): never => {
    throw new PawlError("PAWL_BUG", { message: "a run that nobody hosts asked for something" });
  };
  const nothing = (): void => {};
  return {
    clock,
    random,
    attempts,
    epoch,
    startedAt,
    services,
    steadyNow: () => startedAt,
    lagOf: () => 0,
    wake: nothing,
    released: nothing,
    protection: undefined,
    read: refuse,
    streamed: nothing,
    wantsInbox: nothing,
    emitted: nothing,
    strayed: nothing,
    broken: refuse,
  };
}
