/**
 * `pawl tail`: what happens in all runs of a store, as it happens, until told to stop. Looks only.
 */
import { type HistoryType, PawlError } from "../index.ts";
import { EXIT } from "./exit-code.ts";
import { toJson } from "./json.ts";
import { eventLine } from "./line-reporter.ts";
import { stopSignal } from "./stop-signals.ts";
import { openToLook } from "./stored.ts";

export interface TailOptions {
  readonly after?: string;
  readonly types?: string;
  readonly store?: string;
  readonly json?: true;
}

export async function tail({ after = "now", types, store, json }: TailOptions): Promise<number> {
  await using pawl = await openToLook(store);
  const stop = new AbortController();
  void stopSignal().then(() => stop.abort());
  let cursor: string | undefined;
  const options = { after, signal: stop.signal, ...(types !== undefined && { types: typesOf(types) }) };
  for await (const change of pawl.changes(options)) {
    const { id, runId, commitNo, at, events } = change;
    cursor = change.cursor;
    for (const event of events)
      process.stdout.write(json ? `${toJson({ ...event, runId, commitNo, at, id, cursor })}\n` : `${eventLine(at, event, process.stdout)}  ${runId}\n`);
  }
  if (!json && cursor !== undefined) process.stderr.write(`next: pawl tail --after ${cursor}\n`);
  return EXIT.completed;
}

/** Whether they are known is checked by who looks for them. */
function typesOf(text: string): HistoryType[] {
  const types = text.split(",").map((type) => type.trim());
  if (types.includes("")) throw new PawlError("PAWL_USAGE", { message: "--types has an empty name", next: "as in --types run.failed,run.timedOut" });
  return types as HistoryType[];
}
