/**
 * One play of a machine: it is started in pawl, led along a path, and looked at, with one crash on the way or none.
 * What invoked actors answer is part of the path, for those whose answers are given; all others run as they are.
 */
import { type AnyActorLogic, type AnyActorRef, type AnyMachineSnapshot, type AnyStateMachine, fromPromise } from "xstate";
import type { DurableMachine, MachineHandle, Startable } from "../index.ts";
import type { SimProcess } from "./simulated-process.ts";
import { type CrashPoint, RUN_ID, Stage } from "./stage.ts";
import { durationText, shortText, textOf } from "./story.ts";

/** One thing that happens to a machine. */
export type Step =
  | { readonly kind: "send"; readonly event: { readonly type: string } }
  | { readonly kind: "pass"; readonly ms: number }
  /** The invoked actor of this id gives the n-th answer of its source. */
  | { readonly kind: "answer"; readonly id: string; readonly source: string; readonly answer: number };

export interface MachineScene {
  readonly build: (stage: Stage) => Startable;
  readonly input: unknown;
  readonly events: readonly { readonly type: string }[];
  readonly answers: Readonly<Record<string, readonly unknown[]>>;
  readonly tellApart: ((snapshot: AnyMachineSnapshot) => unknown) | undefined;
}

export interface Played {
  /** What can be seen at the end. */
  readonly ending: string;
  /** What tells the states apart that were come to: after the start, and after each step. */
  readonly keys: readonly string[];
  /** What may happen next. */
  readonly next: readonly Step[];
  /** Sources of promises that run as they are and have not answered. */
  readonly unanswered: readonly string[];
}

interface Held {
  readonly source: string;
  readonly sessionId: string;
  readonly settled: PromiseWithResolvers<unknown>;
}

type Handle = MachineHandle<AnyStateMachine>;
/** What ends a send that came too late: the machine had ended by then. */
const TOO_LATE: ReadonlySet<string | undefined> = new Set(["PAWL_RUN_ENDED"]);
const LIVES_MAX = 10;

export class MachinePlay {
  readonly stage: Stage;
  readonly #scene: MachineScene;
  readonly #inspect: (snapshot: AnyMachineSnapshot) => void;
  readonly #answered = new Map<string, number>();
  #held = new Map<string, Held>();
  #startable!: Startable;
  #handle: Handle | undefined;

  /** `inspect` sees each committed snapshot. */
  constructor(scene: MachineScene, crash: CrashPoint | undefined, inspect: (snapshot: AnyMachineSnapshot) => void) {
    this.#scene = scene;
    this.#inspect = inspect;
    this.stage = new Stage(crash, async () => inspect(await this.#committed()));
  }

  async run(steps: readonly Step[]): Promise<Played> {
    await this.#live();
    const keys = [await this.#key()];
    for (const [i, step] of steps.entries()) {
      await this.#take(step, i);
      keys.push(await this.#key());
    }
    const snapshot = await this.#committed();
    this.#inspect(snapshot);
    const next = await this.#next(snapshot);
    this.stage.process.kill();
    return { ending: textOf(visible(snapshot)), keys, next, unanswered: unanswered(snapshot).filter((source) => !(source in this.#scene.answers)) };
  }

  // ---- processes

  /** Boots processes until one rests alive. */
  async #live(): Promise<void> {
    for (let lives = 0; lives < LIVES_MAX; lives++) {
      this.#held = new Map();
      this.#handle = undefined;
      this.#startable = await this.stage.boot((process) => this.#prepared(process));
      const { process } = this.stage;
      if (!process.isAlive) continue;
      let failure: unknown;
      process.pawl.start(this.#startable as AnyStateMachine, { id: RUN_ID, input: this.#scene.input }).then(
        (handle) => (this.#handle = handle as Handle),
        (error: unknown) => (failure = error),
      );
      await this.stage.clock.settle();
      if (process.isAlive && failure !== undefined) throw failure;
      if (process.isAlive && this.#handle !== undefined) return;
    }
    throw new Error("the machine does not start");
  }

  async #settled(): Promise<void> {
    await this.stage.clock.settle();
    if (!this.stage.process.isAlive) await this.#live();
  }

  /** The machine whose actions are seen and whose given answers are held until the path comes to them. */
  #prepared(process: SimProcess): Startable {
    const given = this.#scene.build(this.stage);
    if (isDurable(given)) return { ...given, machine: this.#provided(given.machine, process) };
    return this.#provided(given as AnyStateMachine, process);
  }

  #provided(machine: AnyStateMachine, process: SimProcess): AnyStateMachine {
    const actions = Object.entries(machine.implementations.actions as Record<string, unknown>).flatMap(([name, action]) => {
      if (typeof action !== "function" || "resolve" in action) return [];
      const seen = (...given: unknown[]): unknown => {
        if (!process.isAlive) return undefined;
        const result = (action as (...given: unknown[]) => unknown)(...given);
        this.stage.acted(name);
        return result;
      };
      return [[name, seen] as const];
    });
    const actors = Object.keys(this.#scene.answers).map((source) => [source, this.#holding(source)] as const);
    return machine.provide({ actions: Object.fromEntries(actions), actors: Object.fromEntries(actors) });
  }

  #holding(source: string): ReturnType<typeof fromPromise> {
    return fromPromise(({ self, signal }) => {
      const held: Held = { source, sessionId: self.sessionId, settled: Promise.withResolvers() };
      held.settled.promise.catch(() => {});
      const answer = this.#answered.get(self.sessionId);
      if (answer === undefined) this.#held.set(self.id, held);
      else this.#settle(held, answer);
      signal.addEventListener("abort", () => this.#held.get(self.id) === held && this.#held.delete(self.id));
      return held.settled.promise;
    });
  }

  #settle({ source, settled }: Held, answer: number): void {
    const value = this.#scene.answers[source]![answer];
    if (value instanceof Error) settled.reject(value);
    else settled.resolve(value);
  }

  // ---- steps

  async #take(step: Step, place: number): Promise<void> {
    if (step.kind === "send") return this.#send(step.event, `step ${place + 1}`);
    if (step.kind === "pass") await this.stage.clock.advance(step.ms);
    else {
      const held = this.#held.get(step.id);
      if (held !== undefined) {
        this.#answered.set(held.sessionId, step.answer);
        this.#held.delete(step.id);
        this.#settle(held, step.answer);
      }
    }
    await this.#settled();
  }

  /** Sent again under the same id when the process died with it. */
  async #send(event: { readonly type: string }, eventId: string): Promise<void> {
    for (let lives = 0; lives < LIVES_MAX; lives++) {
      const { process } = this.stage;
      let isDone = false;
      let failure: unknown;
      this.#handle!.send(event as never, { eventId }).then(
        () => (isDone = true),
        (error: { code?: string }) => (TOO_LATE.has(error.code) ? (isDone = true) : (failure = error)),
      );
      await this.stage.clock.settle();
      if (process.isAlive && failure !== undefined) throw failure;
      if (!process.isAlive) await this.#live();
      else if (isDone) return;
    }
    throw new Error(`the send of "${event.type}" does not end`);
  }

  // ---- what is seen

  async #committed(): Promise<AnyMachineSnapshot> {
    const handle = (await this.stage.reader.run(RUN_ID, this.#startable as AnyStateMachine)) as Handle;
    return (await handle.snapshot()) as AnyMachineSnapshot;
  }

  async #key(): Promise<string> {
    const snapshot = await this.#committed();
    const waits = [...this.#held.keys(), ...(await this.#timers()).map(({ id }) => id)].sort();
    return textOf([this.#scene.tellApart?.(snapshot) ?? visible(snapshot), waits]);
  }

  async #next(snapshot: AnyMachineSnapshot): Promise<Step[]> {
    if (snapshot.status !== "active") return [];
    const sends = this.#scene.events.filter((event) => snapshot.can(event)).map((event) => ({ kind: "send", event }) as const);
    const answers = [...this.#held].flatMap(([id, { source }]) =>
      this.#scene.answers[source]!.map((_, answer) => ({ kind: "answer", id, source, answer }) as const),
    );
    const dueAt = Math.min(...(await this.#timers()).map((timer) => timer.dueAt));
    const passes = dueAt === Infinity ? [] : [{ kind: "pass", ms: Math.max(0, dueAt - this.stage.clock.now()) } as const];
    return [...sends, ...answers, ...passes];
  }

  /** Timers of the machine and the actors beneath it. */
  async #timers(): Promise<{ readonly id: string; readonly dueAt: number }[]> {
    const rows = await this.stage.store.readActors(RUN_ID);
    return rows.flatMap(({ body }) => (body.startsWith("{") ? ((JSON.parse(body) as { timers?: { id: string; dueAt: number }[] }).timers ?? []) : []));
  }
}

export function isDurable(startable: object): startable is DurableMachine {
  return "machine" in startable && "options" in startable;
}

/** The machine's own sources whose promises, or those of machines beneath them, have not answered. */
function unanswered(snapshot: AnyMachineSnapshot): string[] {
  const named = snapshot.machine.implementations.actors as Record<string, AnyActorLogic | undefined>;
  return Object.values(snapshot.children as Record<string, AnyActorRef | undefined>).flatMap((child) => {
    if (child === undefined || typeof child.src !== "string") return [];
    const beneath = child.getSnapshot() as { status: string; machine?: unknown };
    const isMachine = beneath.machine !== undefined;
    const isWaiting = isMachine ? unanswered(beneath as AnyMachineSnapshot).length > 0 : beneath.status === "active" && isPromise(named[child.src]);
    return isWaiting ? [child.src] : [];
  });
}

/** Is this the logic of a promise? xstate gives it no mark, but it alone takes this event. */
function isPromise(logic: AnyActorLogic | undefined): boolean {
  if (typeof logic?.start !== "function") return false;
  try {
    return logic.transition({ status: "active" }, { type: "xstate.promise.resolve" }, {} as never).status === "done";
  } catch {
    return false;
  }
}

/** What can be seen of a machine and of the actors beneath it. */
export function visible(snapshot: AnyMachineSnapshot): object {
  const { status, value, context, output, error, children } = snapshot;
  const beneath = Object.entries((children ?? {}) as Record<string, { getSnapshot(): AnyMachineSnapshot } | undefined>).flatMap(([id, child]) =>
    child === undefined ? [] : [[id, visible(child.getSnapshot())] as const],
  );
  return {
    ...(status !== "active" && { status }),
    ...(isSomething(value) && { value }),
    ...(isSomething(context) && { context: context as unknown }),
    ...(output !== undefined && { output: output as unknown }),
    ...(error !== undefined && { error }),
    ...(beneath.length > 0 && { children: Object.fromEntries(beneath) }),
  };
}

const isSomething = (value: unknown): boolean => value !== undefined && textOf(value) !== "{}";

/** A step in words. */
export function stepText(step: Step, answers: MachineScene["answers"]): string {
  if (step.kind === "pass") return `${durationText(step.ms)} pass`;
  if (step.kind === "send") return Object.keys(step.event).length === 1 ? `send ${step.event.type}` : `send ${shortText(step.event)}`;
  const answer = answers[step.source]![step.answer];
  return answer instanceof Error ? `${step.source} fails: ${answer.message}` : `${step.source} answers ${shortText(answer)}`;
}
