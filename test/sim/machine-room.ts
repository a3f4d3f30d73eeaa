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

  /** A process that runs these workflows. */
  async boot(workflows: readonly Startable[], options: Partial<ProcessOptions> = {}): Promise<SimProcess> {
    const process = new SimProcess({ clock: this.clock, store: this.store, seed: 1, workflows, ...options });
    await this.settled(process.boot());
    return process;
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

interface Breaking {
  readonly breaker?: BreakerOption;
}

/** An agent that takes and gives anything. */
export function anyAgent(name: string, run: (input: any, context: AgentContext) => unknown, options: AttemptOptions & UseOptions & Breaking = {}): Agent {
  return agent({ ...options, name, input: z.any(), output: z.any(), run });
}

/** A workflow that takes and gives anything. */
export function anyWorkflow(
  name: string,
  define: (wf: WorkflowBuilder<any>) => unknown,
  options: { timeout?: number; onTimeout?: "partial" | "abort" } & Breaking = {},
): Workflow {
  return workflow({ ...options, name, input: z.any() }, define) as Workflow;
}

/** Something that a test decides when to give. */
export function deferred<T>(): { readonly promise: Promise<T>; resolve(value: T): void; reject(error: unknown): void } {
  return Promise.withResolvers<T>();
}

export const never = (): Promise<never> => new Promise<never>(() => {});
