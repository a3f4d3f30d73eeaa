/**
 * Processes for a test: some are made ready before they are needed, and one that has closed its file is used again.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { Done, Order } from "./worker-child.ts";

const SPARE = 2;

export class Member {
  readonly #child: ChildProcess;
  readonly #asked = new Map<number, PromiseWithResolvers<void>>();
  #numbers = 0;
  #errors = "";
  #end: string | undefined;
  readonly isReady: Promise<void>;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;

  constructor() {
    this.#child = fork(new URL("worker-child.ts", import.meta.url), [], { execArgv: [], stdio: ["ignore", "inherit", "pipe", "ipc"] });
    this.#child.stderr!.on("data", (text: Buffer) => (this.#errors += text.toString()));
    this.#child.on("message", (done: Done) => this.#done(done));
    this.isReady = this.#ask(0);
    this.ended = once(this.#child, "exit").then(([code, signal]) => {
      this.#end = `process ${this.pid} ended by ${signal ?? code} ${this.#errors}`;
      for (const asked of this.#asked.values()) asked.reject(new Error(this.#end));
      return { code: code as number | null, signal: signal as string | null };
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get errors(): string {
    return this.#errors;
  }

  /** How it ended, once it has. */
  get end(): string | undefined {
    return this.#end;
  }

  #ask(number: number): Promise<void> {
    const asked = Promise.withResolvers<void>();
    asked.promise.catch(() => {});
    this.#asked.set(number, asked);
    return asked.promise;
  }

  #done({ number, error }: Done): void {
    const asked = this.#asked.get(number);
    this.#asked.delete(number);
    if (error === undefined) asked?.resolve();
    else asked?.reject(new Error(error));
  }

  /** Resolves when it is done. Rejects when it fails, or the process ends before. */
  order(order: Order): Promise<void> {
    if (this.#end !== undefined) return Promise.reject(new Error(this.#end));
    const done = this.#ask(++this.#numbers);
    this.#child.send({ number: this.#numbers, order });
    return done;
  }

  signal(signal: "SIGKILL" | "SIGTERM" | "SIGSTOP" | "SIGCONT"): void {
    this.#child.kill(signal);
  }
}

export class Crew {
  readonly #all = new Set<Member>();
  readonly #spare: Member[] = [];

  async hire(): Promise<Member> {
    while (this.#spare.length <= SPARE) this.#make();
    const member = this.#spare.shift()!;
    await member.isReady;
    return member.end === undefined ? member : this.hire();
  }

  #make(): void {
    const member = new Member();
    this.#all.add(member);
    this.#spare.push(member);
    void member.ended.then(() => this.#all.delete(member));
  }

  /** It has closed its file, and can be hired again. */
  free(member: Member): void {
    this.#spare.unshift(member);
  }

  async dismiss(): Promise<void> {
    const ends = [...this.#all].map((member) => (member.signal("SIGKILL"), member.ended));
    await Promise.all(ends);
  }
}

/** That of all test files. */
export const crew = new Crew();
process.once("exit", () => void crew.dismiss());
