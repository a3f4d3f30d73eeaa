/**
 * The store as the verbs that execute nothing see it: which file, opened beside any worker, and a run found by part of its id.
 */
import { existsSync } from "node:fs";
import type { Offered } from "./definition-file.ts";
import { environmentVariable } from "../environment.ts";
import { commandLine } from "./text.ts";
import { type Pawl, PawlError, type Run, type RunStatus, type RunView, isPawlError, open } from "../index.ts";

const STORE_DEFAULT = ".pawl/pawl.db";
const PAGE = 1_000;
/** So many candidates are shown for a prefix that fits several. */
const CANDIDATES_MAX = 5;

/** The store's file: the option, the environment, or the default. */
export function storePath(option: string | undefined): string {
  return option || environmentVariable("PAWL_STORE") || STORE_DEFAULT;
}

export function storeExists(option: string | undefined): boolean {
  return existsSync(storePath(option));
}

const UNDER_WAY: ReadonlySet<string> = new Set<RunStatus>(["pending", "running", "paused", "compensating"]);

/** Nothing more happens in it by itself. */
export function isOver({ status }: RunView): boolean {
  return !UNDER_WAY.has(status);
}

/** What to type after a verb to mean this run. */
export function runWords(id: string, store: string | undefined): string[] {
  return store === undefined ? [id] : [id, "--store", store];
}

/**
 * Opens a store to look at it, or to ask its workers for something: it takes no lock and disturbs no worker. By these
 * definitions is checked what is written here.
 */
export async function openToLook(option: string | undefined, workflows: readonly Offered[] = []): Promise<Pawl> {
  const path = storePath(option);
  if (!storeExists(option)) {
    throw new PawlError("PAWL_STORE_UNREADABLE", {
      message: "there is no store yet",
      at: path,
      next: "start a run with `pawl run FILE`, or name another store with --store or PAWL_STORE",
    });
  }
  return open(path, { execute: false, workflows });
}

/** The run with this id, or the only one whose id begins so. @throws PAWL_RUN_NOT_FOUND, PAWL_USAGE */
export async function findRun(pawl: Pawl, text: string): Promise<Run<unknown>> {
  try {
    return await pawl.run(text);
  } catch (error) {
    if (!isPawlError(error, "PAWL_RUN_NOT_FOUND")) throw error;
    const candidates = await idsThatBegin(pawl, text);
    if (candidates.length === 0) throw error;
    if (candidates.length > 1) throw ambiguous(text, candidates);
    return pawl.run(candidates[0]!);
  }
}

async function idsThatBegin(pawl: Pawl, prefix: string): Promise<string[]> {
  const found: string[] = [];
  for (let after: string | undefined; found.length <= CANDIDATES_MAX;) {
    const page = await pawl.list({ limit: PAGE, ...(after !== undefined && { after }) });
    found.push(...page.map(({ id }) => id).filter((id) => id.startsWith(prefix)));
    after = page.at(-1)?.id;
    if (page.length < PAGE) break;
    await new Promise(setImmediate);
  }
  return found;
}

function ambiguous(text: string, candidates: readonly string[]): PawlError {
  const shown = candidates.slice(0, CANDIDATES_MAX).join(", ") + (candidates.length > CANDIDATES_MAX ? ", …" : "");
  return new PawlError("PAWL_USAGE", { message: `"${text}" is the beginning of several ids: ${shown}`, next: "type more of the id" });
}

/** Commands are for the store that was asked. */
export function withStore(next: string, store: string | undefined): string {
  return store === undefined ? next : next.replace(/`(pawl [^`]*)`/g, (_, command: string) => `\`${command} ${commandLine(["--store", store])}\``);
}
