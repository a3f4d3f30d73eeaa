/**
 * The world around a simulated system of actors: it keeps what actions were executed, and settles promises, echoes and streams one at a
 * time, in an order that does not depend on when they were asked for. A crash of the process ends one life: what belonged to it is not
 * heard any more.
 */

/** What a machine sees of the world. */
export interface Outside {
  /** An action was executed. */
  record(tag: string): void;
  /** A construct of statecharts was put to work. */
  hit(construct: string): void;
  /** Calls back once the system is at rest; the smallest key goes first. Answers how to forget it. */
  later(key: string, callback: () => void): () => void;
}

interface Wish {
  readonly key: string;
  readonly callback: () => void;
}

export class OutsideWorld {
  readonly actions: string[] = [];
  readonly hits = new Map<string, number>();
  readonly #acted: () => void;
  #wishes: Wish[] = [];
  #life = 0;

  /** `acted` is called after each action of the process that lives. */
  constructor(acted: () => void) {
    this.#acted = acted;
  }

  /** The world as a new process sees it: whatever processes there were are dead. */
  newLife(): Outside {
    const life = ++this.#life;
    this.#wishes = [];
    return {
      record: (tag) => {
        if (life !== this.#life) return;
        this.actions.push(tag);
        this.#acted();
      },
      hit: (construct) => void this.hits.set(construct, (this.hits.get(construct) ?? 0) + 1),
      later: (key, callback) => {
        const wish = { key, callback };
        if (life === this.#life) this.#wishes.push(wish);
        return () => void (this.#wishes = this.#wishes.filter((other) => other !== wish));
      },
    };
  }

  /** An outside for machines that serve several processes, one after the other: it is that of the last life it was given. */
  static relay(): Outside & { life: Outside } {
    const nowhere: Outside = { record() {}, hit() {}, later: () => () => {} };
    const relay = {
      life: nowhere,
      record: (tag: string) => relay.life.record(tag),
      hit: (construct: string) => relay.life.hit(construct),
      later: (key: string, callback: () => void) => relay.life.later(key, callback),
    };
    return relay;
  }

  /** Fulfils one wish; false when there was none. */
  fulfilOne(): boolean {
    const [first, ...others] = this.#wishes;
    if (first === undefined) return false;
    const next = others.reduce((least, wish) => (wish.key < least.key ? wish : least), first);
    this.#wishes = this.#wishes.filter((wish) => wish !== next);
    next.callback();
    return true;
  }
}
