/**
 * How a process lets go of its runs when it closes: what runs gets its time, what others can go on with is given up for them.
 */
import type { Clock } from "../clock.ts";
import type { Executing } from "./starting.ts";

/** How often it is asked, while closing, what others can go on with. */
const LET_GO_EVERY_MS = 50;
/** How long closing waits for what it writes last. */
const CLOSE_WRITES_MS = 2_000;

/** Starts nothing more, and waits until nothing runs, or the time is over. */
export async function stopExecuting(
  { worker, recovery, peers }: Executing,
  clock: Clock,
  graceMs: number,
  spawn: (work: Promise<void>) => void,
): Promise<void> {
  let isQuiet = false;
  const quiet = Promise.all([worker.drain(), recovery.stop()]).then(() => (isQuiet = true));
  const letGo = (): void => {
    if (isQuiet || peers.isAlone || worker.stopped !== undefined) return;
    spawn(recovery.letGo());
    clock.after(LET_GO_EVERY_MS, letGo);
  };
  letGo();
  await new Promise<void>((resolve) => {
    const cancel = clock.after(graceMs, resolve);
    void quiet.then(() => (cancel(), resolve()));
  });
  isQuiet = true;
}

/** Somebody may hold the file: who closes does not wait for ever. */
export async function inTime(work: Promise<void>, clock: Clock, failed: (error: unknown) => void): Promise<void> {
  await new Promise<void>((resolve) => {
    const cancel = clock.after(CLOSE_WRITES_MS, resolve);
    work.catch(failed).finally(() => (cancel(), resolve()));
  });
}
