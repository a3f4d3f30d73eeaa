/**
 * Threads for agents with `isolate`: what an agent does there cannot stop the process, and it can be ended whatever it does.
 * 1. A thread works for one attempt at a time, and is used again for the same module while it behaves. 2. One whose attempt
 * is given up is told so, and killed when it has not answered soon. 3. A thread that dies fails its attempt, nothing else.
 * 4. Threads that have nothing to do end, and never keep the process alive.
 */
import { Worker } from "node:worker_threads";
import type { Clock } from "../clock.ts";
import { AgentError } from "../errors.ts";
import { encode } from "./codec.ts";
import { type CallingAttempt, IsolatedCall, type IsolatedWork } from "./isolated-call.ts";

/** Threads of one process; more attempts wait for one, within their timeout. */
const THREADS_MAX = 32;
/** What the objects of an agent may take in its thread, in MiB: one that wants more is ended, and not the process. */
const THREAD_MEMORY_MAX_MB = 512;
/** A thread that nobody needed for so long ends. */
export const THREAD_IDLE_MS = 10_000;
/** What an agent has left to tidy up, in ms, when its signal aborts because its answer is no longer wanted. */
export const THREAD_ABORT_MS = 500;

class Thread {
  readonly module: string;
  readonly worker: Worker;
  call: IsolatedCall | undefined;
  cancelIdle: (() => void) | undefined;
  /** It has a call, or is about to. */
  isTaken = true;
  isAlive = true;
  #error: unknown;

  constructor(module: string, died: () => void) {
    this.module = module;
    const file = import.meta.url.endsWith(".ts") ? "./isolated-thread.ts" : "./isolated-thread.js";
    this.worker = new Worker(new URL(file, import.meta.url), { resourceLimits: { maxOldGenerationSizeMb: THREAD_MEMORY_MAX_MB } });
    this.worker.on("error", (error) => (this.#error = error));
    this.worker.on("exit", (exitCode) => {
      this.isAlive = false;
      this.cancelIdle?.();
      this.call?.died(this.#deathOf(exitCode));
      died();
    });
  }

  kill(): void {
    this.isAlive = false;
    void this.worker.terminate();
  }

  #deathOf(exitCode: number): AgentError {
    const cause = this.#error;
    if (cause === undefined) return new AgentError(`the agent ended its thread (exit code ${exitCode})`, { kind: "transient", code: "PAWL_THREAD_ENDED" });
    if ((cause as { code?: unknown }).code === "ERR_WORKER_OUT_OF_MEMORY")
      return new AgentError(`the agent took more than ${THREAD_MEMORY_MAX_MB} MiB`, { kind: "resource", code: "PAWL_THREAD_OUT_OF_MEMORY", cause });
    const message = cause instanceof Error ? cause.message : `of type ${typeof cause}`;
    return new AgentError(`the agent left an error that nobody caught: ${message}`, { kind: "transient", code: "PAWL_THREAD_ENDED", cause });
  }
}

export class IsolatedThreads {
  readonly #clock: Clock;
  readonly #threadsMax: number;
  readonly #threads = new Set<Thread>();
  /** Called when a thread is free, or gone. */
  #waiting: (() => void)[] = [];
  #isEnded = false;

  constructor(clock: Clock, threadsMax = THREADS_MAX) {
    this.#clock = clock;
    this.#threadsMax = threadsMax;
  }

  /** Threads that there are. */
  get size(): number {
    return this.#threads.size;
  }

  /** Calls the agent in a thread. Throws what it throws; AgentError when its thread dies. */
  async call(work: IsolatedWork, given: unknown, context: CallingAttempt): Promise<unknown> {
    const input = encode(given);
    const thread = await this.#take(work.module, context.signal);
    // it was given up between the taking and here: nobody would tell the thread
    if (context.signal.aborted) this.#rest(thread);
    context.signal.throwIfAborted();
    return this.#callOn(thread, work, input, context);
  }

  #callOn(thread: Thread, work: IsolatedWork, input: string, context: CallingAttempt): Promise<unknown> {
    const { signal } = context;
    const call = (thread.call = new IsolatedCall(thread.worker, work, input, context));
    const aborted = (): void => call.abort(signal.reason);
    signal.addEventListener("abort", aborted, { once: true });
    let cancelKill: (() => void) | undefined;
    // who was asked to stop can be given up later: a signal aborts only once
    context.onGivenUp = () => (cancelKill = this.#clock.after(THREAD_ABORT_MS, () => thread.kill()));
    call.onRest = () => {
      signal.removeEventListener("abort", aborted);
      context.onGivenUp = undefined;
      cancelKill?.();
      thread.call = undefined;
      if (!call.isLoaded) thread.kill();
      else if (thread.isAlive) this.#rest(thread);
    };
    return call.answer;
  }

  async #take(module: string, signal: AbortSignal): Promise<Thread> {
    for (;;) {
      signal.throwIfAborted();
      const thread = this.#free(module);
      if (thread !== undefined) return thread;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.push(resolve);
      signal.addEventListener("abort", () => resolve(), { once: true });
      await promise;
    }
  }

  #free(module: string): Thread | undefined {
    const idle = [...this.#threads].filter(({ isTaken, isAlive }) => !isTaken && isAlive);
    const known = idle.find((thread) => thread.module === module);
    if (known !== undefined) {
      known.isTaken = true;
      known.cancelIdle?.();
      known.worker.ref();
      return known;
    }
    if (this.#threads.size >= this.#threadsMax) {
      idle[0]?.kill();
      return undefined;
    }
    const made: Thread = new Thread(module, () => (this.#threads.delete(made), this.#tellAll()));
    this.#threads.add(made);
    return made;
  }

  /** It has nothing to do. */
  #rest(thread: Thread): void {
    if (this.#isEnded) return thread.kill();
    thread.isTaken = false;
    thread.worker.unref();
    thread.cancelIdle = this.#clock.after(THREAD_IDLE_MS, () => thread.kill());
    this.#tellAll();
  }

  #tellAll(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Ends all: those that work were given up, and have a moment left. */
  async end(): Promise<void> {
    this.#isEnded = true;
    for (const thread of this.#threads) if (!thread.isTaken) thread.kill();
    while (this.#threads.size > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
