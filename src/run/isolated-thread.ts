/**
 * The thread of an isolated agent: it loads the agent's module, and calls it with a context that speaks to the attempt over
 * a port. One call at a time; each has a port of its own, so that what an earlier one still says is heard by nobody.
 */
import { type MessagePort, parentPort } from "node:worker_threads";
import type { AgentContext, Log, UpstreamFailure } from "../define/agent.ts";
import { checkAmounts } from "../define/limits.ts";
import { PawlError } from "../errors.ts";
import { decode, encode } from "./codec.ts";
import { type Thrown, revived, thrownText } from "./isolated-thrown.ts";

/** What is known of the attempt. */
export interface CallFacts {
  readonly runId: string;
  readonly nodeId: string;
  readonly attempt: number;
  readonly idempotencyKey: string;
  readonly deadlineAt: number;
  readonly upstreamFailures: readonly UpstreamFailure[];
}

/** A call of the agent. */
export interface ThreadCall {
  readonly module: string;
  /** The name that the module exports the agent's function by. */
  readonly exported: string;
  readonly input: string;
  readonly facts: CallFacts;
  readonly port: MessagePort;
  /** One number: what was said on the port and not heard yet. */
  readonly unheard: Int32Array<SharedArrayBuffer>;
}

/** How something ended. */
export type Told = { readonly text: string } | { readonly thrown: Thrown };

/** What the attempt says to its agent. */
export type ToThread =
  | { readonly kind: "abort"; readonly thrown: Thrown }
  | { readonly kind: "perform"; readonly step: number }
  | { readonly kind: "stepped"; readonly step: number; readonly told: Told };

/** What an agent says to its attempt. */
export type FromThread =
  | { readonly kind: "answered"; readonly told: Told; readonly isLoaded: boolean }
  | { readonly kind: "step"; readonly step: number; readonly key: string }
  | { readonly kind: "performed"; readonly step: number; readonly told: Told }
  | { readonly kind: "heartbeat"; readonly text: string }
  | { readonly kind: "used"; readonly text: string }
  | { readonly kind: "stream"; readonly text: string }
  | { readonly kind: "log"; readonly level: keyof Log; readonly text: string; readonly message: string | undefined };

/** More than this that nobody has heard yet makes the agent wait: a loop that only talks must not fill the memory. */
const UNHEARD_MAX = 1_000;

type AgentFunction = (input: unknown, context: AgentContext) => unknown;

parentPort!.on("message", (call: ThreadCall) => void serve(call));

async function serve({ module, exported, input, facts, port, unheard }: ThreadCall): Promise<void> {
  const context = new ThreadContext(facts, port, unheard);
  let run: AgentFunction | undefined;
  const told = await tell(async () => {
    run = await load(module, exported);
    return run(decode(input), context);
  });
  context.say({ kind: "answered", told, isLoaded: run !== undefined });
}

async function tell(work: () => unknown): Promise<Told> {
  try {
    return { text: encode(await work()) };
  } catch (error) {
    return { thrown: thrownText(error) };
  }
}

async function load(module: string, exported: string): Promise<AgentFunction> {
  const name = module.slice(module.lastIndexOf("/") + 1).slice(0, 80);
  let exports: Record<string, unknown>;
  try {
    exports = (await import(module)) as Record<string, unknown>;
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: unknown };
    const why = code === "ERR_MODULE_NOT_FOUND" ? "it, or what it imports, is not there" : String(message).split("\n")[0];
    throw new PawlError("PAWL_AGENT_UNLOADABLE", { message: `the module "${name}" of the agent cannot be loaded: ${why}`, cause: error });
  }
  const run = exports[exported];
  if (typeof run === "function") return run as AgentFunction;
  const what = exported === "default" ? "no function by default" : `no function "${exported}"`;
  throw new PawlError("PAWL_AGENT_UNLOADABLE", { message: `the module "${name}" of the agent exports ${what}` });
}

interface Step {
  readonly perform: () => unknown;
  readonly resolve: (result: any) => void;
  readonly reject: (error: unknown) => void;
}

class ThreadContext implements AgentContext {
  readonly runId: string;
  readonly nodeId: string;
  readonly attempt: number;
  readonly idempotencyKey: string;
  readonly deadlineAt: number;
  readonly upstreamFailures: readonly UpstreamFailure[];
  readonly log: Log;
  readonly #port: MessagePort;
  readonly #unheard: Int32Array<SharedArrayBuffer>;
  readonly #abort = new AbortController();
  readonly #steps = new Map<number, Step>();
  #stepCount = 0;

  constructor(facts: CallFacts, port: MessagePort, unheard: Int32Array<SharedArrayBuffer>) {
    this.runId = facts.runId;
    this.nodeId = facts.nodeId;
    this.attempt = facts.attempt;
    this.idempotencyKey = facts.idempotencyKey;
    this.deadlineAt = facts.deadlineAt;
    this.upstreamFailures = facts.upstreamFailures;
    const line = (level: keyof Log) => (data: object, message?: string) => this.say({ kind: "log", level, text: logged(data), message });
    this.log = { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") };
    this.#port = port;
    this.#unheard = unheard;
    port.on("message", (message: ToThread) => this.#hear(message));
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  say(message: FromThread): void {
    for (let unheard = Atomics.load(this.#unheard, 0); unheard >= UNHEARD_MAX; unheard = Atomics.load(this.#unheard, 0))
      Atomics.wait(this.#unheard, 0, unheard);
    Atomics.add(this.#unheard, 0, 1);
    this.#port.postMessage(message);
  }

  used(amounts: Readonly<Record<string, number>>): void {
    checkAmounts(amounts);
    this.say({ kind: "used", text: encode(amounts) });
  }

  heartbeat(progress?: unknown): void {
    this.say({ kind: "heartbeat", text: encode(progress) });
  }

  stream(chunk: unknown): void {
    this.say({ kind: "stream", text: encode(chunk) });
  }

  step<T>(key: string, perform: () => T | Promise<T>): Promise<T> {
    const step = this.#stepCount++;
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#steps.set(step, { perform, resolve, reject });
    this.say({ kind: "step", step, key });
    return promise;
  }

  #hear(message: ToThread): void {
    if (message.kind === "abort") return this.#abort.abort(revived(message.thrown));
    const step = this.#steps.get(message.step)!;
    if (message.kind === "perform") return void tell(() => step.perform()).then((told) => this.say({ kind: "performed", step: message.step, told }));
    this.#steps.delete(message.step);
    if ("text" in message.told) step.resolve(decode(message.told.text));
    else step.reject(revived(message.told.thrown));
  }
}

/** A line is never lost over what is in it. */
function logged(data: object): string {
  try {
    return encode(data);
  } catch {
    return encode({ data: data instanceof Error ? data.message : `a line with what cannot be carried over: ${Object.keys(data).join(", ")}`.slice(0, 1_000) });
  }
}
