/**
 * From a run's inbox to the run in memory: in the order of arrival, one delivery of a run at a time. An event that was
 * consumed before under its id is answered as a duplicate.
 */
import type { Commit, InboxRecord, Store } from "../store/store.ts";
import type { Definition } from "./definition.ts";
import type { HostedRun } from "./hosted-run.ts";
import { checkedInbox } from "./inbox-events.ts";
import { MachineRun } from "./machine-run.ts";
import { type InboxItem, readReply } from "./requests.ts";
import type { SendResult } from "./sends.ts";

interface Delivery {
  again: boolean;
  readonly done: Promise<void>;
}

interface Named {
  readonly run: MachineRun;
  readonly eventId: string;
  readonly resolve: (result: SendResult) => void;
}

export class InboxDelivery {
  readonly #store: Store;
  readonly #runOf: (runId: string) => { readonly run: HostedRun; readonly definition: Definition } | undefined;
  readonly #underWay = new Map<string, Delivery>();
  /** Events with an id that were given to their run and are not committed, by the number of their row. */
  readonly #named = new Map<number, Named>();

  /** `runOf` answers a run in memory with its definition. */
  constructor(store: Store, runOf: (runId: string) => { readonly run: HostedRun; readonly definition: Definition } | undefined) {
    this.#store = store;
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
      const rows = await this.#store.readInbox(runId);
      const hosted = this.#runOf(runId);
      if (rows.length > 0 && hosted !== undefined) await this.#give(hosted.run, hosted.definition, rows);
    }
  }

  async #give(run: HostedRun, definition: Definition, rows: readonly InboxRecord[]): Promise<void> {
    const items = (await checkedInbox(definition, rows)).filter(({ number }) => !this.#named.has(number));
    for (const item of items) {
      if (this.#runOf(run.id)?.run !== run) return;
      if (item.kind === "event" && run.isPaused) continue;
      const eventId = item.kind === "event" && run instanceof MachineRun ? item.eventId : undefined;
      const taken = eventId === undefined ? item : await this.#once(run as MachineRun, item, eventId);
      if (taken !== undefined) run.receiveInbox([taken]);
    }
  }

  /** The event, if it was not consumed before; else what answers it. Undefined while another of its id is under way. */
  async #once(run: MachineRun, item: InboxItem, eventId: string): Promise<InboxItem | undefined> {
    const { number, isAsked } = item;
    const duplicate = (result: SendResult): InboxItem => ({ number, isAsked, kind: "dropped", reply: { sent: { ...result, duplicate: true } } });
    const { underWay } = run.sends;
    const other = underWay.get(eventId);
    if (other !== undefined) {
      void other.then(
        (result) => run.receiveInbox([duplicate(result)]),
        () => this.deliver(run.id),
      );
      return undefined;
    }
    const { promise, resolve } = Promise.withResolvers<SendResult>();
    underWay.set(eventId, promise);
    const commitNo = await this.#store.readEvent(run.id, eventId);
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
      named.run.sends.underWay.delete(named.eventId);
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
