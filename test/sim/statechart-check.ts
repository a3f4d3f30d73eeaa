/**
 * One system of statecharts, live and through crashes: does the durable trace agree with the live one?
 */
import { MachineRun } from "../../src/run/machine-run.ts";
import type { Store } from "../../src/store/store.ts";
import { type CrashPlace, type CrashPolicy, POLICIES, PawlDriver } from "./durable-driver.ts";
import { differenceOf } from "./statechart-comparison.ts";
import { type Subject, type Trace, durableTrace, liveTrace } from "./statechart-trace.ts";

export interface Verdict {
  /** The first difference in words. */
  readonly difference: string | undefined;
  readonly live: Trace;
  readonly durable: Trace | undefined;
  readonly places: ReadonlyMap<CrashPlace, number>;
}

/** Follows the subject live, and through pawl with these crashes. `wrap` stands between pawl and its store, for planted bugs. */
export async function check(subject: Subject, policy: CrashPolicy, wrap?: (store: Store) => Store): Promise<Verdict> {
  const live = await liveTrace(subject);
  const driver = new PawlDriver(policy, wrap);
  const { turnsMax } = MachineRun;
  MachineRun.turnsMax = POLICIES[policy].turnsMax;
  try {
    const durable = await durableTrace(subject, driver);
    return { difference: differenceOf(live, durable), live, durable, places: driver.places };
  } catch (error) {
    return { difference: `threw ${(error as Error).stack}`, live, durable: undefined, places: driver.places };
  } finally {
    MachineRun.turnsMax = turnsMax;
  }
}
