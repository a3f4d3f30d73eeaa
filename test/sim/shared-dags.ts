/**
 * Random DAGs as what several workers play. What is checked at each step: no agent runs before its dependencies settled durably,
 * and no node whose completion is durable runs again, but in a worker that was stopped meanwhile and has not noticed.
 */
import { isDeepStrictEqual } from "node:util";
import type { Run } from "../../src/index.ts";
import type { Commit } from "../../src/store/store.ts";
import { type DagSpec, expectedOf, workflowOf } from "./dag.ts";
import { type Cast, type Host, type SharedEnding, type SharedPlot, playShared } from "./shared-world.ts";

export type DagsPlot = SharedPlot & { readonly specs: readonly DagSpec[] };

/** Plays random DAGs among several workers. Throws when one ends otherwise than the model says. */
export function playDags(plot: DagsPlot): Promise<SharedEnding> {
  return playShared(plot, new DagCast(plot.specs));
}

class DagCast implements Cast {
  readonly violations: string[] = [];
  readonly size: number;
  readonly #specs: readonly DagSpec[];
  readonly #settled = new Map<string, string>();

  constructor(specs: readonly DagSpec[]) {
    this.#specs = specs;
    this.size = specs.length;
  }

  flows(host: () => Host): ReturnType<typeof workflowOf>[] {
    return this.#specs.map((spec, index) =>
      workflowOf(
        spec,
        () => {
          const { called, later } = host();
          return {
            called: (node, { attempt }) => {
              const caller = called(`run${index}: attempt ${attempt} of n${node}`);
              if (caller !== "gone") this.#check(index, node, caller === "stopped");
              return caller !== "gone";
            },
            later,
          };
        },
        `random${index}`,
      ),
    );
  }

  start: Cast["start"] = (pawl, host, index, id) => pawl.start(this.flows(host)[index]!, { id, input: { start: 1 } });

  committed({ runId, actors }: Commit): void {
    for (const { key, status } of actors) this.#settled.set(`${runId}/${key}`, status);
  }

  #check(index: number, node: number, wasStopped: boolean): void {
    const statusOf = (of: number): string => this.#settled.get(`run${index}/n${of}`) ?? "";
    if (statusOf(node) === "completed" && !wasStopped) this.violations.push(`run${index}: n${node} ran although its completion was durable`);
    const { reads, after } = this.#specs[index]![node]!;
    for (const dependency of [...reads, ...after])
      if (!["completed", "skipped"].includes(statusOf(dependency))) this.violations.push(`run${index}: n${node} ran before n${dependency} had settled`);
  }

  async compare(index: number, run: Run<unknown>, wasCancelled: boolean): Promise<string[]> {
    const view = await run.status();
    if (wasCancelled && view.status === "cancelled") return [];
    const expected = expectedOf(this.#specs[index]!);
    if (view.status !== expected.status) return [`${run.id} is ${view.status}, not ${expected.status}`];
    const found: string[] = [];
    for (const [i, { id, status, attempt }] of (await run.nodes()).entries()) {
      const wanted = expected.nodes[i]!;
      if (status !== wanted.status || attempt !== wanted.attempt)
        found.push(`${run.id}: ${id} is ${status} after ${attempt}, not ${wanted.status} after ${wanted.attempt}`);
    }
    const values = (view.output as { values: unknown[] } | undefined)?.values;
    const wanted = expected.status === "completed" ? expected.nodes.map(({ value }) => value) : undefined;
    if (!isDeepStrictEqual(values, wanted)) found.push(`${run.id}: its output is ${JSON.stringify(values)}`);
    return found;
  }
}
