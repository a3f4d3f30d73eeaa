/**
 * A process that does what it is asked, one order after the other or many at once: `startServant` in the one that asks,
 * `serve` in the one that is asked. Instants are told as `instant()`: one clock for all processes of the machine.
 * NOT measured: anything. An order and its answer take a fraction of a ms: what is timed is timed where it happens.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { FROM_SOURCE } from "./harness.ts";

interface Asked {
  readonly number: number;
  readonly order: string;
  readonly values: readonly unknown[];
}

interface Told {
  readonly number: number;
  readonly answer?: unknown;
  readonly error?: string;
}

/** What a process can be asked. */
export type Orders = Readonly<Record<string, (...values: never[]) => unknown>>;

/** Ms since 1970, to the µs, the same in all processes. */
export const instant = (): number => performance.timeOrigin + performance.now();

export class Servant<O extends Orders> {
  readonly #child: ChildProcess;
  readonly #asked = new Map<number, PromiseWithResolvers<unknown>>();
  #numbers = 0;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.on("message", ({ number, answer, error }: Told) => {
      const asked = this.#asked.get(number);
      this.#asked.delete(number);
      if (error === undefined) asked?.resolve(answer);
      else asked?.reject(new Error(error));
    });
    child.on("exit", (code, signal) => {
      for (const asked of this.#asked.values()) asked.reject(new Error(`the process ended with ${signal ?? code}`));
    });
  }

  ask<K extends keyof O & string>(order: K, ...values: Parameters<O[K]>): Promise<Awaited<ReturnType<O[K]>>> {
    const asked = Promise.withResolvers<unknown>();
    const number = ++this.#numbers;
    this.#asked.set(number, asked);
    this.#child.send({ number, order, values } satisfies Asked);
    return asked.promise as Promise<Awaited<ReturnType<O[K]>>>;
  }

  /** Answers the instant just before. */
  async kill(): Promise<number> {
    const gone = once(this.#child, "exit");
    const at = instant();
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill("SIGKILL");
      await gone;
    }
    return at;
  }
}

/** Resolves when the process is ready. */
export async function startServant<O extends Orders>(file: string): Promise<Servant<O>> {
  const child = fork(fileURLToPath(file), [], { execArgv: FROM_SOURCE });
  const servant = new Servant<O>(child);
  await once(child, "message");
  return servant;
}

/** Does the work with servants, which are gone afterwards. */
export async function withServants<O extends Orders, T>(file: string, count: number, work: (servants: Servant<O>[]) => Promise<T>): Promise<T> {
  const servants = await Promise.all(Array.from({ length: count }, () => startServant<O>(file)));
  try {
    return await work(servants);
  } finally {
    await Promise.all(servants.map((servant) => servant.kill()));
  }
}

/** Ends when whoever asks is gone. */
export function serve(orders: Orders): void {
  const send = (told: Told): void => void process.send!(told);
  process.on("message", ({ number, order, values }: Asked) => {
    const work = async (): Promise<unknown> => orders[order]!(...(values as never[]));
    work().then(
      (answer) => send({ number, answer }),
      (error: Error) => send({ number, error: error.stack ?? error.message }),
    );
  });
  process.on("disconnect", () => process.exit());
  send({ number: 0 });
}
