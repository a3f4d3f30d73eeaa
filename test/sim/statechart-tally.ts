/**
 * How often random systems put each construct to work, and where they crashed.
 */
import type { CrashPlace, CrashPolicy } from "./durable-driver.ts";
import type { Verdict } from "./statechart-check.ts";

export const CRASH_PLACES: readonly CrashPlace[] = ["before a commit", "after a commit", "among acts", "amid a cascade"];

/** What random systems must reach. */
export const CONSTRUCTS = [
  ...["nested states", "parallel states", "shallow history", "deep history", "state done", "reenter", "wildcard"],
  ...["transition", "always", "after", "after dynamic", "guard on context", "guard on event", "guard stateIn"],
  ...["assign", "named action", "inline action", "log", "emit", "raise", "raise later", "cancel", "enqueueActions", "forwardTo"],
  ...["send child", "send parent", "send self", "send peer", "send system", "send later", "event carries a ref"],
  ...["spawn inside assign", "spawn in the context factory", "spawnChild", "stopChild by id", "stopChild by ref"],
  ...["invoke machine", "invoke resolves", "invoke rejects", "invoke hangs", "invoke listens", "invoke counts", "invoke inline"],
  ...["invoke echoes", "invoke observes", "invoke observesEvents", "invoke with the id of a sibling's"],
  ...["onDone", "onError", "onSnapshot", "snapshot of a spawned child", "error handled", "error caught by wildcard", "throws"],
  ...["root output", "child output", "done with live children", "actor active", "actor done", "actor error"],
  ...["undefined", "date", "map", "set", "bigint", "nan", "error", "refs", "plain"].map((value) => `keep ${value}`),
];

export class Tally {
  readonly #counts = new Map<string, number>();
  readonly #policies = new Map<CrashPolicy, number>();

  add(policy: CrashPolicy, { live, places }: Verdict): void {
    this.#policies.set(policy, (this.#policies.get(policy) ?? 0) + 1);
    for (const [name, count] of [...live.hits, ...places]) this.#counts.set(name, this.of(name) + count);
  }

  of(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  get text(): string {
    const inWords = (counts: Iterable<readonly [string, number]>): string => [...counts].map(([name, count]) => `${name} ${count}`).join(", ");
    return `${inWords(this.#policies)}\n${inWords([...this.#counts].toSorted(([, a], [, b]) => a - b))}`;
  }
}
