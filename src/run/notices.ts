/**
 * Delivers notices to their receiver, in order for each run, and forgets each when it was taken.
 * 1. Of the workers that were given a receiver the oldest delivers. 2. A notice that is not taken is tried again, at growing
 * intervals; later ones of its run wait for it, those of other runs do not. 3. No run waits for a notice. 4. Who dies
 * between the two may repeat a notice, under the same id; none is left out.
 */
import { type Duration, durationMs } from "../define/duration.ts";
import { PawlError } from "../errors.ts";
import type { NoticeRecord, Store } from "../store/store.ts";
import { Looks } from "./looks.ts";
import { readNotice } from "./notice.ts";
import { notingStore } from "./noting-store.ts";
import { readFacts } from "./peers.ts";
import { type StallSeams, Stalls } from "./stalls.ts";
import { type NoticeReceiver, type Webhook, webhook } from "./webhook.ts";
import type { Worker } from "./worker.ts";

/** Whoever delivered may be gone. */
const LOOK_EVERY_MS = 5_000;
/** A receiver that has not answered for so long has not taken the notice. */
const ANSWER_MAX_MS = 30_000;
/** The first and the longest wait after something was not taken: for the receiver, and for the notices of that run. */
const WAIT_MS = 1_000;
const WAIT_MAX_MS = 60_000;
const RUN_WAIT_MAX_MS = 300_000;
/** A notice that nobody has taken for so long is given up, with a line in the log. */
const KEPT_MS = 3 * 86_400_000;
const PAGE = 100;
/** How long closing waits for what is being delivered. */
const STOP_MS = 1_000;

export interface NotifyOptions {
  readonly notify: NoticeReceiver | Webhook;
  readonly stallAfter?: Duration | undefined;
}

export class Notices {
  readonly #receive: NoticeReceiver;
  readonly #stallAfterMs: number | undefined;
  readonly #seams: StallSeams;
  /** With what is noted of its commits. */
  readonly store: Store;
  readonly #looks: Looks;
  readonly #abort = new AbortController();
  /** Runs of which a notice was not taken: how often, and when it is tried again. */
  readonly #held = new Map<string, { readonly failures: number; readonly until: number }>();
  /** Notices that were taken, and are still in the store. */
  readonly #taken = new Set<number>();
  #failures = 0;
  #waitUntil = 0;
  #worker: Worker | undefined;
  #stalls: Stalls | undefined;
  #cancelLook: (() => void) | undefined;
  #endWatch: (() => void) | undefined;
  #delivering: Promise<void> | undefined;
  #isStopped = false;

  /** Throws PAWL_INVALID_VALUE. */
  constructor(store: Store, seams: StallSeams, { notify, stallAfter }: NotifyOptions) {
    this.#receive = typeof notify === "function" ? notify : webhook(notify);
    this.#stallAfterMs = stallAfter === undefined ? undefined : durationMs(stallAfter, "stallAfter", "open()");
    this.#seams = seams;
    const { clock, log } = seams;
    this.#looks = new Looks(clock, {
      look: () => this.#look(),
      failed: (error) => log.warn({ error }, "notices will be looked at again"),
      isOver: () => this.#isOver,
    });
    this.store = notingStore(store, () => this.#want());
  }

  /** From now on notices are delivered, while this worker's epoch is the oldest that does so. */
  begin(worker: Worker): void {
    this.#worker = worker;
    this.#endWatch = this.store.watch(() => this.#want());
    if (this.#stallAfterMs !== undefined) this.#stalls = new Stalls(this.store, this.#seams, worker, this.#stallAfterMs);
    this.#stalls?.begin();
    this.#want();
  }

  #want(): void {
    if (this.#worker !== undefined && !this.#isOver) this.#looks.want();
  }

  get #isOver(): boolean {
    return this.#isStopped || this.#worker?.stopped !== undefined;
  }

  /** Delivers nothing more; waits a moment for what is being delivered. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#stalls?.stop();
    this.#cancelLook?.();
    this.#endWatch?.();
    const cancel = this.#seams.clock.after(STOP_MS, () => this.#abort.abort());
    await this.#delivering?.catch(() => {});
    cancel();
  }

  async #look(): Promise<void> {
    this.#cancelLook?.();
    const waitMs = await this.#deliverAll().finally(() => this.#lookIn(LOOK_EVERY_MS));
    if (waitMs < LOOK_EVERY_MS) this.#lookIn(waitMs);
  }

  #lookIn(waitMs: number): void {
    this.#cancelLook?.();
    if (!this.#isOver) this.#cancelLook = this.#seams.clock.after(waitMs, () => this.#want());
  }

  /** All that can be delivered now; answers after how long something else can be. */
  async #deliverAll(): Promise<number> {
    while (!this.#isOver && (await this.#isOurs())) {
      await this.#forgetTaken();
      const now = this.#seams.clock.mono();
      if (now < this.#waitUntil) return this.#waitUntil - now;
      const { next, waitMs } = await this.#findNext(now);
      if (next === undefined) return waitMs;
      if (this.#isOver) break;
      this.#delivering = this.#deliver(next);
      await this.#delivering;
    }
    return LOOK_EVERY_MS;
  }

  /** Is this worker the oldest of those that were given a receiver? */
  async #isOurs(): Promise<boolean> {
    const oldest = (await this.#read((store) => store.readEpochs())).find((record) => readFacts(record).notifies);
    return oldest !== undefined && oldest.id === this.#worker?.epoch;
  }

  /** The oldest notice of a run of which all were taken so far, else of one that is to be tried again; or how long until one is. */
  async #findNext(now: number): Promise<{ next: NoticeRecord | undefined; waitMs: number }> {
    for (const [runId, { until }] of this.#held) if (until <= now - RUN_WAIT_MAX_MS) this.#held.delete(runId);
    let again: NoticeRecord | undefined;
    let waitMs = LOOK_EVERY_MS;
    for (let after = 0; ;) {
      const page = await this.#read((store) => store.readNotices(after, PAGE));
      for (const record of page) {
        const held = this.#held.get(record.runId);
        if (held === undefined) return { next: record, waitMs };
        if (held.until <= now) again ??= record;
        else waitMs = Math.min(waitMs, held.until - now);
      }
      after = page.at(-1)?.number ?? after;
      if (page.length < PAGE) return { next: again, waitMs };
    }
  }

  async #deliver(record: NoticeRecord): Promise<void> {
    const { clock, log } = this.#seams;
    try {
      await this.#received(record);
      this.#seams.meter?.noticed(readNotice(record).type);
      this.#held.delete(record.runId);
      this.#failures = 0;
    } catch (error) {
      const isLost = clock.now() - record.at > KEPT_MS;
      const facts = { notice: record.id, error };
      if (isLost) log.error(facts, "a notice is given up: nobody has taken it for 3 days");
      else log.warn(facts, "a notice was not taken; it is tried again");
      this.#hold(record.runId);
      if (!isLost) return;
    }
    this.#taken.add(record.number);
    await this.#forgetTaken();
  }

  async #received(record: NoticeRecord): Promise<void> {
    const { signal } = this.#abort;
    const { promise: cut, reject } = Promise.withResolvers<never>();
    const tooLate = (): void => reject(new Error("the receiver did not answer"));
    const cancel = this.#seams.clock.after(ANSWER_MAX_MS, tooLate);
    signal.addEventListener("abort", tooLate);
    try {
      await Promise.race([cut, (async () => this.#receive(readNotice(record), { signal }))()]);
    } finally {
      cancel();
      signal.removeEventListener("abort", tooLate);
    }
  }

  #hold(runId: string): void {
    const now = this.#seams.clock.mono();
    const failures = (this.#held.get(runId)?.failures ?? 0) + 1;
    this.#held.set(runId, { failures, until: now + Math.min(RUN_WAIT_MAX_MS, WAIT_MS * 2 ** (failures - 1)) });
    this.#waitUntil = now + Math.min(WAIT_MAX_MS, WAIT_MS * 2 ** this.#failures++);
  }

  /** What was taken is not delivered again because the disk is full. */
  async #forgetTaken(): Promise<void> {
    if (this.#taken.size === 0) return;
    const taken = [...this.#taken];
    await this.#read((store) => store.forgetNotices(taken));
    for (const number of taken) this.#taken.delete(number);
  }

  #read<T>(call: (store: Store) => Promise<T>): Promise<T> {
    return this.#worker!.read(call);
  }
}

/** Throws PAWL_INVALID_VALUE when there is nobody to deliver, or to tell. */
export function checkNotify(isExecuting: boolean, notify: unknown, stallAfter: unknown): void {
  const wrong = (message: string, next: string): PawlError => new PawlError("PAWL_INVALID_VALUE", { message, next });
  if (notify !== undefined && !isExecuting) throw wrong("notify is given to a process that executes nothing", "give it to a worker");
  if (notify === undefined && stallAfter !== undefined) throw wrong("stallAfter is given, but nobody to tell", "give `notify`, too");
}
