/**
 * What a process that opens pawl gives it: the store, time, randomness and settings; the simulator gives others.
 */
import type { Clock } from "../clock.ts";
import type { PawlError } from "../errors.ts";
import type { Random } from "../random.ts";
import type { Store } from "../store/store.ts";
import type { AttemptSeams } from "./attempt.ts";
import type { HealthOptions } from "./health.ts";
import type { ProcessFacts } from "./metering.ts";
import type { Duration } from "../define/duration.ts";
import type { RetentionPolicy } from "./retention.ts";
import type { NoticeReceiver, Webhook } from "./webhook.ts";

/** What the worker is built on; each has one fake in the simulator. */
export interface Seams {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly attempts: AttemptSeams;
  /** What the process says of itself; left out, it says nothing. */
  readonly facts?: ProcessFacts | undefined;
  /** The id of this process, for people; 0 when it has none. */
  readonly pid?: number;
  /** How long another worker may be silent before this one takes its runs, in ms. */
  readonly leaseMs?: number | undefined;
  /** How long ended runs are kept. */
  readonly retention?: RetentionPolicy | undefined;
  /** Who is told what happens to runs, and after how long without a commit that they stall. */
  readonly notify?: NoticeReceiver | Webhook | undefined;
  readonly stallAfter?: Duration | undefined;
  /** How health is looked at. */
  readonly health?: HealthOptions | undefined;
  /** The store failed; nothing goes on. */
  readonly onFatal: (error: PawlError) => void;
}
