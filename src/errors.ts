/**
 * The one table of errors. Every error that leaves pawl is a `PawlError` with a code of this table:
 * what happened (message), what to do next (`next`), whether trying again can help (`retryable`).
 * Messages carry no SQL, path, secret or stack; the technical reason is in `cause`.
 */

interface ErrorEntry {
  readonly summary: string;
  readonly next: string;
  readonly retryable: boolean;
}

const entry = (summary: string, next: string, retryable = false): ErrorEntry => ({ summary, next, retryable });

/** Every code with what it means and what to do next. */
export const ERRORS = {
  PAWL_DEFINITION_CYCLE: entry("nodes wait for each other in a circle", "remove one of the references or `after` entries that close the circle"),
  PAWL_UNKNOWN_REFERENCE: entry("a reference names a node or field that does not exist", "correct the name; `pawl check FILE` lists the nodes"),
  PAWL_UNKNOWN_RECOVERY: entry(
    "a recovery action is named that neither the agent nor its node or stage declares",
    "declare it: recovery: { name: agent }, or correct its name",
  ),
  PAWL_UNKNOWN_AGENT: entry("a node names an agent that was not given", "add the agent to `agents`, or correct its name"),
  PAWL_DUPLICATE_ID: entry("two nodes, workflows or agents have the same name", "give each its own name"),
  PAWL_INVALID_ID: entry("a name has characters that are not allowed, or is reserved", "use 1 to 128 of A-Z a-z 0-9 . _ -"),
  PAWL_MISSING_FIELD: entry("a definition lacks a field", "add the field"),
  PAWL_INVALID_VALUE: entry("a field of a definition or an option has a value that cannot be used", "correct the value"),
  PAWL_DOCUMENT_SYNTAX: entry("the file is not valid YAML or JSON", "correct the syntax at the place shown"),
  PAWL_REFERENCE_MISUSE: entry("a reference was used as if it were the value", "compute inside an agent's run(); a definition only passes references on"),
  PAWL_UNKNOWN_IMPLEMENTATION: entry(
    "a machine names an action, guard, delay or actor that it does not implement",
    "implement it in setup(), or correct its name",
  ),
  PAWL_INLINE_SPAWN: entry(
    "a machine spawns logic that has no name, so that it could not come back after a restart",
    "register it: setup({ actors: { name: logic } }), and spawn it by that name",
  ),
  PAWL_FILE_UNREADABLE: entry("a file cannot be read or loaded", "check its name, its rights and what it exports"),
  PAWL_INPUT_INVALID: entry("the input does not fit its schema", "correct the input"),
  PAWL_OUTPUT_INVALID: entry("an agent's result does not fit its schema", "correct the agent or its output schema", true),
  PAWL_VALUE_NOT_STORABLE: entry("a value cannot be stored exactly", "return plain data: no functions, cycles or class instances"),
  PAWL_VALUE_TOO_LARGE: entry("a value is larger than the limit", "store large data elsewhere and pass its address"),
  PAWL_RUN_CONFLICT: entry("a run with this id exists already with another input or workflow", "choose another id, or pass the same input"),
  PAWL_RUN_NOT_FOUND: entry("there is no run with this id", "see `pawl ls`"),
  PAWL_SCHEDULE_NOT_FOUND: entry("there is no schedule of this name", "see `pawl schedules ls`"),
  PAWL_BREAKER_NOT_FOUND: entry("there is no circuit breaker of this name", "see `pawl breaker ls`"),
  PAWL_BREAKER_CONFLICT: entry(
    "two agents share a circuit breaker by its name, but give it different numbers",
    "give both the same numbers, or each a breaker of its own name",
  ),
  PAWL_CIRCUIT_OPEN: entry(
    "the agent's circuit breaker is open: its service failed too often, and is left alone for a while",
    "see `pawl breaker ls`; it tries again of itself, and `onOpen: 'wait'` lets attempts wait for that",
    true,
  ),
  PAWL_RUN_FAILED: entry("the run failed", "see `pawl show RUN`; `pawl retry RUN` runs again what failed in a workflow's run, and keeps the rest"),
  PAWL_RUN_TIMED_OUT: entry("the run reached its timeout", "see `pawl show RUN`; `pawl resume RUN` goes on with a workflow's run"),
  PAWL_RUN_CANCELLED: entry("the run was cancelled", "`pawl resume RUN` goes on with a workflow's run; or start it again under another id"),
  PAWL_RUN_QUARANTINED: entry(
    "the run's rows cannot be used, or it crashed its worker repeatedly",
    "see `pawl show RUN` for the reason; its rows are kept as they are",
  ),
  PAWL_DEFINITION_CHANGED: entry("the definition changed under an unfinished run", "register the old definition again, or start a new run under another id"),
  PAWL_DEFINITION_AMBIGUOUS: entry(
    "another machine of the same structure is registered, with other implementations: its runs could not be told apart",
    "give one of them another `id` or `version`",
  ),
  PAWL_DEFINITION_MISSING: entry("no workflow of this name was given to this worker", "pass it in open(url, { workflows })"),
  PAWL_AGENT_FAILED: entry("an agent failed", "see the message of the agent", true),
  PAWL_AGENT_TIMEOUT: entry("an attempt took longer than its timeout", "raise `timeout`, or make the agent faster", true),
  PAWL_AGENT_OVERDUE: entry(
    "an attempt ran longer than its `warnAfter`, and a recovery action gave it up",
    "see the recovery action's reasons, raise `warnAfter`, or make the agent faster",
    true,
  ),
  PAWL_AGENT_HTTP: entry("an agent's service answered with an error, or not at all", "check that the service runs and its URL is right", true),
  PAWL_AGENT_UNLOADABLE: entry(
    "the module of an isolated agent cannot be loaded, or does not export its function",
    "check the URL given to `isolate`; the part after # is the name of the export",
  ),
  PAWL_THREAD_ENDED: entry(
    "an isolated agent ended its thread before it answered",
    "let it answer or throw: no process.exit(), and no error or rejection that nobody catches",
    true,
  ),
  PAWL_THREAD_OUT_OF_MEMORY: entry("an isolated agent took more memory than its thread may have", "let it work on less at once", true),
  PAWL_UNHEALTHY: entry("a health check says that there should be no work now", "see what the check says, and `pawl health`", true),
  PAWL_HEALTH_CHECK_MISSING: entry("there is no health check of this name", "give it to open(url, { health: { checks } }), or correct its name"),
  PAWL_AGENT_UNCONFIGURED: entry("an agent's URL is not set", "set the environment variable, or give the URL in the definition"),
  PAWL_NOT_A_LIST: entry("a map was given something that is not a list", "give it a list; an agent can make one of it"),
  PAWL_EVENT_TIMEOUT: entry("an event did not come in time", "raise `timeout`, or let those that wait go on without it: onFail: 'skip'"),
  PAWL_STAGE_TIMED_OUT: entry("the stage of a node reached its timeout", "raise the stage's `timeout`, then `pawl retry RUN`"),
  PAWL_HEARTBEAT_TIMEOUT: entry(
    "an attempt reported no progress for longer than its `heartbeat`",
    "call ctx.heartbeat() more often, or raise `heartbeat`",
    true,
  ),
  PAWL_STEP_REPEATED: entry("an attempt used the key of a step twice", "give each step a key of its own, for example `call-${round}`"),
  PAWL_STEP_UNSUPPORTED: entry(
    "nobody keeps this step: a machine called the agent, or the agent has answered already",
    "call the agent from a node of a workflow, and await its steps before it answers",
  ),
  PAWL_SIGNATURE_INVALID: entry("a notice is not signed as it should be, or too long ago", "refuse it; check that both sides have the same secret"),
  PAWL_PEER_MISSING: entry("an optional package is not installed", "install the package that the message names"),
  PAWL_EVENT_REFUSED: entry(
    "the run cannot be sent this event",
    "send one that it takes, with the fields of its schema: `run.status()` tells what it waits for",
  ),
  PAWL_EVENT_UNHANDLED: entry("the run did not take the event in its present state", "see `run.can(event)`; send it in another state"),
  PAWL_SEND_PENDING: entry(
    "nobody answered in time; what was asked may still be done, once",
    "do not ask again: who takes the run does it; an event can be sent again with the same `eventId`",
    true,
  ),
  PAWL_OUTCOME_UNKNOWN: entry("the run left this process before the event was acknowledged", "send it again with the same `eventId`", true),
  PAWL_MAILBOX_FULL: entry("too many events wait for this run", "send more slowly, or await each send", true),
  PAWL_RUN_ENDED: entry("the run has ended and takes no more events", "start another run"),
  PAWL_WAIT_TIMEOUT: entry("what was waited for did not happen in time", "wait longer, or see `pawl show RUN`", true),
  PAWL_NOT_A_MACHINE: entry("the run is one of a workflow", "use this on a run of a machine"),
  PAWL_NOT_A_WORKFLOW: entry("the run is one of a machine, which has no nodes", "use `run.actors()`"),
  PAWL_NO_HOST: entry("a step of pawl ran outside of pawl", "start the machine with pawl.start(), not with createActor()"),
  PAWL_NO_ACTION: entry("actionKey() was called outside of an action", "call it within an action of a machine that pawl runs, before any await"),
  PAWL_RUN_MOVED: entry("another worker took this run over", "use its handle as before: it follows the run wherever it is", true),
  PAWL_CHECKPOINT_GONE: entry(
    "the run cannot be forked from this commit: its rows as of then are not kept any more",
    "fork from a newer one; a greater `keepCheckpoints` keeps more of them",
  ),
  PAWL_RUN_NOT_RETRYABLE: entry("the run cannot be taken up again where it ended", "fork it; see `pawl show RUN`"),
  PAWL_UNKNOWN_LIMIT: entry("there is no limit of this name", "see `pawl limits ls`; start a worker that is given the limit"),
  PAWL_LIMIT_EXCEEDED: entry("an attempt uses more than its limit ever has", "lower what the agent `uses`, or raise the limit: `pawl limits set NAME MAX`"),
  PAWL_QUEUE_TIMEOUT: entry("an attempt waited for too long for what it uses", "raise `queueTimeout` or the limit, or start less at once", true),
  PAWL_NODE_SETTLED: entry(
    "the node has ended already, and its outcome stands",
    "see `pawl show RUN`; retry or override what failed once the run has ended, or fork the run with another result",
  ),
  PAWL_NODE_OVERRIDDEN: entry("somebody has set the outcome of the node", "nothing is to be done; see `pawl show RUN --history` for who did it, and why"),
  PAWL_CLOSED: entry("pawl was closed", "open it again; unfinished runs go on by themselves"),
  PAWL_READ_ONLY: entry("the store's file cannot be written by this process", "check the rights of the file and its folder"),
  PAWL_STORE_FAILED: entry("the store failed; nothing after the last acknowledged step was kept", "check the disk, then open it again", true),
  PAWL_STORE_FULL: entry("the disk is full; nothing was lost", "free some space; pawl goes on by itself", true),
  PAWL_STORE_LOCKED: entry("another process uses the store", "stop it, then try again", true),
  PAWL_STORE_FOREIGN: entry("the file is not a pawl store", "choose another file name"),
  PAWL_STORE_NEWER: entry("the file was written by a newer pawl", "upgrade pawl"),
  PAWL_STORE_UNREADABLE: entry("the file or its folder cannot be opened for reading and writing", "check that the folder exists and its rights"),
  PAWL_ROW_CORRUPT: entry("a stored row is damaged", "restore the file from a backup; the run is kept aside"),
  PAWL_BACKUP_DAMAGED: entry("the backup or copy is damaged, or was cut short", "take another backup; `pawl doctor --full` tells whether the store is whole"),
  PAWL_FILE_EXISTS: entry("there is a file of this name already", "choose another name, or replace it with `force` (`--force`)"),
  PAWL_SQLITE_TOO_OLD: entry("this Node.js has an SQLite that can lose data", "use Node.js 24.21 or newer"),
  PAWL_NODE_TOO_OLD: entry("this Node.js cannot run pawl", "install Node.js 24 or newer from https://nodejs.org"),
  PAWL_BUG: entry("something happened that pawl did not expect", "report it with the stack that is shown; runs go on where they were"),
  PAWL_USAGE: entry("the command was not understood", "see `pawl --help`"),
} as const satisfies Record<string, ErrorEntry>;

/** A stable name of a kind of error, safe to compare against. */
export type ErrorCode = keyof typeof ERRORS;

/**
 * The status of each code over HTTP: 400 a wrong definition or command, 401 not signed, 404 not there, 409 not in this state,
 * 410 gone, 413 too large, 422 a value that does not fit, 429 too much at once, 500 an installation or a bug, 502 an agent's
 * failure, 503 not now, 504 not in time.
 */
const STATUS: Readonly<Record<ErrorCode, number>> = {
  PAWL_DEFINITION_CYCLE: 400,
  PAWL_UNKNOWN_REFERENCE: 400,
  PAWL_UNKNOWN_RECOVERY: 400,
  PAWL_UNKNOWN_AGENT: 400,
  PAWL_DUPLICATE_ID: 400,
  PAWL_INVALID_ID: 400,
  PAWL_MISSING_FIELD: 400,
  PAWL_INVALID_VALUE: 400,
  PAWL_DOCUMENT_SYNTAX: 400,
  PAWL_REFERENCE_MISUSE: 400,
  PAWL_UNKNOWN_IMPLEMENTATION: 400,
  PAWL_INLINE_SPAWN: 400,
  PAWL_FILE_UNREADABLE: 500,
  PAWL_INPUT_INVALID: 422,
  PAWL_OUTPUT_INVALID: 502,
  PAWL_VALUE_NOT_STORABLE: 422,
  PAWL_VALUE_TOO_LARGE: 413,
  PAWL_RUN_CONFLICT: 409,
  PAWL_RUN_NOT_FOUND: 404,
  PAWL_SCHEDULE_NOT_FOUND: 404,
  PAWL_BREAKER_NOT_FOUND: 404,
  PAWL_BREAKER_CONFLICT: 409,
  PAWL_CIRCUIT_OPEN: 503,
  PAWL_RUN_FAILED: 422,
  PAWL_RUN_TIMED_OUT: 504,
  PAWL_RUN_CANCELLED: 409,
  PAWL_RUN_QUARANTINED: 409,
  PAWL_DEFINITION_CHANGED: 409,
  PAWL_DEFINITION_AMBIGUOUS: 409,
  PAWL_DEFINITION_MISSING: 409,
  PAWL_AGENT_FAILED: 502,
  PAWL_AGENT_TIMEOUT: 504,
  PAWL_AGENT_OVERDUE: 504,
  PAWL_AGENT_HTTP: 502,
  PAWL_AGENT_UNLOADABLE: 500,
  PAWL_THREAD_ENDED: 502,
  PAWL_THREAD_OUT_OF_MEMORY: 502,
  PAWL_UNHEALTHY: 503,
  PAWL_HEALTH_CHECK_MISSING: 500,
  PAWL_AGENT_UNCONFIGURED: 500,
  PAWL_NOT_A_LIST: 422,
  PAWL_EVENT_TIMEOUT: 504,
  PAWL_STAGE_TIMED_OUT: 504,
  PAWL_HEARTBEAT_TIMEOUT: 504,
  PAWL_STEP_REPEATED: 409,
  PAWL_STEP_UNSUPPORTED: 500,
  PAWL_SIGNATURE_INVALID: 401,
  PAWL_PEER_MISSING: 500,
  PAWL_EVENT_REFUSED: 422,
  PAWL_EVENT_UNHANDLED: 409,
  PAWL_SEND_PENDING: 504,
  PAWL_OUTCOME_UNKNOWN: 503,
  PAWL_MAILBOX_FULL: 429,
  PAWL_RUN_ENDED: 409,
  PAWL_WAIT_TIMEOUT: 504,
  PAWL_NOT_A_MACHINE: 409,
  PAWL_NOT_A_WORKFLOW: 409,
  PAWL_NO_HOST: 500,
  PAWL_NO_ACTION: 500,
  PAWL_RUN_MOVED: 503,
  PAWL_CHECKPOINT_GONE: 410,
  PAWL_NODE_OVERRIDDEN: 409,
  PAWL_UNKNOWN_LIMIT: 404,
  PAWL_LIMIT_EXCEEDED: 400,
  PAWL_QUEUE_TIMEOUT: 503,
  PAWL_NODE_SETTLED: 409,
  PAWL_RUN_NOT_RETRYABLE: 409,
  PAWL_CLOSED: 503,
  PAWL_READ_ONLY: 500,
  PAWL_STORE_FAILED: 503,
  PAWL_STORE_FULL: 503,
  PAWL_STORE_LOCKED: 503,
  PAWL_STORE_FOREIGN: 500,
  PAWL_STORE_NEWER: 500,
  PAWL_STORE_UNREADABLE: 500,
  PAWL_ROW_CORRUPT: 500,
  PAWL_BACKUP_DAMAGED: 500,
  PAWL_FILE_EXISTS: 409,
  PAWL_SQLITE_TOO_OLD: 500,
  PAWL_NODE_TOO_OLD: 500,
  PAWL_BUG: 500,
  PAWL_USAGE: 400,
};

interface ErrorDetails {
  /** What went wrong, in one sentence; the table's summary when left out. */
  readonly message?: string;
  /** What to do next; the table's advice when left out. */
  readonly next?: string;
  /** Where: a place in a file, or run, node and attempt. */
  readonly at?: string;
  readonly cause?: unknown;
  /** Data about the error for programs, for example the changes of a definition. */
  readonly data?: unknown;
}

const BRAND = Symbol.for("pawl.error");

/**
 * The one error class of pawl.
 *
 * @example
 * ```ts
 * try { await run.result(); }
 * catch (error) { if (isPawlError(error, 'PAWL_RUN_FAILED')) console.error(error.next); else throw error; }
 * ```
 */
export class PawlError extends Error {
  override readonly name = "PawlError";
  readonly code: ErrorCode;
  readonly next: string;
  readonly retryable: boolean;
  /** What an HTTP server answers with it, 400 to 599. */
  readonly status: number;
  readonly at: string | undefined;
  readonly data: unknown;
  readonly [BRAND] = true;

  constructor(code: ErrorCode, details: ErrorDetails = {}) {
    super(details.message ?? ERRORS[code].summary, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.next = details.next ?? ERRORS[code].next;
    this.retryable = ERRORS[code].retryable;
    this.status = STATUS[code];
    this.at = details.at;
    this.data = details.data;
  }

  toJSON(): object {
    return {
      code: this.code,
      message: this.message,
      next: this.next,
      ...(this.at !== undefined && { at: this.at }),
      ...(this.data !== undefined && { data: this.data }),
    };
  }
}

/** What an HTTP server answers with an error of this code. */
export function statusOfError(code: ErrorCode): number {
  return STATUS[code];
}

/** Is this an error of pawl, and (when given) of this code? Works across copies of the package. */
export function isPawlError(error: unknown, code?: ErrorCode): error is PawlError {
  if (typeof error !== "object" || error === null || !(BRAND in error)) return false;
  return code === undefined || (error as PawlError).code === code;
}

/** What `examineStore` looked at, and how it stands: like an error that nobody has met yet. */
export interface Finding {
  readonly severity: "ok" | "warning" | "problem";
  /** What was looked at: a stable name. */
  readonly code: string;
  readonly message: string;
  /** What to do; null when there is nothing to be done. */
  readonly next: string | null;
}

/** How an agent's failure is treated. `configuration`, `critical`, `circuitOpen` and `cancelled` are not tried again. */
export type FailureKind = "transient" | "resource" | "configuration" | "critical" | "timeout" | "circuitOpen" | "cancelled" | "invalidOutput";

/**
 * Thrown by an agent to say of which kind its failure is. Any other error counts as `transient`.
 *
 * @example
 * ```ts
 * throw new AgentError('model is overloaded', { kind: 'transient', retryAfterMs: 2_000 });
 * ```
 */
export class AgentError extends Error {
  override readonly name = "AgentError";
  readonly kind: FailureKind;
  /** What failed, for programs: stored and shown with the failure. */
  readonly code: string;
  /** The shortest time in ms until the next attempt; the backoff may be longer. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, options: { kind: FailureKind; code?: string; retryAfterMs?: number; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = options.kind;
    this.code = options.code ?? "PAWL_AGENT_FAILED";
    this.retryAfterMs = options.retryAfterMs;
  }
}
