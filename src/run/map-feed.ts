/**
 * Items of groups, one after the other, as there is room for them: a map says how many may be under way at once.
 */
import type { Graph } from "./graph.ts";
import type { NodeStatus } from "./node-status.ts";

/** What has a row and goes on. */
const UNDER_WAY: ReadonlySet<NodeStatus> = new Set(["backingOff", "recovering"]);

interface Feed {
  /** The position of the first item that may still wait. */
  next: number;
  /** Items that were given and have not settled. */
  active: number;
  /** Items that are to be tried again when there is room for them. */
  readonly again: number[];
  isQueued: boolean;
}

export class MapFeed {
  readonly #graph: Graph;
  readonly #statusOf: (index: number) => NodeStatus;
  readonly #feeds = new Map<number, Feed>();

  constructor(graph: Graph, statusOf: (index: number) => NodeStatus) {
    this.#graph = graph;
    this.#statusOf = statusOf;
  }

  has(group: number): boolean {
    return this.#feeds.has(group);
  }

  /** No further item is given. Answers whether the group was queued. */
  close(group: number): boolean {
    const isQueued = this.#feeds.get(group)?.isQueued === true;
    this.#feeds.delete(group);
    return isQueued;
  }

  /** The group has items, or more of them. Answers whether it is to be queued. */
  add(group: number): boolean {
    if (!this.#feeds.has(group)) {
      let active = 0;
      for (const item of this.#graph.itemsOf(group)) if (UNDER_WAY.has(this.#statusOf(item))) active++;
      this.#feeds.set(group, { next: 0, active, again: [], isQueued: false });
    }
    return this.hasMore(group);
  }

  /** The next item that waits, now under way. */
  next(group: number): number | undefined {
    const feed = this.#feeds.get(group)!;
    feed.isQueued = false;
    const index = feed.again.shift() ?? this.#waiting(group, feed);
    if (index === undefined) return undefined;
    if (this.#statusOf(index) === "waiting") feed.next++;
    feed.active++;
    return index;
  }

  /** An item is to be tried again. Answers whether it waits for room: more of them were taken up again than may be under way. */
  putsOff(group: number, index: number): boolean {
    const feed = this.#feeds.get(group);
    if (feed === undefined || feed.active <= this.#roomOf(group)) return false;
    feed.active--;
    feed.again.push(index);
    return true;
  }

  /** It ends wherever it waits: counted as under way until then, so that `settled` can be told of it. Its group leaves the queue. */
  withdraw(group: number, index: number): void {
    const feed = this.#feeds.get(group)!;
    const at = feed.again.indexOf(index);
    if (at !== -1) feed.again.splice(at, 1);
    if (at !== -1 || this.#statusOf(index) === "waiting") feed.active++;
    feed.isQueued = false;
  }

  #roomOf(group: number): number {
    return this.#graph.plan.nodes[group]!.concurrency ?? Number.POSITIVE_INFINITY;
  }

  /** Is there one more, and room for it? Whoever asks queues the group then. */
  hasMore(group: number): boolean {
    const feed = this.#feeds.get(group)!;
    if (feed.isQueued) return false;
    feed.isQueued = feed.active < this.#roomOf(group) && (feed.again.length > 0 || this.#waiting(group, feed) !== undefined);
    return feed.isQueued;
  }

  /** One of its items has settled. Answers whether the group is to be queued. */
  settled(group: number): boolean {
    const feed = this.#feeds.get(group);
    if (feed === undefined) return false;
    feed.active--;
    return this.hasMore(group);
  }

  /** Items that were given before a restart, and have settled, are passed over. */
  #waiting(group: number, feed: Feed): number | undefined {
    for (;;) {
      const index = this.#graph.itemAt(group, feed.next);
      if (index === undefined || this.#statusOf(index) === "waiting") return index;
      feed.next++;
    }
  }
}
