/**
 * `pawl send`: sends an event to a run, and tells what came of it.
 */
import type { RunView, SendResult } from "../index.ts";
import { type AskOptions, act } from "./act.ts";
import { readInput } from "./input.ts";
import { stateText } from "./machine-text.ts";
import { problemOf } from "./problem.ts";
import { oneLine } from "./text.ts";
import { workersOf, workersText } from "./workers.ts";

export interface SendVerbOptions extends AskOptions {
  readonly eventId?: string;
  readonly strict?: true;
}

export async function send(id: string, type: string, data: string | undefined, options: SendVerbOptions): Promise<number> {
  const { eventId, timeout, strict } = options;
  const fields = data === undefined ? {} : await readFields(data);
  return act(id, options, async (run, pawl) => {
    const before = await run.status();
    const result = await pawl.send(
      run.id,
      { ...fields, type },
      { ...(eventId !== undefined && { eventId }), ...(timeout !== undefined && { timeout }), ...(strict && { strict }) },
    );
    const by = workersText(await workersOf(pawl, run));
    return {
      line: `run ${run.id} ${resultText(oneLine(type), before, result)}${by === undefined ? "" : ` (${by})`}`,
      facts: { event: type, ...result },
    };
  });
}

/** The fields of the event. Its type is a word of the command. */
async function readFields(text: string): Promise<object> {
  const fields = await readInput(text, "the event's data");
  if (typeof fields === "object" && fields !== null && !Array.isArray(fields)) return fields;
  throw problemOf("PAWL_USAGE", "the event's data is no object: an event has a type and fields", `give the fields, as '{"by": "Ada"}'`);
}

function resultText(type: string, before: RunView, result: SendResult): string {
  const { commitNo, duplicate } = result;
  if (duplicate) return `took the event of this id before, with commit ${commitNo}: nothing was done now`;
  return `${before.kind === "workflow" ? ofWorkflow(type, before, result) : ofMachine(type, stateText(before.state), result)}; commit ${commitNo}`;
}

/** One that comes before the run waits for it is kept; one that came before, or comes too late, is not taken. */
function ofWorkflow(type: string, { waitingFor }: RunView, { handled }: SendResult): string {
  if (!handled) return `does not wait for ${type} any more: it was sent before, was not in time, or is not needed`;
  return waitingFor?.events.includes(type) === true ? `took ${type}` : `keeps ${type} until it waits for it`;
}

function ofMachine(type: string, before: string, { handled, value }: SendResult): string {
  const after = stateText(value);
  if (!handled) return `is in ${after}, where no transition takes ${type}`;
  if (after === "") return `took ${type}`;
  if (before === "") return `took ${type}, and is in ${after}`;
  return before === after ? `took ${type}, and is in ${after} as before` : `took ${type}: ${before} → ${after}`;
}
