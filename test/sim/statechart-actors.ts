/**
 * Logic that random statecharts invoke and spawn besides machines. All of it waits for the outside world before it says anything, so a live
 * actor, which starts it inside a cascade, and a host, which starts it after the commit, hear the same in the same order.
 */
import { type AnyActorLogic, fromCallback, fromEventObservable, fromObservable, fromPromise, fromTransition } from "xstate";
import type { Outside } from "./outside-world.ts";

/** What each child is given: where it stands, what its parent had counted to, and how many transitions it may take. */
export interface ChildInput {
  readonly path: string;
  readonly n: number;
  readonly left: number;
}

interface Observer {
  next?: (value: any) => void;
  complete?: () => void;
}

/** Gives these values one after the other, then ends. */
function stream(outside: Outside, key: string, values: readonly unknown[]): any {
  return {
    subscribe(observer: Observer) {
      let forget = (): void => {};
      const give = (index: number): void => {
        forget = outside.later(key, () => {
          if (index === values.length) return observer.complete?.();
          give(index + 1);
          observer.next?.(values[index]);
        });
      };
      give(0);
      return { unsubscribe: () => forget() };
    },
  };
}

function promise(outside: Outside, settle: (input: ChildInput, resolve: (value: unknown) => void, reject: (error: Error) => void) => void): AnyActorLogic {
  return fromPromise<unknown, ChildInput>(
    ({ input, signal }) =>
      new Promise((resolve, reject) => {
        signal.addEventListener(
          "abort",
          outside.later(input.path, () => settle(input, resolve, reject)),
        );
      }),
  );
}

function echo(outside: Outside): AnyActorLogic {
  return fromCallback<any, ChildInput>(({ receive, sendBack, input }) => {
    const forgets: (() => void)[] = [];
    receive((event) => void forgets.push(outside.later(input.path, () => sendBack({ type: "C", v: event.v }))));
    return () => forgets.forEach((forget) => forget());
  });
}

export function outsideLogic(outside: Outside): Record<string, AnyActorLogic> {
  return {
    resolves: promise(outside, ({ n }, resolve) => resolve({ v: n + 1 })),
    rejects: promise(outside, ({ n }, _, reject) => reject(new RangeError(`refused ${n}`))),
    hangs: fromPromise(() => new Promise(() => {})),
    listens: fromCallback(({ receive }) => receive(() => {})),
    echoes: echo(outside),
    observes: fromObservable<any, ChildInput>(({ input }) => stream(outside, input.path, [input.n, input.n + 1])),
    observesEvents: fromEventObservable<any, ChildInput>(({ input }) => stream(outside, input.path, [{ type: "D", v: input.n }])),
    counts: fromTransition<any, any, any, ChildInput>(
      ({ n }, { type }) => ({ n: n + 1, heard: type }),
      ({ input }: { input: ChildInput }) => ({ n: input.n, heard: "" }),
    ),
  };
}
