/**
 * The first commit of a run that nobody executes yet: whoever knows its definition makes it, any worker begins it.
 */
import { type Commit, NOBODY, type RunFacts } from "../store/store.ts";
import type { Definition } from "./definition.ts";
import { rankOf } from "./flow.ts";
import type { Lane } from "./lane.ts";
import { INPUT_KEY, type RunBody, runRow, valueRow } from "./row.ts";

const STATUS = "pending";

/** What is said of a run when it is started. */
export interface StartFacts extends RunFacts {
  readonly lane?: Lane | undefined;
}

/** `input` is the text of the run's input, checked; `startAt` is when it begins, when that is later. */
export function pendingCommit(
  definition: Pick<Definition, "kind" | "name" | "hash">,
  id: string,
  input: string,
  at: number,
  facts?: StartFacts,
  startAt?: number,
): Commit {
  const body: RunBody = { state: STATUS, workedMs: 0, degraded: false, ...(definition.kind === "machine" && { sequence: 1 }), lane: facts?.lane };
  return {
    runId: id,
    from: 0,
    epoch: NOBODY,
    at,
    run: runRow(id, 1, definition, { status: STATUS, finished: false, wakeAt: startAt ?? null }, body),
    actors: [valueRow(id, INPUT_KEY, input)],
    history: "[]",
    rank: rankOf({ lane: facts?.lane }, { since: at }),
    ...(facts !== undefined && { facts }),
  };
}
