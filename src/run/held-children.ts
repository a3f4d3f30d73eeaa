/**
 * Which children an actor's snapshot holds, kept beside it: at each turn only those are looked at that came or went.
 */
import { type Actor, type AnySnapshot, NO_NAME } from "./xstate/actor.ts";
import type { Recording } from "./xstate/system.ts";

/** Notes who is held after a turn; answers the actors that lost their name by it. */
export function heldAnew({ actor, effects, adopted }: Recording): Actor[] {
  const stopped = effects.flatMap((effect) => (effect.kind === "stop" && effect.actor.parent === actor ? [effect.actor] : []));
  const parents = new Set(adopted.map(({ parent }) => parent!));
  if (stopped.length > 0) parents.add(actor);
  return [...parents].flatMap((parent) => {
    const touched = [...adopted.filter((child) => child.parent === parent), ...(parent === actor ? stopped : [])];
    return parent.snapshot === undefined ? [] : updateHeld(parent, parent.snapshot, touched);
  });
}

function updateHeld(parent: Actor, snapshot: AnySnapshot, touched: readonly Actor[]): Actor[] {
  const children = (snapshot as { children?: Record<string, unknown> }).children ?? {};
  const losers: Actor[] = [];
  for (const child of touched)
    for (const name of [child.id, NO_NAME]) {
      const before = parent.held.get(name);
      const isHeld = Object.hasOwn(children, name) && children[name] === child.ref;
      if (isHeld) parent.held.set(name, child);
      else if (before !== undefined && !Object.hasOwn(children, name)) parent.held.delete(name);
      if (before !== undefined && before !== parent.held.get(name)) losers.push(before);
    }
  return losers;
}
