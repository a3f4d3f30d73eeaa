/**
 * The actions of random statecharts, made from their spec.
 */
import { assign, cancel, emit, enqueueActions, forwardTo, log, raise, sendParent, sendTo, stopChild } from "xstate";
import type { Outside } from "./outside-world.ts";
import type { ActionSpec, Carried, GuardSpec, KeptValue, Receiver, SlotSpec } from "./statechart-spec.ts";

/** The delay that depends on the context. */
export const SOON = "soon";

/** What an action needs to know of the machine that it belongs to. */
export interface Compiler {
  readonly outside: Outside;
  readonly index: number;
  readonly slots: readonly SlotSpec[];
  readonly systemSlots: readonly SlotSpec[];
  childOptions(slot: number): object;
  childInput(slot: number, context: any): object;
  hasSystemId(slot: number): boolean;
  spawnUnlessAlive(slot: number): any;
  guardOf(guard: GuardSpec): any;
}

/** Whether the machine has this child: its context mirrors what xstate keeps as `children`. */
export function isAlive(context: any, slot: number): boolean {
  return context.alive[`k${slot}`] === true;
}

export function setAlive(slot: number, isNowAlive: boolean, ref?: () => unknown): any {
  return assign(({ context }: any) => ({
    alive: { ...context.alive, [`k${slot}`]: isNowAlive },
    ...(ref !== undefined && { refs: { ...context.refs, [`k${slot}`]: ref() } }),
  }));
}

/** What came with an event, in plain words. */
export function describe(event: any): unknown {
  if ("output" in event) return event.output;
  if ("error" in event) return `${event.error?.name}: ${event.error?.message}`;
  if ("snapshot" in event) return event.snapshot.machine === undefined ? event.snapshot.context : event.snapshot.value;
  return event.v ?? null;
}

/** `invoked` are the children that come to life right after these actions: messages to them wait. */
export function actionsOf(compiler: Compiler, specs: readonly ActionSpec[], invoked: readonly number[] = []): any[] {
  return specs.flatMap((spec) => new ActionBuilder(compiler, invoked).build(spec));
}

class ActionBuilder {
  readonly #compiler: Compiler;
  readonly #invoked: readonly number[];

  constructor(compiler: Compiler, invoked: readonly number[]) {
    this.#compiler = compiler;
    this.#invoked = invoked;
  }

  build(spec: ActionSpec): any[] {
    const { outside, index, guardOf } = this.#compiler;
    switch (spec.kind) {
      case "mark":
        return [this.#mark()];
      case "log":
        return [log(this.#told("log", ({ context }) => `m${index} ${context.path} ${context.n}`))];
      case "emit":
        return [emit(this.#told("emit", ({ context }) => ({ type: `OUT${index}`, v: context.n })) as any)];
      case "count":
        return [assign(this.#told("assign", ({ context }) => ({ n: context.n + 1 })))];
      case "remember":
        return [assign(({ context, event }: any) => ({ peer: event.peer ?? context.peer }))];
      case "keep":
        return [assign(this.#told(`keep ${spec.value}`, (args) => ({ bag: valueOf(spec.value, args) })))];
      case "enqueue":
        return [
          enqueueActions(({ check, enqueue }: any) => {
            outside.hit("enqueueActions");
            if (check(guardOf.call(this.#compiler, spec.guard))) spec.actions.flatMap((inner) => this.build(inner)).forEach((action) => enqueue(action));
          }),
        ];
      case "spawn":
      case "stop":
        return this.#family(spec);
      default:
        return this.#message(spec);
    }
  }

  /** A custom action: by name, or in place. */
  #mark(): any {
    const { outside, index } = this.#compiler;
    const tagOf = ({ context, event }: any): string => `m${index} ${context.path} ${context.n} on ${event.type}`;
    if (index % 2 === 0) return { type: "mark", params: this.#told("named action", (args) => ({ tag: tagOf(args) })) };
    return (args: any) => {
      outside.hit("inline action");
      outside.record(tagOf(args));
    };
  }

  #message(spec: Exclude<ActionSpec, { kind: "mark" | "log" | "emit" | "count" | "remember" | "keep" | "enqueue" | "spawn" | "stop" }>): any[] {
    switch (spec.kind) {
      case "raise":
        return [raise(this.#event("raise", spec.event, "nothing"))];
      case "raiseLater":
        return this.#later(spec.id, (options) => raise(this.#event("raise later", spec.event, "self"), options(spec.delayMs)));
      case "cancel":
        return [cancel(this.#told("cancel", () => `t${spec.id}`))];
      case "send":
        return [this.#send(spec.to, this.#event(`send ${spec.to.kind}`, spec.event, spec.carried))];
      case "sendLater":
        return this.#later(spec.id, (options) => this.#send(spec.to, this.#event("send later", spec.event, "self"), options(spec.delayMs)));
      case "forward":
        return this.#slotted(spec.slot, (slot) => [
          forwardTo(this.#told("forwardTo", ({ context, self }) => (isAlive(context, slot) ? `k${slot}` : self)) as any),
        ]);
    }
  }

  #family(spec: Extract<ActionSpec, { kind: "spawn" | "stop" }>): any[] {
    return this.#slotted(spec.slot, (slot) => {
      if (spec.kind === "stop") return this.#stop(slot, spec.isByRef);
      if (this.#compiler.slots[slot]!.start === "invoke") return [];
      return [spec.isAssigned ? this.#spawnAssigned(slot) : this.#compiler.spawnUnlessAlive(slot)];
    });
  }

  /** Two timers under one id at the same time are a known fault of stock xstate: the older one goes first. */
  #later(id: number | null, action: (options: (delayMs: number) => any) => any): any[] {
    if (id === null) return [action((delayMs) => ({ delay: delayMs % 20 === 0 ? SOON : delayMs }))];
    return [cancel(`t${id}`), action((delay) => ({ delay, id: `t${id}` }))];
  }

  #send(to: Receiver, event: any, options?: any): any {
    const { index, slots, systemSlots } = this.#compiler;
    const target = (choose: (args: any) => unknown): any => sendTo((args: any) => choose(args) ?? args.self, event, options);
    switch (to.kind) {
      case "self":
        return target(({ self }) => self);
      case "peer":
        return target(({ context }) => context.peer);
      case "parent":
        return index === 0 ? target(({ self }) => self) : sendParent(event, options);
      case "system":
        return target(({ system }) => system.get(`sys${to.slot % Math.max(1, systemSlots.length)}`));
      case "child": {
        const slot = to.slot % Math.max(1, slots.length);
        if (this.#invoked.includes(slot) && options === undefined) return sendTo(`k${slot}`, event);
        return target(({ context }) => (isAlive(context, slot) ? `k${slot}` : undefined));
      }
    }
  }

  #event(construct: string, type: string, carried: Carried): any {
    const { outside, slots } = this.#compiler;
    return this.#told(construct, ({ context, self }) => {
      if (carried === "nothing") return { type, v: context.n };
      outside.hit("event carries a ref");
      return { type, v: context.n, peer: carried === "self" ? self : context.refs[`k${carried % Math.max(1, slots.length)}`] };
    });
  }

  #spawnAssigned(slot: number): any {
    return assign(({ context, spawn }: any) => {
      if (isAlive(context, slot)) return {};
      this.#compiler.outside.hit("spawn inside assign");
      const ref = spawn(`child${slot}`, { ...this.#compiler.childOptions(slot), input: this.#compiler.childInput(slot, context) });
      return { alive: { ...context.alive, [`k${slot}`]: true }, refs: { ...context.refs, [`k${slot}`]: ref } };
    });
  }

  #stop(slot: number, isByRef: boolean): any[] {
    if (this.#compiler.hasSystemId(slot)) return [];
    if (!isByRef) return [stopChild(this.#told("stopChild by id", () => `k${slot}`) as any), setAlive(slot, false)];
    const living = ({ context }: any): any => (isAlive(context, slot) ? context.refs[`k${slot}`] : undefined);
    return [
      stopChild(this.#told("stopChild by ref", living)),
      assign((args: any) => (living(args) === undefined ? {} : { alive: { ...args.context.alive, [`k${slot}`]: false } })),
    ];
  }

  #slotted(slot: number, action: (slot: number) => any[]): any[] {
    const { slots } = this.#compiler;
    return slots.length === 0 ? [] : action(slot % slots.length);
  }

  #told<T>(construct: string, expression: (args: any) => T): (args: any) => T {
    return (args) => {
      this.#compiler.outside.hit(construct);
      return expression(args);
    };
  }
}

function valueOf(kind: KeptValue, { context, self }: any): unknown {
  const { n } = context;
  switch (kind) {
    case "undefined":
      return undefined;
    case "date":
      return new Date(n);
    case "map":
      return new Map([[n, { inner: undefined }]]);
    case "set":
      return new Set([n, "x"]);
    case "bigint":
      return BigInt(n);
    case "nan":
      return [NaN, -0, Infinity, undefined];
    case "error":
      return Object.assign(new TypeError(`kept ${n}`), { code: n });
    case "refs":
      return { me: self, all: Object.values(context.refs) };
    case "plain":
      return { n, deep: [{ n }] };
  }
}
