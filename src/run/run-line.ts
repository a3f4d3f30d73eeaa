/**
 * What an attempt of a node says to its DAG run.
 */
import type { Clock } from "../clock.ts";
import type { ActorRecord, StoredActor } from "../store/store.ts";
import type { AttemptLine, KeptStep } from "./attempt-line.ts";
import type { HostedRun, RunSeams } from "./hosted-run.ts";
import type { NodeActor, Stimulus } from "./node-actor.ts";
import { readAgain } from "./read-outputs.ts";
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
  const progress = new Throttle(seams.clock, (text) => tell({ key: PROGRESS, text, kept: () => {} }));
  return {
    readSteps: () => readSteps(run, nodeId, seams),
    keepStep: tell,
    report: (text) => progress.say(text),
    stream: (chunk) => seams.streamed(run.id, { node: nodeId, attempt: from, chunk }),
    end: () => progress.end(),
  };
}

/** Never ends when they cannot be read: the run breaks over it. */
async function readSteps(run: Listener, nodeId: string, seams: RunSeams): Promise<Map<string, string>> {
  const read = (): Promise<StoredActor[]> => seams.read((store) => store.readActorRange(run.id, ...stepRange(nodeId)));
  try {
    const rows = await readAgain(read, seams.clock, seams.attempts.log);
    for (const row of rows) openActorRow(run.id, row);
    return new Map(rows.map(({ key, output }) => [key.slice(stepKey(nodeId, "").length), output!]));
  } catch (error) {
    seams.broken(run, error);
    return new Promise(() => {});
  }
}

/** Says the newest of what it is given, at once when it has been quiet, and else when it may again. */
class Throttle {
  readonly #clock: Clock;
  readonly #say: (text: string) => void;
  #saidAt = Number.NEGATIVE_INFINITY;
  #waiting: string | undefined;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, say: (text: string) => void) {
    this.#clock = clock;
    this.#say = say;
  }

  say(text: string): void {
    this.#waiting = text;
    if (this.#cancel !== undefined) return;
    const leftMs = this.#saidAt + PROGRESS_EVERY_MS - this.#clock.mono();
    if (leftMs <= 0) this.#tell();
    else this.#cancel = this.#clock.after(leftMs, () => this.#tell());
  }

  #tell(): void {
    this.#cancel = undefined;
    this.#saidAt = this.#clock.mono();
    this.#say(this.#waiting!);
  }

  end(): void {
    this.#cancel?.();
  }
}

/** Stands for what is no step: keys of steps are longer. */
const PROGRESS = "";

/** The row of a step, or of an attempt's progress. */
export function stepRow(runId: string, nodeId: string, attempt: number, { key, text }: KeptStep): ActorRecord {
  if (key !== PROGRESS) return actorRow(runId, stepKey(nodeId, key), "step", "{}", text);
  return actorRow(runId, progressKey(nodeId), "progress", `{"attempt":${attempt}}`, text);
}
