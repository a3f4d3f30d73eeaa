/**
 * The children of a machine that has many. xstate copies them all at each spawn and at each stop; a crowd hides its names
 * from that copy, so that a turn sees a few, and what they are afterwards is put together from what the turn did.
 * 1. A crowd never changes: the next one shares what both have. 2. To everybody else it looks like any children object.
 */
import { stopChild } from "xstate";
import type { Actor, AnyEvent, AnySnapshot } from "./actor.ts";

type Children = Readonly<Record<string, object | undefined>>;
interface WithChildren {
  readonly children: Children;
}

/** Objects put such names first. */
const INDEX = /^(0|[1-9]\d*)$/;

const crowdOf = new WeakMap<object, Crowd>();

export class Crowd {
  /** Fewer are copied as they are. */
  static min = 256;
  /** So many names are kept apart before they are put with the rest. */
  static layerMax = 128;
  readonly #base: ReadonlyMap<string, object | undefined>;
  readonly #added: ReadonlyMap<string, object | undefined>;
  /** Of the base. */
  readonly #removed: ReadonlySet<string>;
  /** As everybody sees it. */
  readonly children: Children;
  /** With every name to be found and none to be seen. */
  readonly hidden: Children;

  private constructor(base: ReadonlyMap<string, object | undefined>, added: ReadonlyMap<string, object | undefined>, removed: ReadonlySet<string>) {
    this.#base = base;
    this.#added = added;
    this.#removed = removed;
    this.children = new Proxy(
      {},
      this.#traps(() => this.names()),
    );
    this.hidden = new Proxy(
      {},
      this.#traps(() => []),
    );
    crowdOf.set(this.children, this);
  }

  /** The children of a snapshot as a crowd; undefined when their names do not allow it. */
  static of(snapshot: AnySnapshot): Crowd | undefined {
    const children = childrenOf(snapshot);
    const known = crowdOf.get(children);
    if (known !== undefined) return known;
    const base = new Map(Object.entries(children));
    return [...base.keys()].some((name) => INDEX.test(name)) ? undefined : new Crowd(base, new Map(), new Set());
  }

  #traps(ownKeys: () => string[]): ProxyHandler<object> {
    return {
      ownKeys,
      get: (target, name) => (typeof name === "string" && this.has(name) ? this.get(name) : Reflect.get(target, name)),
      has: (target, name) => (typeof name === "string" && this.has(name)) || Reflect.has(target, name),
      getOwnPropertyDescriptor: (_, name) =>
        typeof name === "string" && this.has(name) ? { value: this.get(name), enumerable: true, configurable: true, writable: true } : undefined,
      set: () => false,
      defineProperty: () => false,
      deleteProperty: () => false,
    };
  }

  has(name: string): boolean {
    return this.#added.has(name) || (this.#base.has(name) && !this.#removed.has(name));
  }

  get(name: string): object | undefined {
    return this.#added.has(name) ? this.#added.get(name) : this.#removed.has(name) ? undefined : this.#base.get(name);
  }

  /** In the order in which they came. */
  names(): string[] {
    const isHere = (name: string): boolean => this.#base.has(name) && !this.#removed.has(name);
    return [...[...this.#base.keys()].filter((name) => !this.#removed.has(name)), ...[...this.#added.keys()].filter((name) => !isHere(name))];
  }

  /** The next one; undefined when its names do not allow it. */
  next(gone: Iterable<string>, come: Children): Crowd | undefined {
    const added = new Map(this.#added);
    const removed = new Set(this.#removed);
    for (const name of gone) {
      added.delete(name);
      if (this.#base.has(name)) removed.add(name);
    }
    for (const [name, child] of Object.entries(come)) {
      if (INDEX.test(name)) return undefined;
      added.set(name, child);
    }
    const next = new Crowd(this.#base, added, removed);
    if (added.size + removed.size < Crowd.layerMax) return next;
    return new Crowd(new Map(next.names().map((name) => [name, next.get(name)])), new Map(), new Set());
  }

  /** As an object like any other. */
  plain(): Children {
    return Object.fromEntries(this.names().map((name) => [name, this.get(name)]));
  }
}

export function transitionOf({ logic, scope }: Actor, snapshot: AnySnapshot, event: AnyEvent): AnySnapshot {
  return logic.transition(snapshot, event, scope) as AnySnapshot;
}

/** The transition of a snapshot with its children shown in another way; the snapshot itself when nothing changed. */
export function transitionWith(actor: Actor, snapshot: AnySnapshot, children: object, event: AnyEvent): AnySnapshot {
  const shown = { ...snapshot, children } as AnySnapshot;
  const after = transitionOf(actor, shown, event);
  return after === shown ? snapshot : after;
}

export function childrenOf(snapshot: AnySnapshot): Children {
  return (snapshot as unknown as WithChildren).children;
}

/** What xstate does with the children of a machine that is over, without copying the others each time. */
export function stopEach({ scope }: Actor, children: Children): void {
  const stop = stopChild("") as unknown as { execute(scope: unknown, child: object | undefined): void };
  for (const child of Object.values(children)) stop.execute(scope, child);
}
