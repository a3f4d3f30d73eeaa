/**
 * Random workflows of every shape as what several workers play, with those who send their events. A worker that was stopped
 * and has not noticed may call what is done; all else is as with one process.
 */
import type { Run } from "../../src/index.ts";
import type { Commit } from "../../src/store/store.ts";
import { INPUT, OTHER_IDS, type Spec } from "./shapes.ts";
import { compareRun, consistentWhenCut } from "./shapes-compare.ts";
import { Senders } from "./shapes-senders.ts";
import { ShapeWatch } from "./shapes-watch.ts";
import { type Flows, type ShapeHost, flowsOf } from "./shapes-workflow.ts";
import { type Cast, type Host, type SharedEnding, type SharedPlot, playShared } from "./shared-world.ts";
import type { SharedWorkers } from "./shared-workers.ts";

export type ShapesPlot = SharedPlot & { readonly specs: readonly Spec[] };

/** A worker that hangs for a while makes no attempt of its own late. */
const LIMITS = { attemptMs: 900_000, heartbeatMs: 600_000 };
/** With attempts that time out one after the other. */
const END_MS = 20 * 3_600_000;

/** Plays random workflows of every shape among several workers. Throws when one ends otherwise than the model says. */
export function playSharedShapes(plot: ShapesPlot): Promise<SharedEnding> {
  return playShared({ endMs: END_MS, ...plot }, new ShapeCast(plot.specs));
}

class ShapeCast implements Cast {
  readonly size: number;
  readonly #specs: readonly Spec[];
  readonly #watch: ShapeWatch;
  readonly #senders: readonly Senders[];

  constructor(specs: readonly Spec[]) {
    this.#specs = specs;
    this.size = specs.length;
    this.#watch = new ShapeWatch(this.#specOf, true);
    this.#senders = specs.map((spec) => new Senders(spec));
  }

  get violations(): string[] {
    return this.#watch.violations;
  }

  #specOf = (runId: string): Spec => this.#specs[Number(runId.slice("run".length))] ?? [];

  #flowsFor(host: () => Host): Flows {
    const hostOf = (): ShapeHost => {
      const { called, later } = host();
      let caller: ReturnType<Host["called"]> = "gone";
      return {
        called: (call) => {
          caller = called(`${call.keptBy}, attempt ${call.attempt} of ${call.id}`);
          if (caller === "here") this.#watch.called(call);
          return caller !== "gone";
        },
        undoing: () => true,
        stepped: (call, key) => caller === "here" && this.#watch.stepped(call, key),
        kept: (call, key) => caller === "here" && this.#watch.kept(call, key),
        later,
      };
    };
    return flowsOf(this.#specs, this.#specOf, hostOf, LIMITS);
  }

  flows(host: () => Host): Flows["all"] {
    return this.#flowsFor(host).all;
  }

  start: Cast["start"] = async (pawl, host, index, id) => {
    const { other, mains } = this.#flowsFor(host);
    for (const which of ["good", "bad"] as const) await pawl.start(other, { id: OTHER_IDS[which], input: { which } });
    await pawl.start(mains[index]!, { id, input: INPUT });
  };

  started(runs: readonly Run<unknown>[], workers: SharedWorkers): void {
    runs.forEach((run, index) => this.#senders[index]!.sendAll(run, workers.client.clock, (error) => workers.fails(error)));
  }

  committed(commit: Commit): void {
    if (commit.runId.startsWith("run")) this.#watch.committed(commit);
  }

  async compare(index: number, run: Run<unknown>, wasCancelled: boolean): Promise<string[]> {
    const view = await run.status();
    const nodes = await run.nodes();
    const spec = this.#specs[index]!;
    if (wasCancelled && view.status === "cancelled") consistentWhenCut(spec, nodes, this.#watch, run.id);
    else compareRun(spec, view, nodes, this.#watch);
    return this.#senders[index]!.contradictions(this.#watch, run.id);
  }
}
