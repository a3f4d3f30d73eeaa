/**
 * What an attempt of a node says to its DAG run.
 */
import type { ActorRecord } from "../store/store.ts";
import type { AttemptLine, KeptStep } from "./attempt-line.ts";
import type { HostedRun, RunSeams } from "./hosted-run.ts";
import type { NodeActor, Stimulus } from "./node-actor.ts";
import { actorRow, openActorRow, progressKey, stepKey, stepRange } from "./row.ts";

/** A run may be told of progress so often. */
const PROGRESS_EVERY_MS = 1_000;

interface Listener extends HostedRun {
  receive(stimulus: Stimulus): void;
}

/** The line of the attempt that the node begins now. */
export function lineOf(run: Listener, node: NodeActor, seams: RunSeams): AttemptLine {
  const nodeId = node.node.id;
  const from = node.snapshot.context.attempt;
  const tell = (step: KeptStep): void => {
    const { attempt } = node;
    if (attempt?.attempt === from) run.receive({ kind: "step", node, attempt, step });
  };
  let toldAt = Number.NEGATIVE_INFINITY;
  return {
    async readSteps() {
      const rows = await seams.read((store) => store.readActorRange(run.id, ...stepRange(nodeId)));
      return new Map(
        rows.map((row) => {
          openActorRow(run.id, row);
          return [row.key.slice(stepKey(nodeId, "").length), row.output!];
        }),
      );
    },
    keepStep: tell,
    heartbeat(text) {
      const now = seams.clock.mono();
      if (text === undefined || now - toldAt < PROGRESS_EVERY_MS) return;
      toldAt = now;
      tell({ key: PROGRESS, text, kept: () => {} });
    },
    stream: (chunk) => seams.streamed(run, nodeId, chunk),
  };
}

/** Stands for what is no step: keys of steps are longer. */
const PROGRESS = "";

/** The row of a step, or of an attempt's progress. */
export function stepRow(runId: string, nodeId: string, { key, text }: KeptStep): ActorRecord {
  return key === PROGRESS ? actorRow(runId, progressKey(nodeId), "progress", "{}", text) : actorRow(runId, stepKey(nodeId, key), "step", "{}", text);
}
