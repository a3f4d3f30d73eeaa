/**
 * What the store holds of a run, read beside any worker: the example looks at it while no worker lives.
 */
import { isPawlError, open } from "pawl";

export interface Kept {
  readonly status: string;
  readonly question: string;
  /** Nodes that are completed on the disk. */
  readonly completed: readonly string[];
  /** Nodes that had been started and have not ended. */
  readonly cutOff: readonly string[];
}

/** Undefined for a run that is not there, or a store that is not there yet: a kill can come before the first commit. */
export async function lookAt(store: string, id: string): Promise<Kept | undefined> {
  try {
    await using pawl = await open(store, { execute: false });
    const run = await pawl.run(id);
    const [{ status, input }, nodes] = [await run.status(), await run.nodes()];
    const those = (wanted: string): string[] => nodes.filter((node) => node.status === wanted).map((node) => node.id);
    return { status, question: (input as { question: string }).question, completed: those("completed"), cutOff: those("running") };
  } catch (error) {
    if (isPawlError(error, "PAWL_RUN_NOT_FOUND") || isPawlError(error, "PAWL_STORE_UNREADABLE")) return undefined;
    throw error;
  }
}
