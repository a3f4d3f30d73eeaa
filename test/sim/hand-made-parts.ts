/**
 * What hand-made machines are put together from.
 */
import { type AnyStateMachine, assign, setup } from "xstate";
import type { Outside } from "./outside-world.ts";
import type { Step } from "./statechart-spec.ts";
import type { Subject } from "./statechart-trace.ts";

export interface HandMadeCase extends Subject {
  /** Why its callbacks or streams may do more than once what they do, when a crash starts them again. */
  readonly restarts?: string;
  /** Why the durable trace differs, and is meant to. */
  readonly differs?: string;
}

export const send = (type: string, fields: object = {}): Step => ({ kind: "send", event: { type, ...fields } });
export const advance = (ms: number): Step => ({ kind: "advance", ms });
export const machine = (config: any, parts: any = {}): AnyStateMachine => setup(parts).createMachine(config);
/** Adds to a list in the context what this finds in the event. */
export const append = (field: string, of: (event: any) => unknown): any => assign(({ context, event }: any) => ({ [field]: [...context[field], of(event)] }));
export const countIn = (field: string): any => assign(({ context }: any) => ({ [field]: context[field] + 1 }));
export const ofContext =
  (field: string): any =>
  ({ context }: any) =>
    context[field];
export const valuesAtOnce = (values: readonly unknown[]): any => ({
  subscribe(observer: any) {
    for (const value of values) observer.next(value);
    observer.complete();
    return { unsubscribe() {} };
  },
});

/** Actions that record a tag, followed by what the context says `n` is. */
export function marks({ record }: Outside): (tag: string) => (args: any) => void {
  return (tag) =>
    ({ context }) =>
      record(`${tag}${context?.n ?? ""}`);
}
