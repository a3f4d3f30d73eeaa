/**
 * `explore`: plays every path of a machine, or a workflow, with a crash at every point, and compares with the play that
 * had none.
 * 1. A crash may cost a repetition, never a state: what is seen at the end is the same.
 * 2. What must always hold, holds after every commit, and at the end.
 * 3. What was done without a crash is done with one.
 */
import type { AnyMachineSnapshot, AnyStateMachine, EventFromLogic, SnapshotFrom } from "xstate";
import type { DurableMachine, InputOfStartable, RunView, Startable, Workflow } from "../index.ts";
import { MachinePlay, type MachineScene, type Step, isDurable, stepText, visible } from "./machine-play.ts";
import { type PathKind, findPaths } from "./paths.ts";
import { type Trial, type Trials, tryAll } from "./trials.ts";
import type { CrashPoint, Stage } from "./stage.ts";
import type { StepClock } from "./step-clock.ts";
import { ExploreError, shortText } from "./story.ts";
import { WorkflowPlay } from "./workflow-play.ts";

/**
 * What is explored: a workflow, a machine, `durable(machine, …)`, or a function that makes it for each process, around
 * the world that its actions and actors change. That world outlives the process, what the function holds does not.
 */
export type Subject<S extends Startable, World> = S | ((world: World, clock: StepClock) => S);

/** Must hold of each committed state: throws or answers false when it does not. */
export type Invariant<Seen, World> = (seen: Seen, world: World) => boolean | void;

export interface ExploreOptions<S extends Startable, World> {
  /** What it is started with. */
  readonly input?: InputOfStartable<S>;
  /** Of a machine: an example of each event, with each payload that makes a difference. Default: none. */
  readonly events?: readonly EventOfSubject<S>[];
  /**
   * Of a machine, by the name of a source in `setup({ actors })`: what the invoked promise may answer, each in turn; an
   * Error is what it may fail with. It is then not called; with no answers it never answers. Sources that are not named
   * run as they are: they must be fakes, which wait neither for the world nor for time.
   */
  readonly actors?: Readonly<Record<string, readonly unknown[]>>;
  /** By name: what must hold of every committed snapshot, or of the run of a workflow, and of the world. */
  readonly invariants?: Readonly<Record<string, Invariant<SeenOfSubject<S>, World>>>;
  /** Makes what lies outside of pawl: a fake bank, a mailbox. Each play has its own. */
  readonly world?: () => World;
  /** Of a machine: the most paths. Default 200. */
  readonly limit?: number;
  /** Of a machine: `'shortest'` takes each transition once, `'simple'` also goes every way that comes to no state twice. Default `'shortest'`. */
  readonly paths?: PathKind;
  /** Of a machine: what of a snapshot tells states apart. Default: its value, context and children. For contexts that count for ever. */
  readonly tellApart?: (snapshot: SeenOfSubject<S>) => unknown;
}

/** How much was looked at. */
export interface ExploreResult {
  readonly paths: number;
  /** Plays with a crash. */
  readonly crashes: number;
  /** Commits of all paths, without a crash. */
  readonly commits: number;
}

/** The events of a machine. */
type EventOfSubject<S> = S extends Workflow
  ? never
  : S extends DurableMachine<infer M>
    ? EventFromLogic<M>
    : S extends AnyStateMachine
      ? EventFromLogic<S>
      : never;
/** What an invariant sees. */
type SeenOfSubject<S> = S extends Workflow
  ? RunView
  : S extends DurableMachine<infer M>
    ? SnapshotFrom<M>
    : S extends AnyStateMachine
      ? SnapshotFrom<S>
      : never;

const PATHS_MAX = 200;

/**
 * Plays every path of a machine, or a workflow, in simulated time, and again with a crash before and after each commit
 * and after each named action of the machine. Throws when a crash changes what comes out, or when an invariant does not
 * hold. A crash takes no time; code of a promise that was under way runs on, as if the process had died a little later.
 *
 * @example
 * ```ts
 * test('an order is charged once, whatever crashes', () =>
 *   explore((bank: Bank) => orderMachine(bank), {
 *     world: () => new Bank(),
 *     events: [{ type: 'PAY' }, { type: 'CANCEL' }],
 *     invariants: { 'charged at most once': (_, bank) => bank.charges.length <= 1 },
 *   }));
 * ```
 * @throws ExploreError, whose message tells the way to what went wrong
 */
export async function explore<S extends Startable, World = undefined>(
  subject: Subject<S, World>,
  options: ExploreOptions<S, World> = {},
): Promise<ExploreResult> {
  const sample = new MachineOrWorkflow(subject, options);
  const { paths: kind = "shortest", limit = PATHS_MAX } = options;
  const paths = sample.isWorkflow ? [[]] : await findPaths((steps) => sample.discover(steps), kind, limit);
  return tryAll(sample, paths);
}

/** The subject with its options, as plays need it. Each play has a world of its own. */
class MachineOrWorkflow<S extends Startable, World> implements Trials<Step> {
  readonly isWorkflow: boolean;
  readonly name: string;
  readonly #subject: Subject<S, World>;
  readonly #options: ExploreOptions<S, World>;

  constructor(subject: Subject<S, World>, options: ExploreOptions<S, World>) {
    this.#subject = subject;
    this.#options = options;
    const sample = typeof subject === "function" ? subject(options.world?.() as World, undefined as never) : subject;
    this.isWorkflow = "plan" in sample;
    this.name = "plan" in sample ? sample.name : machineOf(sample).id;
  }

  get start(): string {
    const { input } = this.#options;
    return input === undefined ? "start" : `start with ${shortText(input)}`;
  }

  stepText(step: Step): string {
    return stepText(step, this.#answers);
  }

  get #answers(): MachineScene["answers"] {
    return this.#options.actors ?? {};
  }

  #build(world: World): (stage: Stage) => Startable {
    return ({ clock }) => (typeof this.#subject === "function" ? this.#subject(world, clock) : this.#subject);
  }

  #scene(world: World): MachineScene {
    const { events = [], input, tellApart } = this.#options;
    return { build: this.#build(world), input, events, answers: this.#answers, tellApart: tellApart as MachineScene["tellApart"] };
  }

  /** A play that is only to find out what can happen. */
  discover(steps: readonly Step[]): ReturnType<MachinePlay["run"]> {
    return new MachinePlay(this.#scene(this.#world()), undefined, () => {}).run(steps);
  }

  #world(): World {
    return this.#options.world?.() as World;
  }

  async try(steps: readonly Step[], crash: CrashPoint | undefined): Promise<Trial> {
    const world = this.#world();
    let violation: string | undefined;
    const inspect = (seen: AnyMachineSnapshot | RunView): void => {
      violation ??= this.#violation(seen as SeenOfSubject<S>, world);
    };
    const play = this.isWorkflow
      ? new WorkflowPlay(this.#build(world), this.#options.input, crash, inspect)
      : new MachinePlay(this.#scene(world), crash, inspect);
    const { stage } = play;
    let ending = "";
    try {
      ending = play instanceof MachinePlay ? (await play.run(steps)).ending : await play.run();
    } catch (error) {
      if (stage.killed === undefined) throw new ExploreError(`"${this.name}" does not get on, without a crash: ${(error as Error).message}`, { cause: error });
      violation ??= `It does not go on: ${(error as Error).message}`;
    }
    return { ending, violation, killed: stage.killed, commits: stage.commits, acts: stage.acts };
  }

  /** The first invariant that does not hold, in words. */
  #violation(seen: SeenOfSubject<S>, world: World): string | undefined {
    for (const [name, holds] of Object.entries(this.#options.invariants ?? {})) {
      const says = complaintOf(() => holds(seen, world));
      if (says === undefined) continue;
      const where = this.isWorkflow ? { status: (seen as RunView).status } : visible(seen as AnyMachineSnapshot);
      return `It does not hold that "${name}"${says}, in ${shortText(where)}`;
    }
    return undefined;
  }
}

const machineOf = (startable: AnyStateMachine | DurableMachine): AnyStateMachine => (isDurable(startable) ? startable.machine : startable);

function complaintOf(holds: () => boolean | void): string | undefined {
  try {
    return holds() === false ? "" : undefined;
  } catch (error) {
    return ` (${(error as Error).message})`;
  }
}
