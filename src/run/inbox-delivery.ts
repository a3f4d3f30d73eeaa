/**
 * From a run's inbox to the run in memory: in the order of arrival, one delivery of a run at a time.
 * 1. An event that was consumed before under its id is answered as a duplicate. 2. Rows are read once; those that a paused
 * run leaves are read again when it asks for them. 3. A schema that does not answer harms its own event only.
 */
import type { Clock } from "../clock.ts";
import type { Commit, InboxRecord, Store } from "../store/store.ts";
import type { Definition } from "./definition.ts";
import type { HostedRun } from "./hosted-run.ts";
import { checkedRow } from "./inbox-events.ts";
import { MachineRun } from "./machine-run.ts";
import { type InboxItem, isRequest, readReply } from "./requests.ts";
import type { AnySnapshot } from "./xstate/actor.ts";
import type { SendResult } from "./sends.ts";

/** Rows read at once. */
const PAGE = 1_000;
/** How long a schema may take to check an event. */
const CHECK_MAX_MS = 10_000;

interface Delivery {
  again: boolean;
  readonly done: Promise<void>;
}

interface Named {
  readonly run: HostedRun;
  readonly eventId: string;
  readonly resolve: (result: SendResult) => void;
}

export class InboxDelivery {
  readonly #store: Store;
  readonly #runOf: (runId: string) => { readonly run: HostedRun; readonly definition: Definition } | undefined;
  readonly #clock: Clock;
  readonly #underWay = new Map<string, Delivery>();
  /** How far the inbox of a run in memory was read. */
  readonly #readTo = new WeakMap<HostedRun, number>();
  /** Runs of which it is to be read from the beginning. */
  readonly #left = new WeakSet<HostedRun>();
  /** Events with an id that were given to their run and are not committed, by the number of their row. */
  readonly #named = new Map<number, Named>();

  /** `runOf` answers a run in memory with its definition. */
  constructor(store: Store, clock: Clock, runOf: (runId: string) => { readonly run: HostedRun; readonly definition: Definition } | undefined) {
    this.#store = store;
    this.#clock = clock;
    this.#runOf = runOf;
  }

  /** Gives a run in memory what is in its inbox. */
  deliver(runId: string): Promise<void> {
    const underWay = this.#underWay.get(runId);
    if (underWay !== undefined) {
      underWay.again = true;
      return underWay.done;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const delivery: Delivery = { again: true, done: promise };
    this.#underWay.set(runId, delivery);
    void this.#deliver(runId, delivery)
      .finally(() => this.#underWay.delete(runId))
      .then(resolve, reject);
    return promise;
  }

  async #deliver(runId: string, delivery: Delivery): Promise<void> {
    while (delivery.again) {
      delivery.again = false;
      for (let isMore = true; isMore;) isMore = await this.#deliverPage(runId);
    }
  }

  /** Says whether there may be more. */
  async #deliverPage(runId: string): Promise<boolean> {
    const before = this.#runOf(runId);
    if (before === undefined) return false;
    if (this.#left.delete(before.run)) this.#readTo.delete(before.run);
    const rows = await this.#store.readInbox(runId, this.#readTo.get(before.run) ?? 0, PAGE);
    if (this.#runOf(runId)?.run !== before.run) return true;
    await this.#give(before.run, before.definition, rows);
    return rows.length === PAGE;
  }

  /** Gives a run again what it has left, because it was paused. */
  deliverLeft(runId: string): Promise<void> {
    const hosted = this.#runOf(runId);
    if (hosted !== undefined) this.#left.add(hosted.run);
    return this.deliver(runId);
  }

  /** Resolves when nothing is being given to the run. */
  async settled(runId: string): Promise<void> {
    await this.#underWay.get(runId)?.done.catch(() => {});
  }

  async #give(run: HostedRun, definition: Definition, rows: readonly InboxRecord[]): Promise<void> {
    for (const row of rows) {
      if (this.#named.has(row.number)) continue;
      const item = await this.#checked(run, definition, row);
      if (this.#runOf(run.id)?.run !== run) return;
      this.#readTo.set(run, Math.max(row.number, this.#readTo.get(run) ?? 0));
      if (item.kind === "event" && run.isPaused) continue;
      const eventId = item.kind === "event" ? item.eventId : undefined;
      const taken = eventId === undefined ? item : await this.#once(run, item, eventId);
      if (taken !== undefined) run.receiveInbox([taken]);
    }
  }

  async #checked(run: HostedRun, definition: Definition, row: InboxRecord): Promise<InboxItem> {
    const late = Promise.withResolvers<undefined>();
    const cancel = this.#clock.after(CHECK_MAX_MS, () => late.resolve(undefined));
    const snapshot = run instanceof MachineRun ? async (): Promise<AnySnapshot> => run.committedSnapshot : undefined;
    const item = await Promise.race([checkedRow(definition, row, snapshot), late.promise]);
    cancel();
    const message = "the schema of the event did not answer in time";
    return item ?? { number: row.number, isAsked: isRequest(row.body), kind: "dropped", reply: { refused: { code: "PAWL_EVENT_REFUSED", message } } };
  }

  /** The event, if it was not consumed before; else what answers it. Undefined while another of its id is under way. */
  async #once(run: HostedRun, item: InboxItem, eventId: string): Promise<InboxItem | undefined> {
    const { number, isAsked } = item;
    const duplicate = (result: SendResult): InboxItem => ({ number, isAsked, kind: "dropped", reply: { sent: { ...result, duplicate: true } } });
    const { underWay } = run;
    const other = underWay.get(eventId);
    if (other !== undefined) {
      void other.then(
        (result) => run.receiveInbox([duplicate(result)]),
        () => this.deliverLeft(run.id).catch(() => {}),
      );
      return undefined;
    }
    const { promise, resolve } = Promise.withResolvers<SendResult>();
    underWay.set(eventId, promise);
    const commitNo = await this.#store.readEvent(run.id, eventId).catch((error: unknown) => {
      underWay.delete(eventId);
      throw error;
    });
    if (commitNo === undefined) {
      this.#named.set(number, { run, eventId, resolve });
      return item;
    }
    const before: SendResult = { commitNo, handled: true, value: undefined, changed: false, duplicate: true };
    underWay.delete(eventId);
    resolve(before);
    return duplicate(before);
  }

  /** Events that were given are committed. */
  committed({ consumed = [], answers = [] }: Commit): void {
    if (this.#named.size === 0) return;
    for (const number of consumed) {
      const named = this.#named.get(number);
      if (named === undefined) continue;
      this.#named.delete(number);
      named.run.underWay.delete(named.eventId);
      const body = answers.find((answer) => answer.number === number)?.body;
      const reply = body === undefined ? undefined : readReply(body);
      if (reply !== undefined && "sent" in reply) named.resolve(reply.sent);
    }
  }

  /** The run left memory: its inbox is as the store has it. */
  dropped(runId: string): void {
    for (const [number, { run }] of this.#named) if (run.id === runId) this.#named.delete(number);
  }
}
