/**
 * Child processes of the example, and the line between them and their parent. However the parent dies, the line breaks,
 * and its children end: nothing stays behind.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

/** Starts a module of this folder as a process; `environment` comes on top of this process's own. */
export function startChild(module: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}): ChildProcess {
  return fork(new URL(module, import.meta.url), args, { env: { ...process.env, ...environment } });
}

/** The first message of a child; throws when it ends before that. */
export async function firstMessage<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once("message", (message) => resolve(message as T));
    child.once("exit", (code, signal) => reject(new Error(`process ${child.pid} ended early (${signal ?? code})`)));
  });
}

/** Ends the child and waits until it is gone. */
export async function endChild(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill(signal);
  await gone;
}

/** In a child: end when the parent does. */
export function endWithParent(): void {
  const end = (): void => process.exit(0);
  process.on("disconnect", end);
  if (!process.connected) end();
}

/** In a child: a message for the parent; resolves when it is on its way. */
export async function tellParent(message: object): Promise<void> {
  if (process.connected) await new Promise((resolve) => process.send!(message, resolve));
}
