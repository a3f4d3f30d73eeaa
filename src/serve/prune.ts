/**
 * `pawl prune`: deletes ended runs that are old enough, a few at a time, and tells how far it is.
 */
import type { Duration, EndedStatus, PruneProgress } from "../index.ts";
import { EXIT } from "./exit-code.ts";
import { toJson } from "./json.ts";
import { openToLook } from "./stored.ts";
import { canDraw } from "./terminal.ts";
import { count } from "./text.ts";

export interface PruneVerbOptions {
  readonly older: string;
  readonly status?: readonly EndedStatus[];
  readonly workflow?: string;
  readonly dryRun?: true;
  readonly store?: string;
  readonly json?: true;
}

/** How often the line that tells how far it is changes. */
const TELL_EVERY_MS = 200;

export async function prune(options: PruneVerbOptions): Promise<number> {
  const { status, workflow, dryRun, json } = options;
  await using pawl = await openToLook(options.store);
  const line = json || !canDraw() ? undefined : new ProgressLine();
  const pruned = await pawl.prune({
    olderThan: options.older as Duration,
    ...(status && { statuses: status }),
    ...(workflow !== undefined && { workflow }),
    ...(dryRun && { dryRun }),
    ...(line && { onProgress: (progress) => line.tell(progress) }),
  });
  line?.end();
  if (json) process.stdout.write(`${toJson({ ...pruned, dryRun: dryRun === true })}\n`);
  else if (dryRun) process.stdout.write(`would prune ${countText(pruned.discarded, "run")}\n`);
  else process.stdout.write(`pruned ${countText(pruned.discarded, "run")}, ${countText(pruned.rows, "row")}\n`);
  return EXIT.completed;
}

/** A line that is written over, on standard error. */
class ProgressLine {
  #toldAt = 0;

  tell({ discarded, of, rows }: PruneProgress): void {
    if (performance.now() - this.#toldAt < TELL_EVERY_MS) return;
    this.#toldAt = performance.now();
    process.stderr.write(`\r\u001B[Kpruned ${discarded.toLocaleString("en")} of ~${countText(of, "run")}, ${countText(rows, "row")}`);
  }

  end(): void {
    process.stderr.write("\r\u001B[K");
  }
}

/** `12,000 runs`. */
function countText(amount: number, noun: string): string {
  return count(amount, noun).replace(/^\d+/, amount.toLocaleString("en"));
}
