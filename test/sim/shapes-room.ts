/**
 * A machine on which runs of one random workflow are played, cut off, forked and taken up again, by calm processes.
 */
import type { RunView } from "../../src/run/view.ts";
import type { NodeView } from "../../src/run/view.ts";
import { MachineRoom } from "./machine-room.ts";
import type { SimProcess } from "./process.ts";
import { INPUT, OTHER_IDS, type Spec } from "./shapes.ts";
import { compareRun } from "./shapes-compare.ts";
import type { Fate } from "./shapes-model.ts";
import { Senders } from "./shapes-senders.ts";
import { ShapeWatch } from "./shapes-watch.ts";
import { type Flows, flowsOf } from "./shapes-workflow.ts";

export class ShapeRoom extends MachineRoom {
  /** May be changed while nothing runs: its agents do then what it says. */
  spec: Spec;
  readonly watch: ShapeWatch;
  readonly flows: Flows;
  process!: SimProcess;
  /** Calls of agents, by run: the ids of the nodes that they were for. */
  readonly calls = new Map<string, Set<string>>();

  constructor(spec: Spec) {
    super();
    this.spec = spec;
    this.watch = new ShapeWatch(() => this.spec);
    this.flows = flowsOf(
      [spec],
      () => this.spec,
      () => {
        const { process } = this;
        return {
          called: (call) => {
            if (!process.isAlive) return false;
            this.watch.called(call);
            this.callsOf(call.runId).add(call.id);
            return true;
          },
          undoing: () => process.isAlive,
          stepped: (call, key) => process.isAlive && this.watch.stepped(call, key),
          kept: (call, key) => process.isAlive && this.watch.kept(call, key),
          later: (delayMs, callback) => void process.clock.after(delayMs, callback),
        };
      },
    );
  }

  callsOf(runId: string): Set<string> {
    const known = this.calls.get(runId) ?? new Set<string>();
    this.calls.set(runId, known);
    return known;
  }

  async begin(): Promise<void> {
    this.process = await this.boot(this.flows.all, {
      onApplied: (group, outcomes) => group.forEach((commit, i) => outcomes[i] === "committed" && this.watch.committed(commit)),
    });
  }

  /** Starts `old` and its like, and lets it come to its end, or be cut off after so many ms. */
  async played(ending: "end" | "cancel" | "crash", afterMs: number): Promise<void> {
    await this.begin();
    const { pawl } = this.process;
    const { other, mains } = this.flows;
    for (const which of ["good", "bad"] as const) await this.settled(pawl.start(other, { id: OTHER_IDS[which], input: { which } }));
    const run = await this.settled(pawl.start(mains[0]!, { id: "old", input: INPUT }));
    this.send("old", "first");
    if (ending === "end") await this.settled(run.ended());
    else await this.clock.advance(afterMs);
    if (ending === "cancel") await this.settled(run.cancel());
    if (ending === "crash") this.process.kill();
  }

  /** From now on the run is sent its events, under ids of their own. */
  send(runId: string, wave: string): void {
    void this.process.pawl.run(runId).then((run) =>
      new Senders(this.spec, wave).sendAll(
        run,
        this.process.clock,
        (error) => {
          const { code } = error as { code?: string };
          if (code !== "PAWL_CLOSED") this.watch.violations.push(`a send failed: ${String(error)}`);
        },
        this.clock.mono(),
      ),
    );
  }

  /** What became of a run, and whether it is what the model says. */
  async ended(runId: string, kept?: ReadonlyMap<string, Fate>, isCounted?: (id: string) => boolean): Promise<{ run: RunView; nodes: NodeView[] }> {
    const handle = await this.settled(this.process.pawl.run(runId));
    const run = await this.settled(handle.ended());
    const nodes = await handle.nodes();
    await this.reload(runId);
    compareRun(this.spec, run, nodes, this.watch, kept === undefined ? {} : { kept }, isCounted);
    this.check();
    return { run, nodes };
  }

  check(): void {
    if (this.watch.violations.length > 0) throw new Error(this.watch.violations.join("; "));
  }

  /** The watch takes the rows of the run as they are in the store: it was not told of all. */
  async reload(runId: string): Promise<void> {
    this.watch.reload(runId, await this.store.readActors(runId));
  }
}
