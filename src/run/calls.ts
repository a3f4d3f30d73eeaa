/**
 * Calls of agents by the nodes of a DAG run, once the commit that says so is durable.
 */
import type { Recovery, StageRecovery } from "../define/recovery.ts";
import type { StoredActor } from "../store/store.ts";
import { waitingAgent } from "../define/callable.ts";
import { Attempt, childRunId } from "./attempt.ts";
import type { EditedInputs } from "./edited-inputs.ts";
import type { Failures } from "./failures.ts";
import { stageOf } from "./graph.ts";
import type { HostedRun, RunSeams } from "./hosted-run.ts";
import { readOutputs } from "./read-outputs.ts";
import type { LiveNodes } from "./live-nodes.ts";
import { type NodeActor, type Stimulus, agentOf, policyOf } from "./node-actor.ts";
import type { Results, Texts } from "./results.ts";
import { lineOf } from "./run-line.ts";

/** The run whose nodes call. */
interface Caller extends HostedRun {
  receive(stimulus: Stimulus): void;
}

export class Calls {
  readonly #run: Caller;
  readonly #seams: RunSeams;
  readonly #results: Results;
  readonly #failures: Failures;
  readonly #nodes: LiveNodes;
  readonly #edited: EditedInputs;
  readonly #cause: () => unknown;

  /** `cause` is why the run is unwound. */
  constructor(run: Caller, seams: RunSeams, results: Results, failures: Failures, nodes: LiveNodes, edited: EditedInputs, cause: () => unknown) {
    this.#run = run;
    this.#seams = seams;
    this.#results = results;
    this.#failures = failures;
    this.#nodes = nodes;
    this.#edited = edited;
    this.#cause = cause;
  }

  /** Begins the attempt that the node was granted, unless it is no longer wanted. */
  begin(node: NodeActor): void {
    if (node.snapshot.value !== "running" || node.attempt !== undefined) return;
    const run = this.#run;
    const { undoes, recovers } = node.node;
    const [agent, policy] = [agentOf(node), policyOf(node)];
    const attempt = this.#attemptOf(node);
    const refusal = node.pass?.refusal;
    if (refusal !== undefined) return run.receive({ kind: "attempt", node, attempt, outcome: { failure: refusal } });
    // a run of its own takes permits itself
    if (agent.work.kind === "run" || agent.work.kind === "wait") this.#nodes.release(node);
    attempt.guard(policy.heartbeatMs, () => run.receive({ kind: "silent", node, attempt }));
    const given = (loaded?: Texts): unknown => {
      if (undoes !== undefined) return this.#results.undoInput(undoes, this.#cause(), loaded);
      if (recovers !== undefined) return this.#recoveryInput(recovers.of, loaded);
      return this.#results.inputOf(node.node, loaded);
    };
    const perform = async (loaded?: Texts): Promise<void> => {
      const outcome = await attempt.perform(agent, () => given(loaded), policy.nonRetryable);
      if (outcome !== undefined) run.receive({ kind: "attempt", node, attempt, outcome });
    };
    const missing = this.#missingFor(node);
    if (missing.length === 0) void perform();
    else this.read(missing, (texts) => void perform(texts));
  }

  /** Its attempt was begun by a process that is gone, as a run of its own, which was asked to end: that is waited for. */
  awaitEnd(node: NodeActor): void {
    if (node.snapshot.value !== "stopping" || node.attempt !== undefined) return;
    const agent = agentOf(node);
    const attempt = this.#attemptOf(node);
    const runId = childRunId(this.#run.id, node.node.id, attempt.attempt);
    const { input, work } = waitingAgent(agent);
    void attempt
      .perform({ ...agent, input, work }, () => ({ runId }), policyOf(node).nonRetryable)
      .then((outcome) => {
        if (outcome !== undefined) this.#run.receive({ kind: "attempt", node, attempt, outcome });
      });
  }

  #attemptOf(node: NodeActor): Attempt {
    const { id: nodeId, reads, after, undoes, healthCheck } = node.node;
    const { attempt, alternative } = node.snapshot.context;
    const facts = {
      runId: this.#run.id,
      nodeId,
      attempt,
      alternative,
      deadlineAt: node.since + policyOf(node).timeoutMs,
      upstreamFailures: this.#failures.among([...new Set([...reads, ...after])]),
      pass: node.pass,
      ...(undoes === undefined && { healthCheck }),
      generation: this.#edited.of(node.index)?.generation,
    };
    return (node.attempt = new Attempt(facts, this.#seams, lineOf(this.#run, node, this.#seams)));
  }

  /** What a recovery action is given. */
  #recoveryInput(of: number | string, loaded: Texts | undefined): Recovery | StageRecovery {
    if (typeof of === "string") return this.#stageInput(of);
    const { node, snapshot } = this.#nodes.at(of)!;
    const { attempt, failure, policy } = snapshot.context;
    const late = { kind: "timeout", code: "PAWL_AGENT_OVERDUE", message: `the attempt takes longer than ${policy.warnAfterMs} ms` };
    const { kind, code, message } = snapshot.value === "recovering" ? failure! : late;
    return { runId: this.#run.id, nodeId: node.id, input: this.#results.inputOf(node, loaded), attempt, error: { kind, code, message } };
  }

  #stageInput(span: string): StageRecovery {
    const stage = stageOf(span);
    const message = `${stage === undefined ? "the run" : `stage "${stage}"`} takes longer than its warnAfter`;
    const error = { kind: "timeout", code: "PAWL_AGENT_OVERDUE", message };
    return { runId: this.#run.id, ...(stage !== undefined && { stage }), input: this.#results.runInput, error };
  }

  #missingFor({ node }: NodeActor): number[] {
    if (typeof node.recovers?.of === "string") return [];
    if (node.recovers !== undefined) return this.#results.missingInputOf(this.#nodes.at(node.recovers.of)!.node);
    if (node.undoes !== undefined) return this.#results.missingForUndo(node.undoes);
    return this.#results.missingInputOf(node);
  }

  /** Reads results back from the store and goes on with them, unless the run breaks over it. */
  read(missing: readonly number[], goOn: (texts: Texts) => void): void {
    const { clock, attempts } = this.#seams;
    const { id } = this.#run;
    const rowsOf = (keys: readonly string[]): Promise<StoredActor[]> => this.#seams.read((store) => store.readActors(id, keys));
    const read = this.#results.load(missing, (keys) => readOutputs(() => rowsOf(keys), id, keys, clock, attempts.log));
    void read.then(goOn, (error: unknown) => this.#seams.broken(this.#run, error));
  }
}
