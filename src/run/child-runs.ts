/**
 * Runs that belong to a step or a node of another run: started or found, waited for, and cancelled when they are no longer
 * wanted. What is cut off by a closing process, or waits for space on the disk, is no failure of theirs.
 */
import { type ErrorCode, isPawlError } from "../errors.ts";
import { type Definition, definitionOf } from "./definition.ts";
import { type CancelOptions, Run, type RunHome, outputOf } from "./handle.ts";
import type { CancelManner } from "./requests.ts";
import type { Startable } from "./startable.ts";
import { type RunResult, type StepServices, stopReason } from "./xstate/step.ts";

/** How long a run waits for space on the disk before it is tried again. */
const SPACE_WAIT_MS = 1_000;

/** Why a run leaves this process and goes on in another, with the runs that belong to it. */
const GOES_ON: ReadonlySet<ErrorCode> = new Set(["PAWL_RUN_MOVED", "PAWL_CLOSED", "PAWL_STORE_FAILED"]);

/** The next owner goes on with it; nobody here hears of it. */
const never = (): Promise<never> => new Promise<never>(() => {});

export function childRuns(
  home: RunHome,
  startAs: (id: string, definition: Definition, input: unknown) => Promise<void>,
): Pick<StepServices, "childRun" | "otherRun"> {
  const unlessClosed = (error: unknown): Promise<never> => (isPawlError(error, "PAWL_CLOSED") ? never() : Promise.reject(error));
  const resultOf = async (id: string): Promise<RunResult> => {
    try {
      const run = await new Run<unknown>(home, id).ended();
      return { output: outputOf(run), degraded: run.degraded };
    } catch (error) {
      return unlessClosed(error);
    }
  };
  const started = async (id: string, definition: Definition, input: unknown, signal: AbortSignal): Promise<void> => {
    for (;;) {
      signal.throwIfAborted();
      try {
        return await startAs(id, definition, input);
      } catch (error) {
        if (!isPawlError(error, "PAWL_STORE_FULL")) return unlessClosed(error);
        await new Promise<void>((resolve) => home.clock.after(SPACE_WAIT_MS, resolve));
      }
    }
  };
  const childRun: StepServices["childRun"] = async (of, id, input, signal) => {
    let isThere = false;
    let isUnwanted = false;
    let options: CancelOptions = {};
    const cancel = (): void => {
      if (isThere && isUnwanted && !home.isClosing) void home.cancel(id, options).catch(() => {});
    };
    const aborted = (): void => {
      if (isPawlError(signal.reason)) options = optionsOf(signal.reason.data as CancelManner | undefined);
      isUnwanted = !GOES_ON.has(isPawlError(signal.reason) ? signal.reason.code : stopReason());
      cancel();
    };
    signal.addEventListener("abort", aborted);
    await started(id, definitionOf(of as Startable), input, signal);
    isThere = true;
    cancel();
    return resultOf(id);
  };
  const otherRun: StepServices["otherRun"] = (id, signal) => {
    const { promise: unwanted, reject } = Promise.withResolvers<never>();
    signal.addEventListener("abort", () => reject(signal.reason));
    return Promise.race([resultOf(String(id)), unwanted]);
  };
  return { childRun, otherRun };
}

/** A run is cancelled as the one that it belongs to. */
function optionsOf({ now, keeps }: CancelManner = {}): CancelOptions {
  return { ...(now && { now }), ...(keeps && { compensate: false }) };
}
