/**
 * The repository: an origin, and a clone for each piece of work, so that nothing that a killed attempt left is in the way.
 * A commit names the key of the node that made it, and is looked for by it first: it is pushed once, however often it is tried.
 */
import { type SpawnOptionsWithoutStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempDisposableSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";

/** The origin in this folder, with one commit. It is made beside its place, and moved there as a whole. */
export async function ensureOrigin(folder: string): Promise<string> {
  const origin = join(folder, "origin.git");
  if (existsSync(origin)) return origin;
  mkdirSync(folder, { recursive: true });
  using draft = mkdtempDisposableSync(join(folder, "draft-"));
  await git(draft.path, "init", "-q", "-b", "main");
  writeFileSync(join(draft.path, "package.json"), '{ "type": "module", "private": true }\n');
  await git(draft.path, "add", "-A");
  await git(draft.path, "commit", "-q", "-m", "An empty project");
  await git(draft.path, "clone", "-q", "--bare", ".", "origin.git");
  renameSync(join(draft.path, "origin.git"), origin);
  return origin;
}

/** Does something in a clone of its own of a branch or commit. */
export async function inClone<T>(origin: string, at: string, work: (folder: string) => Promise<T>): Promise<T> {
  using clone = mkdtempDisposableSync(join(tmpdir(), "pawl-clone-"));
  await git(clone.path, "clone", "-q", origin, ".");
  await git(clone.path, "checkout", "-q", at);
  return await work(clone.path);
}

/** Pushes one commit for each key: what `edit`, which answers its title, makes of the files. Answers its hash. */
export function commitOnce(origin: string, branch: string, key: string, edit: (folder: string) => string): Promise<string> {
  return inClone(origin, branch, async (folder) => {
    const made = await git(folder, "log", "--format=%h", "--fixed-strings", `--grep=Made-By: ${key}`);
    if (made !== "") return made;
    const title = edit(folder);
    await git(folder, "add", "-A");
    await git(folder, "commit", "-q", "-m", title, "-m", `Made-By: ${key}`);
    await git(folder, "push", "-q", "origin", branch); // refused if somebody else has pushed meanwhile
    return git(folder, "rev-parse", "--short", "HEAD");
  });
}

/** In a process group of its own: a git that is under way when this process is killed ends what it has begun. */
export async function git(folder: string, ...words: string[]): Promise<string> {
  const env = { PATH: process.env["PATH"], HOME: folder, GIT_CONFIG_NOSYSTEM: "1" };
  const who = ["-c", "user.name=agent", "-c", "user.email=agent@example.com"];
  const { code, output, errors } = await execute("git", [...who, ...words], { cwd: folder, env, detached: true });
  if (code !== 0) throw new Error(`git ${words.join(" ")}: ${errors}`);
  return output;
}

/** Runs a program to its end, whatever that is. */
export async function execute(program: string, words: readonly string[], options: SpawnOptionsWithoutStdio) {
  const child = spawn(program, words, options);
  const [[code], output, errors] = await Promise.all([once(child, "close"), text(child.stdout), text(child.stderr)]);
  return { code: Number(code), output: output.trim(), errors: errors.trim() };
}
