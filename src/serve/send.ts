/**
 * `pawl send`: sends an event to a machine's run, and tells what came of it.
 */
import type { SendResult } from "../index.ts";
import { type AskOptions, act } from "./act.ts";
import { readInput } from "./input.ts";
import { stateText } from "./machine-text.ts";
import { problemOf } from "./problem.ts";
import { oneLine } from "./text.ts";
import { workersOf, workersText } from "./workers.ts";

export interface SendVerbOptions extends AskOptions {
  readonly data?: string;
  readonly eventId?: string;
  readonly strict?: true;
}

export async function send(id: string, type: string, options: SendVerbOptions): Promise<number> {
  const { eventId, timeout, strict } = options;
  const data = options.data === undefined ? {} : await readData(options.data);
  return act(id, options, async (run, pawl) => {
    const { kind, workflow, state } = await run.status();
    if (kind === "workflow") throw problemOf("PAWL_NOT_A_MACHINE", `run "${run.id}" is one of workflow "${workflow}", which takes no events`);
    const result = await pawl.send(
      run.id,
      { ...data, type },
      { ...(eventId !== undefined && { eventId }), ...(timeout !== undefined && { timeout }), ...(strict && { strict }) },
    );
    const by = workersText(await workersOf(pawl, run));
    return {
      line: `run ${run.id} ${resultText(oneLine(type), stateText(state), result)}${by === undefined ? "" : ` (${by})`}`,
      facts: { event: type, ...result },
    };
  });
}

/** The fields of the event. Its type is a word of the command. */
async function readData(option: string): Promise<object> {
  const data = await readInput(option, "--data");
  if (typeof data === "object" && data !== null && !Array.isArray(data)) return data;
  throw problemOf("PAWL_USAGE", "--data is no object: an event has a type and fields", `give the fields, as --data '{"by": "Ada"}'`);
}

function resultText(type: string, before: string, { commitNo, handled, value, duplicate }: SendResult): string {
  if (duplicate) return `took the event of this id before, with commit ${commitNo}: nothing was done now`;
  const after = stateText(value);
  if (!handled) return `is in ${after}, where no transition takes ${type}; commit ${commitNo}`;
  const became = after === "" ? "" : before === "" ? `, and is in ${after}` : before === after ? `, and is in ${after} as before` : `: ${before} → ${after}`;
  return `took ${type}${became}; commit ${commitNo}`;
}
