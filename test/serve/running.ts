/**
 * A command that is under way: what it has printed, and how it ends.
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import type { CommandLine } from "./resident-child.ts";

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that is under way: in a process of its own, or in one that stays and is told of it. */
export class Command {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  readonly isResident: boolean;
  stdout = "";
  stderr = "";
  readonly #listeners = new Set<() => void>();

  constructor(process_: ChildProcess, told?: CommandLine) {
    this.process = process_;
    this.isResident = told !== undefined;
    const printed = [
      read(process_.stdout!, (text) => this.#took(() => (this.stdout += text))),
      read(process_.stderr!, (text) => this.#took(() => (this.stderr += text))),
    ];
    this.ended = Promise.all([told === undefined ? closed(process_) : answer(process_, told), ...printed]).then(([code]) => ({
      code,
      stdout: this.stdout,
      stderr: this.stderr,
    }));
  }

  /** Resolves when this was printed, on either stream. */
  printed(text: string | RegExp): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const printed = this.stdout + this.stderr;
        if (!(typeof text === "string" ? printed.includes(text) : text.test(printed))) return;
        this.#listeners.delete(look);
        resolve();
      };
      this.#listeners.add(look);
      look();
      void this.ended.then(() => reject(new Error(`ended without "${text}":\n${this.stdout}${this.stderr}`)));
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  /** Types on the command's terminal. */
  type(text: string): void {
    this.process.stdin!.write(text);
  }

  #took(append: () => void): void {
    append();
    for (const look of this.#listeners) look();
  }
}

/** Resolves when the stream has ended, or is told by a NUL that this is the end of what a command prints. */
function read(stream: Readable, append: (text: string) => void): Promise<void> {
  return new Promise((resolve) => {
    const listen = (text: string): void => {
      append(text.replace("\0", ""));
      if (text.includes("\0")) end();
    };
    const end = (): void => {
      stream.off("data", listen).off("close", end);
      resolve();
    };
    stream.setEncoding("utf8").on("data", listen).on("close", end);
  });
}

async function closed(process_: ChildProcess): Promise<number | null> {
  return ((await once(process_, "close")) as [number | null])[0];
}

/** The code with which the command ends, or null when its process does. */
function answer(process_: ChildProcess, told: CommandLine): Promise<number | null> {
  return new Promise((resolve) => {
    const end = (code: number | null): void => {
      process_.off("message", end).off("close", end);
      resolve(code);
    };
    process_.on("message", end).on("close", end);
    process_.send(told);
  });
}
