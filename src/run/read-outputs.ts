/**
 * Results of nodes, read back from the store: checked, and read until they are read.
 */
import type { Clock } from "../clock.ts";
import type { Log } from "../define/agent.ts";
import { PawlError, isPawlError } from "../errors.ts";
import type { StoredActor } from "../store/store.ts";
import { openActorRow } from "./row.ts";

/** A read that failed is tried again after this. */
const READ_AGAIN_MS = 1_000;

/** Reads rows until they are read: a read that fails for a moment harms no run. A failure of the store is none of these. */
export async function readAgain(read: () => Promise<StoredActor[]>, clock: Clock, log: Log): Promise<StoredActor[]> {
  for (;;) {
    try {
      return await read();
    } catch (error) {
      if (isPawlError(error)) throw error;
      log.warn({ error }, "results will be read again");
      await new Promise<void>((resolve) => clock.after(READ_AGAIN_MS, resolve));
    }
  }
}

/** Results of nodes, checked, in the order of the keys. */
export async function readOutputs(read: () => Promise<StoredActor[]>, runId: string, keys: readonly string[], clock: Clock, log: Log): Promise<string[]> {
  const rows = new Map((await readAgain(read, clock, log)).map((row) => [row.key, row]));
  return keys.map((key) => {
    const row = rows.get(key);
    if (row === undefined || row.output === null)
      throw new PawlError("PAWL_ROW_CORRUPT", { message: `the result of node "${key}" of run "${runId}" is missing` });
    openActorRow(runId, row);
    return row.output;
  });
}
