/**
 * What the turns of a machine run ask for beside what passes between its actors: events for other runs, delayed events,
 * and the user's acts.
 */
import type { ActorTable } from "./actor-table.ts";
import type { ActorTimers } from "./actor-timers.ts";
import type { Asked, Cascade } from "./cascade.ts";
import { encode } from "./codec.ts";
import type { Deeds } from "./deeds.ts";
import type { Outgoing } from "./outgoing.ts";
import type { Actor, ActorTimer } from "./xstate/actor.ts";

/** The parts of the run that do it. */
export interface EffectParts {
  readonly table: ActorTable;
  readonly cascade: Cascade;
  readonly timers: ActorTimers;
  readonly deeds: Deeds;
  readonly outgoing: Outgoing;
  readonly changed: (actor: Actor) => void;
  readonly nextNumber: () => number;
}

/** How the key of another run is told from that of an actor. */
const RUN = "run:";

/** Notes it for the commit. What cannot be stored fails the actor that asked. */
export function noteAsked({ table, cascade, timers, deeds, outgoing, changed, nextNumber }: EffectParts, effect: Asked): void {
  if (effect.kind === "act") return deeds.add(effect.act);
  if (effect.kind === "cancel") {
    timers.remove(effect.source, ({ id }) => id === effect.id);
    return changed(effect.source);
  }
  const source = effect.kind === "schedule" ? effect.source : cascade.stack.at(-1)!.actor;
  try {
    if (effect.kind === "post") outgoing.post(effect.runId, encode(effect.event));
    else timers.set(effect, nextNumber(), effect.to.startsWith(RUN) ? encode(effect.event) : table.encode(effect.event));
    changed(source);
  } catch (error) {
    cascade.fail(source, error);
  }
}

/** Gives a delayed event that is due to whom it is for, unless it is void. */
export function fireTimer({ table, cascade, timers, outgoing, changed }: EffectParts, actor: Actor, timer: ActorTimer): void {
  if (!actor.timers.includes(timer)) return;
  timers.remove(actor, (other) => other === timer);
  changed(actor);
  if (timer.to.startsWith(RUN)) outgoing.post(timer.to.slice(RUN.length), timer.event);
  else cascade.deliver(table.actorAt(timer.to), table.normal(timer.event));
}
