/**
 * A cascade that does not rest, as text: the stack with what is still to come, and the mailboxes. Acts are not in it.
 */
import type { ActorTable } from "./actor-table.ts";
import type { Frame } from "./cascade.ts";
import { type PawlError, isPawlError } from "../errors.ts";
import type { Actor, AnyEvent } from "./xstate/actor.ts";
import type { Effect } from "./xstate/effects.ts";

type EffectText =
  | ["send", key: string, event: string]
  | ["post", runId: string, event: string]
  | ["start" | "stop" | "unregister", key: string]
  | ["schedule", key: string, to: string, event: string, delayMs: number, id: string | null]
  | ["cancel", key: string, id: string];

interface CascadeText {
  readonly frames: readonly { readonly key: string; readonly isOpen: boolean; readonly isStopping?: boolean; readonly effects: readonly EffectText[] }[];
  readonly mail: readonly (readonly [key: string, events: readonly string[]])[];
}

export function framesText(stack: readonly Frame[], table: ActorTable): string {
  const mail = [...table.actors.values()].filter(({ mailbox }) => mailbox.length > 0);
  const text: CascadeText = {
    frames: stack.map(({ actor, isOpen, isStopping = false, effects, at }) => ({
      key: actor.key,
      isOpen,
      isStopping,
      effects: effects.slice(at).map((effect) => effectText(effect, table)),
    })),
    mail: mail.map(({ key, mailbox }) => [key, mailbox.map((event) => table.encode(event))] as const),
  };
  return JSON.stringify(text);
}

/** Takes out the first event that cannot be stored, with the error that says so and the actor whose it is. */
export function takeUnstorable(stack: readonly Frame[], table: ActorTable): { readonly actor: Actor; readonly error: PawlError } | undefined {
  for (const frame of stack)
    for (const effect of frame.effects.slice(frame.at)) {
      const error = effect.kind === "act" ? undefined : refusal(() => effectText(effect, table));
      if (error === undefined) continue;
      frame.effects = frame.effects.filter((other) => other !== effect);
      return { actor: frame.actor, error };
    }
  for (const actor of table.actors.values())
    for (const [i, event] of actor.mailbox.entries()) {
      const error = refusal(() => table.encode(event));
      if (error === undefined) continue;
      actor.mailbox.splice(i, 1);
      return { actor, error };
    }
  return undefined;
}

function refusal(encode: () => unknown): PawlError | undefined {
  try {
    encode();
    return undefined;
  } catch (error) {
    if (isPawlError(error)) return error;
    throw error;
  }
}

/** The stack of a text; fills the mailboxes. */
export function framesOf(text: string, table: ActorTable): Frame[] {
  const { frames, mail } = JSON.parse(text) as CascadeText;
  for (const [key, events] of mail) table.actorAt(key).mailbox.push(...events.map((event) => table.decode(event) as AnyEvent));
  return frames.map(({ key, isOpen, isStopping = false, effects }) => ({
    actor: table.actorAt(key),
    isOpen,
    isStopping,
    at: 0,
    effects: effects.map((effect) => effectOf(effect, table)),
  }));
}

function effectText(effect: Effect, table: ActorTable): EffectText {
  switch (effect.kind) {
    case "send":
      return ["send", effect.to.key, table.encode(effect.event)];
    case "post":
      return ["post", effect.runId, table.encode(effect.event)];
    case "start":
    case "stop":
    case "unregister":
      return [effect.kind, effect.actor.key];
    case "schedule":
      return ["schedule", effect.source.key, effect.to, table.encode(effect.event), effect.delayMs, effect.id ?? null];
    case "cancel":
      return ["cancel", effect.source.key, effect.id];
    case "act":
      throw new TypeError("an act has no text");
  }
}

function effectOf(text: EffectText, table: ActorTable): Effect {
  const [kind] = text;
  if (kind === "send") return { kind, to: table.actorAt(text[1]), event: table.decode(text[2]) as AnyEvent };
  if (kind === "post") return { kind, runId: text[1], event: table.decode(text[2]) as AnyEvent };
  if (kind === "cancel") return { kind, source: table.actorAt(text[1]), id: text[2] };
  if (kind !== "schedule") return { kind, actor: table.actorAt(text[1]) };
  const [, key, to, event, delayMs, id] = text;
  return { kind, source: table.actorAt(key), to, event: table.decode(event) as AnyEvent, delayMs, id: id ?? undefined };
}
