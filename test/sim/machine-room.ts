/**
 * A machine with one store on which simulated processes live and die, for tests that tell a story.
 */
import { type Workflow, type WorkflowBuilder, workflow } from "../../src/define/workflow.ts";
import { type Agent, type AgentContext, agent } from "../../src/define/agent.ts";
import { z } from "zod";
import type { BreakerOption } from "../../src/define/breaker.ts";
import type { UseOptions } from "../../src/define/limits.ts";
import type { AttemptOptions } from "../../src/define/policy.ts";
import type { Startable } from "../../src/run/startable.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import { SimClock } from "./clock.ts";
import { type ProcessOptions, SimProcess } from "./process.ts";

export class MachineRoom {
  readonly clock = new SimClock();
  readonly store = new MemoryStore();
  /** By their epochs. */
  readonly #owners = new Map<number, SimProcess>();

  /** A process that runs these workflows. */
  async boot(workflows: readonly Startable[], options: Partial<ProcessOptions> = {}): Promise<SimProcess> {
    const process = new SimProcess({ clock: this.clock, store: this.store, seed: 1, workflows, ...options });
    await this.settled(process.boot());
    for (const { id } of await this.store.readEpochs()) if (!this.#owners.has(id)) this.#owners.set(id, process);
    return process;
  }

  /** The process that has the run. */
  async ownerOf(id: string): Promise<SimProcess> {
    return this.#owners.get((await this.store.readRun(id))!.epoch)!;
  }

  /** So many processes that run these workflows. */
  async bootAll(count: number, workflows: readonly Startable[], options: Partial<ProcessOptions> = {}): Promise<Crew> {
    const processes: SimProcess[] = [];
    while (processes.length < count) processes.push(await this.boot(workflows, options));
    return new Crew(processes);
  }

  /** Time passes until the promise settles; answers or throws as it does. */
  async settled<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const watched = promise.finally(() => (isSettled = true));
    watched.catch(() => {});
    await this.clock.until(() => isSettled);
    return watched;
  }
}

/** Processes of a scene that is played by one and by several: what is started goes to one after the other. */
export class Crew {
  readonly processes: SimProcess[];
  #turns = 0;

  constructor(processes: SimProcess[]) {
    this.processes = processes;
  }

  /** Whose turn it is. */
  get next(): SimProcess {
    return this.processes[this.#turns++ % this.processes.length]!;
  }

  /** The process dies, and another takes its place when it is booted. */
  async replace(dead: SimProcess, boot: () => Promise<SimProcess>): Promise<void> {
    dead.kill();
    this.processes[this.processes.indexOf(dead)] = await boot();
  }
}

/** An agent that takes and gives anything. */
export function anyAgent(
  name: string,
  run: (input: any, context: AgentContext) => unknown,
  options: AttemptOptions & UseOptions & { readonly breaker?: BreakerOption } = {},
): Agent {
  return agent({ ...options, name, input: z.any(), output: z.any(), run });
}

/** A workflow that takes and gives anything. */
export function anyWorkflow(
  name: string,
  define: (wf: WorkflowBuilder<any>) => unknown,
  options: { timeout?: number; onTimeout?: "partial" | "abort"; breaker?: BreakerOption } = {},
): Workflow {
  return workflow({ ...options, name, input: z.any() }, define) as Workflow;
}

/** Something that a test decides when to give. */
export function deferred<T>(): { readonly promise: Promise<T>; resolve(value: T): void; reject(error: unknown): void } {
  return Promise.withResolvers<T>();
}

export const never = (): Promise<never> => new Promise<never>(() => {});
