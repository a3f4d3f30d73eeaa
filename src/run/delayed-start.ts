/**
 * Runs that start later: recorded as pending with the instant, and in nobody's memory until it is there. The instant is
 * one of the wall clock: while that reads less, the run is not begun.
 */
import type { Clock } from "../clock.ts";
import { type Duration, durationMs } from "../define/duration.ts";
import { PawlError } from "../errors.ts";
import type { RunRecord, Store } from "../store/store.ts";
import { cancelledCommit } from "./terminate.ts";

/** When a run starts; at once when both are left out, or the instant has passed. */
export interface StartTime {
  /** Not before this instant: a Date, or in ms since 1970. It outlives restarts. */
  readonly startAt?: Date | number;
  /** So much later than now, instead; the instant is fixed when the run is recorded. */
  readonly delay?: Duration;
}

/** The latest instant that a Date can be. */
const INSTANT_MAX = 8.64e15;

/** The instant in ms since 1970; undefined for at once. Throws PAWL_INVALID_VALUE. */
export function startInstant({ startAt, delay }: StartTime, now: number): number | undefined {
  if (startAt !== undefined && delay !== undefined) throw invalid("both startAt and delay are given", "give one of them");
  if (startAt === undefined && delay === undefined) return undefined;
  const at = startAt === undefined ? now + durationMs(delay!, "delay", "start()") : Number(startAt);
  if (!(Math.abs(at) <= INSTANT_MAX)) throw invalid(`startAt is ${String(startAt)}, which is no instant`, "give a Date, or ms since 1970");
  return at > now ? Math.ceil(at) : undefined;
}

function invalid(message: string, next: string): PawlError {
  return new PawlError("PAWL_INVALID_VALUE", { message, next });
}

/** Was it started for later, and is it not time yet? */
export function startsLater({ status, wakeAt }: RunRecord, clock: Clock): boolean {
  return status === "pending" && wakeAt !== null && wakeAt > clock.now();
}

/** Cancels a run that was started for later: nobody works on it. Says whether it did; of two at once one wins. */
export async function cancelBefore(store: Store, record: RunRecord, now: boolean, clock: Clock): Promise<boolean> {
  if (!startsLater(record, clock)) return false;
  const [outcome] = await store.commit([cancelledCommit(record, clock.now(), { isTerminated: now })]);
  if (outcome === "full") throw new PawlError("PAWL_STORE_FULL");
  return outcome === "committed";
}
