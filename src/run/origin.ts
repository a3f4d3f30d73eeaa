/**
 * Where a fork came from, as its run's row says it: opaque to the store, read by people.
 */

/** A fork's origin. */
export interface ForkOrigin {
  /** The run that it was forked from. */
  readonly runId: string;
  /** The commit of that run whose results it began with. */
  readonly commitNo: number;
  /** What was asked for: a node that was to run again, or a commit number. */
  readonly from: string | number;
}

export function originText({ runId, commitNo, from }: ForkOrigin): string {
  return JSON.stringify({ runId, commitNo, from });
}

/** The origin in a run's row; undefined for a run that is no fork. */
export function readOrigin(origin: string | null): ForkOrigin | undefined {
  return origin === null ? undefined : (JSON.parse(origin) as ForkOrigin);
}
