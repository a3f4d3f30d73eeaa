/**
 * What src/run/xstate/system.ts relies on in xstate to host actors, under its production and its development build. A new
 * version of xstate that changes any of it fails here, not in a run.
 */
import { beforeEach, describe, expect, test, vi } from "vitest";

type Xstate = typeof import("xstate");

const dist = new URL("../../node_modules/xstate/dist/", import.meta.url);
const BUILDS = { production: "xstate.cjs.mjs", development: "xstate.development.cjs.mjs" };
const builds = await Promise.all(Object.entries(BUILDS).map(async ([build, file]) => [build, (await import(new URL(file, dist).href)) as Xstate] as const));

beforeEach(() => void vi.spyOn(console, "warn").mockImplementation(() => {}));

/** A system that notes what xstate asks of it, and does nothing; `adopted` is called from inside each constructor. */
function recordingSystem(notes: string[], adopted: (ref: any) => void = () => {}): any {
  let booked = 0;
  return {
    _bookId: () => (notes.push("book"), `x:${booked++}`),
    _register: () => {},
    _unregister: (ref: any) => notes.push(`unregister ${ref.id}`),
    _set: (systemId: string, ref: any) => notes.push(`set ${systemId} to ${ref.id}`),
    get: () => undefined,
    getAll: () => ({}),
    inspect: () => {},
    _sendInspectionEvent: (event: any) => {
      if (event.type === "@xstate.actor") {
        notes.push(`actor ${event.actorRef.id}`);
        adopted(event.actorRef);
      }
      if (event.type === "@xstate.microstep") notes.push(`microstep of ${event._transitions.length}`);
    },
    _relay: (_: unknown, to: any, event: any) => notes.push(`relay ${event.type} to ${to.id}`),
    scheduler: {
      schedule: (from: any, to: any, event: any, delayMs: number, id?: string) =>
        notes.push(`schedule ${event.type} from ${from.id} to ${to.id} in ${delayMs} as ${id}`),
      cancel: (from: any, id: string) => notes.push(`cancel ${id} of ${from.id}`),
      cancelAll: () => {},
    },
    start: () => {},
    _snapshot: { _scheduledEvents: {} },
    getSnapshot: () => ({ _scheduledEvents: {} }),
    _clock: undefined,
    _logger: () => {},
  };
}

/** A machine in the hands of a scope that defers what xstate asks for. */
function hosted({ createActor }: Xstate, machine: any): { notes: string[]; scope: any; flush(): string[] } {
  const notes: string[] = [];
  const deferred: (() => void)[] = [];
  const inert = {
    getInitialSnapshot: () => ({ status: "active" }),
    transition: (snapshot: unknown) => snapshot,
    getPersistedSnapshot: (snapshot: unknown) => snapshot,
  };
  const system = recordingSystem(notes, (ref) => {
    ref.logic = inert;
    ref.start = () => {
      ref._processingStatus = 1;
      notes.push(`start ${ref.id}`);
    };
  });
  const self: any = createActor(machine, { id: "root", parent: { system } as any });
  const scope = {
    ...{ self, id: "root", sessionId: "root", system, logger: () => {} },
    defer: (work: () => void) => void deferred.push(work),
    stopChild: (child: any) => notes.push(`stop ${child.id}`),
    emit: (event: any) => notes.push(`emit ${event.type}`),
    actionExecutor: ({ type, exec, info, params }: any) => (type.startsWith("xstate.") ? exec?.(info, params) : notes.push(`action ${type}`)),
  };
  const flush = (): string[] => {
    for (const work of deferred.splice(0)) work();
    return notes.splice(0);
  };
  return { notes, scope, flush };
}

describe.each(builds)("actors under the %s build", (_, xstate) => {
  const { createActor, setup, spawnChild, fromPromise } = xstate;

  test("an actor is announced inside its constructor: before its system id is set and before its state is computed", () => {
    const notes: string[] = [];
    const logic = {
      getInitialSnapshot: () => (notes.push("state"), { status: "active" }),
      transition: (snapshot: unknown) => snapshot,
      getPersistedSnapshot: (snapshot: unknown) => snapshot,
    };
    createActor(logic as never, { id: "k", systemId: "boss", parent: { system: recordingSystem(notes) } } as any);
    expect(notes).toEqual(["book", "actor k", "set boss to k", "state"]);
  });

  test("logic that is exchanged in that moment is the one that is asked for the state", () => {
    const inert = { getInitialSnapshot: () => ({ status: "active", inert: true }), transition: () => {}, getPersistedSnapshot: () => {} };
    const notes: string[] = [];
    const system = recordingSystem(notes, (ref) => (ref.logic = inert));
    const machine = setup({}).createMachine({ entry: () => notes.push("entered") });
    expect(createActor(machine, { parent: { system } as any }).getSnapshot()).toEqual({ status: "active", inert: true });
    expect(notes).toEqual(["book", "actor x:0"]);
  });

  test("an actor is 0 before it starts, 1 while it runs, 2 when it is stopped", () => {
    const actor: any = createActor(setup({}).createMachine({}));
    const seen = [actor._processingStatus];
    actor.start();
    seen.push(actor._processingStatus);
    actor.stop();
    expect([...seen, actor._processingStatus]).toEqual([0, 1, 2]);
  });

  test("children without an id take one from the system, and are all held under the name `undefined` when an action spawns them", () => {
    const child = fromPromise(() => new Promise(() => {}));
    const machine = setup({ actors: { child } }).createMachine({ entry: [spawnChild("child"), spawnChild("child")] });
    const { scope, flush } = hosted(xstate, machine);
    flush();
    const { children } = machine.getInitialSnapshot(scope, undefined) as any;
    expect(Object.keys(children)).toEqual(["undefined"]);
    expect(flush()).toEqual(["book", "actor x:1", "book", "actor x:2", "start x:1", "start x:2"]);
  });
});

describe.each(builds)("turns of hosted actors under the %s build", (_, xstate) => {
  const { assign, cancel, emit, enqueueActions, forwardTo, fromPromise, raise, setup, spawnChild, stopChild } = xstate;
  const sendTo: any = xstate.sendTo;

  test("xstate's own actions do nothing before what they deferred is run, and then ask in their order", () => {
    const child = fromPromise(() => new Promise(() => {}));
    const machine = setup({ actors: { child }, actions: { mine: () => {} } }).createMachine({
      context: {},
      on: {
        GO: {
          actions: [
            spawnChild("child", { id: "k", systemId: "boss" }),
            sendTo("k", { type: "HI" }),
            "mine",
            raise({ type: "LATER" }, { delay: 5, id: "later" }),
            sendTo(({ self }: any) => self, { type: "SOON" }, { delay: 7 }),
            cancel("later"),
            emit({ type: "OUT" }),
            enqueueActions(({ enqueue }: any) => enqueue(sendTo(({ self }: any) => self, { type: "IN" }))),
            assign({ ref: ({ spawn }: any) => spawn("child", { id: "m" }) }) as never,
            forwardTo("k" as never),
          ],
        },
        STOP: { actions: stopChild("k") },
        BRIEF: { actions: [spawnChild("child", { id: "brief" }), stopChild("brief")] },
      },
    } as never) as any;
    const { notes, scope, flush } = hosted(xstate, machine);
    const first = machine.getInitialSnapshot(scope, undefined);
    flush();
    const after = machine.transition(first, { type: "GO" }, scope);
    expect(Object.keys(after.children)).toEqual(["k", "m"]);
    expect(notes.splice(0)).toEqual(["book", "actor k", "set boss to k", "action mine", "book", "actor m", "microstep of 1"]);
    expect(flush()).toEqual([
      ...["start k", "relay HI to k", "schedule LATER from root to root in 5 as later", "schedule SOON from root to root in 7 as undefined"],
      ...["cancel later of root", "emit OUT", "relay IN to root", "start m", "relay GO to k"],
    ]);
    expect(Object.keys(machine.transition(after, { type: "STOP" }, scope).children)).toEqual(["m"]);
    expect([notes.splice(0), flush()]).toEqual([["unregister k", "microstep of 1"], ["stop k"]]);
    machine.transition(first, { type: "BRIEF" }, scope);
    expect(notes.splice(0), "a child that did not start is stopped at once").toEqual([
      "book",
      "actor brief",
      "unregister brief",
      "stop brief",
      "microstep of 1",
    ]);
  });

  test("a microstep tells its transitions: none when no transition took the event", () => {
    const machine = setup({}).createMachine({ initial: "a", states: { a: { on: { GO: "b" } }, b: {} } }) as any;
    const { scope, flush } = hosted(xstate, machine);
    const first = machine.getInitialSnapshot(scope, undefined);
    flush();
    machine.transition(first, { type: "NO" }, scope);
    const unheard = flush();
    machine.transition(first, { type: "GO" }, scope);
    expect([unheard.filter((note) => note !== "microstep of 0"), flush()]).toEqual([[], ["microstep of 1"]]);
  });
});

describe.each(builds)("names under the %s build", (_, xstate) => {
  const { createActor, fromEventObservable, fromObservable, fromPromise, fromTransition, setup } = xstate;

  test("what actors hear from xstate has the names by which the host tells it", async () => {
    const heard = new Set<string>();
    const ending = (end: (observer: any) => void): any => ({ subscribe: (observer: any) => (queueMicrotask(() => end(observer)), { unsubscribe() {} }) });
    const actors = {
      done: fromPromise(async () => 1),
      refused: fromPromise(async () => Promise.reject(new Error("no"))),
      values: fromObservable(() => ending((observer) => (observer.next(1), observer.complete()))),
      broken: fromObservable(() => ending((observer) => observer.error(new Error("no")))),
      events: fromEventObservable(() => ending((observer) => observer.next({ type: "EV" }))),
      stopped: fromTransition((_: unknown, { type }) => void heard.add(type), undefined),
    };
    const invoke = Object.keys(actors).map((id) => ({ id, src: id, ...(id === "values" && { onSnapshot: {} }) }));
    const on = { "xstate.error.actor.*": {}, OFF: "off" };
    const machine = setup({ actors }).createMachine({ initial: "on", states: { on: { invoke, on }, off: {} } } as never);
    const actor = createActor(
      machine as never,
      { inspect: (event: any) => void (event.type === "@xstate.event" && heard.add(event.event.type)) } as never,
    ) as any;
    actor.start();
    await vi.waitFor(() => expect(heard).toContain("xstate.done.actor.values"));
    actor.send({ type: "OFF" });
    expect([...heard].filter((type) => type !== "OFF").toSorted()).toEqual([
      ...["EV", "xstate.done.actor.done", "xstate.done.actor.values", "xstate.error.actor.broken", "xstate.error.actor.refused", "xstate.init"],
      ...["xstate.observable.complete", "xstate.observable.error", "xstate.observable.next", "xstate.promise.reject", "xstate.promise.resolve"],
      ...["xstate.snapshot.values", "xstate.stop"],
    ]);
  });
});

describe.each(builds)("states under the %s build", (_, xstate) => {
  const { fromPromise, setup } = xstate;
  const child = fromPromise(async () => 1);
  const machine = setup({ actors: { child }, guards: { never: () => false } }).createMachine({
    id: "top",
    type: "parallel",
    states: { flat: {}, deep: { initial: "one", states: { one: { id: "with.dots" }, two: {} } } },
    invoke: [{ src: child }, { src: "child", id: "named" }],
  }) as any;

  test("a machine knows its state nodes by id, its logic by name, and logic in place by the number of its invoke", () => {
    expect([...machine.idMap.keys()]).toEqual(["top", "top.flat", "top.deep", "with.dots", "top.deep.two"]);
    expect(machine.implementations.actors.child).toBe(child);
    expect(machine.root.invoke.map(({ src, id }: any) => [src, id])).toEqual([
      ["xstate.invoke.0.top", "0.top"],
      ["child", "named"],
    ]);
  });

  test("a snapshot has its active state nodes, in the document's order at first; restored they have another, and no children", () => {
    const { scope } = hosted(xstate, machine);
    const first = machine.getInitialSnapshot(scope, undefined);
    const idsOf = ({ _nodes }: any): string[] => _nodes.map(({ id }: any) => id);
    expect(idsOf(first).toSorted()).toEqual(["top", "top.deep", "top.flat", "with.dots"]);
    const { status, value } = first;
    const restored = machine.restoreSnapshot({ status, value, children: {}, historyValue: {} }, scope);
    expect(idsOf(restored).toSorted()).toEqual(idsOf(first).toSorted());
    expect([restored.value, restored.children, restored.context]).toEqual([value, {}, undefined]);
    expect(Object.assign(restored, { context: { n: 1 } }).context).toEqual({ n: 1 });
  });
});
