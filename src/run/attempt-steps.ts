/**
 * Steps of one attempt: `ctx.step`.
 * 1. What an earlier attempt has kept is given back and not done again. What a step throws is not kept.
 * 2. A step is given back to its agent when it is on the disk.
 * 3. An attempt ends when its steps have ended: none is cut off by another that fails, none is done twice at once.
 */
import { PawlError, isPawlError } from "../errors.ts";
import type { AttemptLine } from "./attempt-line.ts";
import { decode, encode } from "./codec.ts";

/** Steps that one node may keep. */
export const STEPS_MAX = 10_000;
/** What they may take together, in UTF-16 units: all of it is read when the node is tried again. */
export const STEPS_LENGTH_MAX = 64 * 1_048_576;
const STEP_KEY = /^.{1,256}$/su;

/** The attempt, as its steps see it. */
interface Owner {
  readonly nodeId: string;
  readonly signal: AbortSignal;
  /** Nothing is heard from it any more. */
  readonly isOver: boolean;
  /** It lives. */
  heard(): void;
}

export class AttemptSteps {
  readonly #owner: Owner;
  readonly #line: AttemptLine;
  readonly #used = new Set<string>();
  /** What earlier attempts have kept and this one has not asked for yet. */
  #kept: Map<string, string> | undefined;
  #reading: Promise<void> | undefined;
  /** Steps of the node, also those under way. */
  #count = 0;
  #length = 0;
  #underWay = 0;
  #whenIdle: (() => void) | undefined;
  /** Steps that wait for something, each to be told when it is not wanted any more. */
  readonly #waiting = new Set<(reason: unknown) => void>();
  readonly #aborted = (): void => this.#waiting.forEach((reject) => reject(this.#owner.signal.reason));

  constructor(owner: Owner, line: AttemptLine) {
    this.#owner = owner;
    this.#line = line;
  }

  get isUnderWay(): boolean {
    return this.#underWay > 0;
  }

  /** Resolves when no step is under way. */
  end(): Promise<void> {
    return new Promise((resolve) => (this.#whenIdle = resolve));
  }

  take<T>(key: string, perform: () => T | Promise<T>): Promise<T> {
    const taken = this.#take(key, perform);
    // an agent that waits for its steps one after the other does not yet wait for this one when it fails
    taken.catch(() => {});
    return taken;
  }

  async #take<T>(key: string, perform: () => T | Promise<T>): Promise<T> {
    const { nodeId, signal, isOver } = this.#owner;
    signal.throwIfAborted();
    if (isOver) throw new PawlError("PAWL_STEP_UNSUPPORTED", { message: `node "${nodeId}" asks for step "${key}" after its agent has answered` });
    this.#claim(key);
    this.#underWay++;
    try {
      if (this.#kept === undefined) await this.#wanted((this.#reading ??= this.#read()));
      const kept = this.#kept!.get(key);
      if (kept === undefined) return await this.#perform(key, perform);
      this.#kept!.delete(key);
      return decode(kept) as T;
    } finally {
      if (--this.#underWay === 0) this.#whenIdle?.();
    }
  }

  #claim(key: string): void {
    const { nodeId } = this.#owner;
    if (!STEP_KEY.test(key) || !key.isWellFormed()) throw new PawlError("PAWL_INVALID_VALUE", { message: "the key of a step has 1 to 256 characters" });
    if (this.#used.has(key)) throw new PawlError("PAWL_STEP_REPEATED", { message: `node "${nodeId}" has two steps "${key}"` });
    this.#used.add(key);
  }

  async #read(): Promise<void> {
    const kept = await this.#line.readSteps();
    this.#count = kept.size;
    for (const text of kept.values()) this.#length += text.length;
    this.#kept = kept;
  }

  async #perform<T>(key: string, perform: () => T | Promise<T>): Promise<T> {
    if (this.#count >= STEPS_MAX) throw this.#tooMuch(`has ${STEPS_MAX} steps`);
    this.#count++;
    let isKept = false;
    try {
      const text = this.#text(key, await perform());
      this.#owner.heard();
      await this.#wanted(new Promise<void>((resolve) => this.#line.keepStep({ key, text, kept: resolve })));
      isKept = true;
      return decode(text) as T;
    } finally {
      if (!isKept) this.#count--;
    }
  }

  #text(key: string, result: unknown): string {
    const text = encoded(key, result);
    if (this.#length + text.length > STEPS_LENGTH_MAX) throw this.#tooMuch(`has steps of ${STEPS_LENGTH_MAX} characters together`);
    this.#length += text.length;
    return text;
  }

  #tooMuch(what: string): PawlError {
    return new PawlError("PAWL_VALUE_TOO_LARGE", {
      message: `node "${this.#owner.nodeId}" ${what}; no more are kept`,
      next: "divide its work among nodes: wf.map calls an agent for each item of a list",
    });
  }

  /** What is waited for while the attempt is wanted; then this ends with why it is not. */
  async #wanted(promise: Promise<void>): Promise<void> {
    const { signal } = this.#owner;
    signal.throwIfAborted();
    const { promise: unwanted, reject } = Promise.withResolvers<never>();
    // one listener for all: a signal looks through those that it has whenever one is added
    if (this.#waiting.size === 0) signal.addEventListener("abort", this.#aborted);
    this.#waiting.add(reject);
    try {
      await Promise.race([promise, unwanted]);
    } finally {
      this.#waiting.delete(reject);
      if (this.#waiting.size === 0) signal.removeEventListener("abort", this.#aborted);
    }
  }
}

function encoded(key: string, result: unknown): string {
  try {
    return encode(result);
  } catch (error) {
    if (!isPawlError(error)) throw error;
    throw new PawlError(error.code, { message: `the result of step "${key}": ${error.message}`, data: error.data });
  }
}
