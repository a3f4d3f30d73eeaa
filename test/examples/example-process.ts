/**
 * An example as the process that a reader starts, in a process group of its own, so that it can be killed as a whole.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { vi } from "vitest";

/** What the reader of a failing test wants to see first. */
export interface Ended {
  readonly code: number | null;
  readonly output: string;
}

export interface Example {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  /** What it has printed by now. */
  printed(): string;
  /** Kills the whole group, or the first process alone; resolves when what was killed is dead. */
  kill(whom: "group" | "parent"): Promise<void>;
}

const ROOT = new URL("../../", import.meta.url);
/** A model or an address from outside must not change what these tests see. */
const HIDDEN = ["OPENAI_API_KEY", "ANALYTICS_MODEL", "ANALYTICS_MODEL_URL", "ANALYTICS_MODEL_KEY"];

export function startExample(path: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}): Example {
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !HIDDEN.includes(name)));
  const child = spawn(process.execPath, ["--conditions=pawl-source", path, ...args], {
    cwd: ROOT,
    detached: true,
    env: { ...inherited, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const pid = child.pid!;
  const exited = once(child, "exit");
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  return {
    pid,
    ended: once(child, "close").then(([code]: (number | null)[]) => ({ code: code ?? null, output })),
    printed: () => output,
    async kill(whom) {
      process.kill(whom === "group" ? -pid : pid, "SIGKILL");
      await exited;
      if (whom === "group") await untilGone(pid);
    },
  };
}

/** Runs an example to its end. */
export function runExample(path: string, args: readonly string[], environment?: Readonly<Record<string, string>>): Promise<Ended> {
  return startExample(path, args, environment).ended;
}

/** Waits for a condition, looking often; throws when the example ends before. */
export async function until(example: Example, condition: () => boolean): Promise<void> {
  let ended: Ended | undefined;
  void example.ended.then((end) => (ended = end));
  await vi.waitUntil(() => condition() || ended !== undefined, { timeout: 30_000, interval: 3 });
  if (!condition()) throw new Error(`the example ended too early:\n${ended?.output}`);
}

/** Waits until nothing of the example that was started as this process lives any more. */
export async function untilGone(pid: number): Promise<void> {
  await vi.waitUntil(() => !livesInGroup(pid), { timeout: 10_000, interval: 10 });
}

function livesInGroup(group: number): boolean {
  try {
    process.kill(-group, 0);
  } catch {
    return false;
  }
  if (!existsSync("/proc/self/stat")) return true;
  return readdirSync("/proc").some((entry) => /^\d+$/.test(entry) && isLiving(entry, group));
}

/** A process that is dead but not yet collected by its parent does not count. */
function isLiving(entry: string, group: number): boolean {
  try {
    const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
    const [state, , processGroup] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(processGroup) === group && state !== "Z" && state !== "X";
  } catch {
    return false;
  }
}
