/**
 * Commits for tests of stores.
 */
import type { Commit } from "../../src/store/store.ts";

const NOW = 1_700_000_000_000;

/** A commit with a body and a history line of its own; `from: 0` creates the run. */
export function commitOf(runId: string, from: number, epoch: number, changes: Partial<Omit<Commit, "run">> & { run?: Partial<Commit["run"]> } = {}): Commit {
  const { run, ...rest } = changes;
  return {
    runId,
    from,
    epoch,
    at: NOW + from,
    run: { workflow: "flow", definition: "hash", status: "running", body: `{"commit":${from + 1}}`, checksum: 7, wakeAt: null, finished: false, ...run },
    actors: [],
    history: `["${runId}",${from + 1}]`,
    ...rest,
  };
}
