/**
 * Agents whose calls a test ends, and workflows of many of them, for what waits for limits.
 */
import { type MachineRoom, anyAgent, anyWorkflow, deferred } from "./machine-room.ts";
import type { SimProcess } from "./process.ts";

/** An agent whose calls go on until they are ended; with how many run now, and ran at most. */
export function held(
  options: Parameters<typeof anyAgent>[2],
  name = "held",
): {
  readonly agent: ReturnType<typeof anyAgent>;
  readonly calls: () => readonly string[];
  readonly running: () => number;
  readonly most: () => number;
  readonly endOne: () => void;
  readonly endAll: () => void;
} {
  const ends: (() => void)[] = [];
  const calls: string[] = [];
  let most = 0;
  const agent = anyAgent(
    name,
    (input: string) => {
      const { promise, resolve } = deferred<string>();
      calls.push(input);
      ends.push(() => resolve(input));
      most = Math.max(most, ends.length);
      return promise;
    },
    { timeout: "1h", ...options },
  );
  return {
    agent,
    calls: () => calls,
    running: () => ends.length,
    most: () => most,
    endOne: () => ends.shift()?.(),
    endAll: () => ends.splice(0).forEach((end) => end()),
  };
}

/** So many nodes beside each other. */
export function wide(agent: ReturnType<typeof anyAgent>, count: number, name = "wide"): ReturnType<typeof anyWorkflow> {
  return anyWorkflow(name, (wf) => {
    for (let n = 0; n < count; n++) wf.node(`n${n}`, agent, `${name}-${n}`);
  });
}

/** Starts a run of it. */
export async function start(
  room: MachineRoom,
  { pawl }: SimProcess,
  flow: ReturnType<typeof anyWorkflow>,
  id: string,
  lane: { tenant?: string; priority?: number } = {},
): Promise<void> {
  await room.settled(pawl.start(flow, { id, input: null, ...lane }));
}
