/**
 * What the command answers to a script: one number per kind of end.
 */
import type { ErrorCode } from "../index.ts";

export const EXIT = {
  completed: 0,
  failed: 1,
  /** The command, the definition or the setting was wrong: nothing ran. */
  usage: 2,
  cancelled: 3,
  timedOut: 4,
  noSuchRun: 5,
  /** What was asked of a run is recorded, and will be done once, but nobody did it yet. */
  pending: 6,
  /** The store failed or is in use: nothing after the last acknowledged step was kept. */
  storeFailed: 70,
  bug: 70,
  /** Of a signal: 128 and its number. */
  interrupted: 130,
  terminated: 143,
} as const;

/** Of codes that are not a mistake of whoever typed the command. */
const EXIT_OF: Partial<Record<ErrorCode, number>> = {
  PAWL_RUN_FAILED: EXIT.failed,
  PAWL_RUN_QUARANTINED: EXIT.failed,
  PAWL_CLOSED: EXIT.failed,
  PAWL_RUN_ENDED: EXIT.failed,
  PAWL_RUN_NOT_RETRYABLE: EXIT.failed,
  PAWL_NODE_SETTLED: EXIT.failed,
  PAWL_EVENT_REFUSED: EXIT.failed,
  PAWL_EVENT_UNHANDLED: EXIT.failed,
  PAWL_CHECKPOINT_GONE: EXIT.failed,
  PAWL_MAILBOX_FULL: EXIT.failed,
  PAWL_OUTCOME_UNKNOWN: EXIT.failed,
  PAWL_SEND_PENDING: EXIT.pending,
  PAWL_RUN_CANCELLED: EXIT.cancelled,
  PAWL_RUN_TIMED_OUT: EXIT.timedOut,
  PAWL_RUN_NOT_FOUND: EXIT.noSuchRun,
  PAWL_SCHEDULE_NOT_FOUND: EXIT.noSuchRun,
  PAWL_BREAKER_NOT_FOUND: EXIT.noSuchRun,
  PAWL_UNKNOWN_LIMIT: EXIT.noSuchRun,
  PAWL_STORE_FAILED: EXIT.storeFailed,
  PAWL_STORE_FULL: EXIT.storeFailed,
  PAWL_STORE_LOCKED: EXIT.storeFailed,
  PAWL_ROW_CORRUPT: EXIT.storeFailed,
  PAWL_BACKUP_DAMAGED: EXIT.storeFailed,
  PAWL_BUG: EXIT.bug,
};

/** The exit code of an error of pawl; every other code of the table is a wrong command, definition or setting. */
export function exitCodeOf(code: ErrorCode): number {
  return EXIT_OF[code] ?? EXIT.usage;
}
