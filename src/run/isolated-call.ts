/**
 * One call of an isolated agent, as its attempt sees it: what the agent asks for over the port is done here.
 */
import { MessageChannel, type MessagePort, type Worker } from "node:worker_threads";
import type { AgentContext } from "../define/agent.ts";
import { decode, encode } from "./codec.ts";
import type { FromThread, ThreadCall, ToThread, Told } from "./isolated-thread.ts";
import { revived, thrownText } from "./isolated-thrown.ts";

/** Where an isolated agent's function is. */
export interface IsolatedWork {
  /** The address of its module. */
  readonly module: string;
  /** The name that the module exports it by. */
  readonly exported: string;
}

/** The attempt that calls. */
export interface CallingAttempt extends AgentContext {
  /** Called when its answer is no longer wanted. */
  onGivenUp: (() => void) | undefined;
}

export class IsolatedCall {
  readonly answer: Promise<unknown>;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: unknown) => void;
  readonly #context: CallingAttempt;
  readonly #port: MessagePort;
  readonly #unheard = new Int32Array(new SharedArrayBuffer(4));
  /** Steps that the agent performs now. */
  readonly #performing = new Map<number, { readonly resolve: (result: unknown) => void; readonly reject: (error: unknown) => void }>();
  #steps = 0;
  #isAnswered = false;
  /** The module was loaded, and the function is there. */
  isLoaded = false;
  /** Called once, when nothing of the call is under way in the thread any more. */
  onRest: (() => void) | undefined;

  /** `input` is text. */
  constructor(worker: Worker, { module, exported }: IsolatedWork, input: string, context: CallingAttempt) {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.answer = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#context = context;
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.on("message", (message: FromThread) => this.#hear(message));
    const { runId, nodeId, attempt, idempotencyKey, deadlineAt, upstreamFailures } = context;
    const facts = { runId, nodeId, attempt, idempotencyKey, deadlineAt, upstreamFailures };
    const call: ThreadCall = { module, exported, input, facts, port: port2, unheard: this.#unheard };
    worker.postMessage(call, [port2]);
  }

  /** The agent is told that its signal aborts. */
  abort(reason: unknown): void {
    this.#say({ kind: "abort", thrown: thrownText(reason) });
  }

  /** The thread is no more. */
  died(error: unknown): void {
    this.#port.close();
    this.#reject(error);
    for (const { reject } of this.#performing.values()) reject(error);
    this.#performing.clear();
    this.#rests();
  }

  #say(message: ToThread): void {
    this.#port.postMessage(message);
  }

  #hear(message: FromThread): void {
    Atomics.sub(this.#unheard, 0, 1);
    Atomics.notify(this.#unheard, 0);
    try {
      this.#do(message);
    } catch (error) {
      this.#reject(error);
    }
  }

  #do(message: FromThread): void {
    const context = this.#context;
    if (message.kind === "answered") this.#answered(message.told, message.isLoaded);
    else if (message.kind === "heartbeat") context.heartbeat(decode(message.text));
    else if (message.kind === "used") context.used(decode(message.text) as Readonly<Record<string, number>>);
    else if (message.kind === "stream") context.stream(decode(message.text));
    else if (message.kind === "log") context.log[message.level](decode(message.text) as object, message.message);
    else if (message.kind === "step") void this.#step(message.step, message.key);
    else this.#performed(message.step, message.told);
  }

  #answered(told: Told, isLoaded: boolean): void {
    this.isLoaded = isLoaded;
    this.#isAnswered = true;
    if ("text" in told) this.#resolve(decode(told.text));
    else this.#reject(revived(told.thrown));
    this.#restsPerhaps();
  }

  /** What an earlier attempt has kept is not asked of the agent again. */
  async #step(step: number, key: string): Promise<void> {
    this.#steps++;
    let told: Told;
    try {
      const perform = (): Promise<unknown> =>
        new Promise((resolve, reject) => {
          this.#performing.set(step, { resolve, reject });
          this.#say({ kind: "perform", step });
        });
      told = { text: encode(await this.#context.step(key, perform)) };
    } catch (error) {
      told = { thrown: thrownText(error) };
    }
    this.#steps--;
    this.#say({ kind: "stepped", step, told });
    this.#restsPerhaps();
  }

  #performed(step: number, told: Told): void {
    const performing = this.#performing.get(step);
    this.#performing.delete(step);
    if ("text" in told) performing?.resolve(decode(told.text));
    else performing?.reject(revived(told.thrown));
  }

  /** Steps that are under way when the agent has failed end first: their attempt waits for them. */
  #restsPerhaps(): void {
    if (!this.#isAnswered || this.#steps > 0) return;
    this.#port.close();
    this.#rests();
  }

  #rests(): void {
    const { onRest } = this;
    this.onRest = undefined;
    onRest?.();
  }
}
