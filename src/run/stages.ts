/**
 * The stages of a DAG run that have a timeout or a warning, and the run itself if it has a warning. Their time is the run's:
 * that in which it could work, since the first of their nodes began.
 * 1. One row each, from its beginning; a crash takes nothing back, and no action that has ended is called again.
 * 2. Whether one has ended is looked up node by node, each once.
 */
import type { StageEvent } from "../../machines/stage.ts";
import type { Failure } from "../../machines/node.ts";
import type { Plan, PlanStage } from "../define/plan.ts";
import { FACT, type StageSnapshot, TIMER, stageChart } from "./charts.ts";
import type { DagRows } from "./dag-rows.ts";
import { type FailingParts, failNodes } from "./failing-nodes.ts";
import { makeFailure } from "./failure.ts";
import { RUN_SPAN, type RunNode, spanOf } from "./graph.ts";
import type { Phases } from "./phases.ts";
import { OPEN } from "./node-status.ts";
import { verdictOf } from "./recovery-action.ts";
import { stageRow } from "./row.ts";

/** What a stage's row holds beside its status. */
export interface StageBody {
  /** Instants in ms since 1970. */
  readonly startedAt: number;
  readonly endedAt?: number;
  readonly warnedAt?: number;
  /** How long the run had worked when it began, in ms. */
  readonly beganMs: number;
  /** Recovery actions that have begun; `acting`: the newest has not ended. */
  readonly recoveries: number;
  readonly acting: boolean;
}

/** A stage as its row tells it. */
export interface StoredStage {
  readonly span: string;
  readonly status: string;
  readonly body: StageBody;
}

interface StageActor {
  /** The key of its row. */
  readonly span: string;
  /** Undefined: the run. */
  readonly name: string | undefined;
  readonly stage: PlanStage;
  snapshot: StageSnapshot;
  startedAt: number;
  endedAt: number | undefined;
  warnedAt: number | undefined;
  beganMs: number;
  /** The recovery action under way. */
  action: number | undefined;
  /** Its members before this one have ended. */
  ended: number;
}

/** What stages need of their run. */
interface StageHost extends FailingParts {
  readonly plan: Plan;
  readonly rows: DagRows;
  readonly phases: Phases;
  /** How long the run has worked, in ms. */
  workedMs(): number;
  /** Opens and closes groups and events until all of them wait for something. */
  advance(): void;
}

const UNDER_WAY: ReadonlySet<string> = new Set(["running", "warned"]);

export class Stages {
  readonly #host: StageHost;
  readonly #actors: readonly StageActor[];
  readonly #byName = new Map<string, StageActor>();
  readonly #bySpan = new Map<string, StageActor>();

  constructor(host: StageHost) {
    this.#host = host;
    const { ladder, stages, nodes } = host.plan;
    const run: [undefined, PlanStage][] = ladder.warnAfterMs === undefined ? [] : [[undefined, { ...ladder, members: nodes.map(({ index }) => index) }]];
    this.#actors = [...run, ...stages].map(([name, stage]) => newActor(name, stage));
    for (const actor of this.#actors) {
      this.#bySpan.set(actor.span, actor);
      if (actor.name !== undefined) this.#byName.set(actor.name, actor);
    }
  }

  /** As it was when it was stored. */
  restore(stored: readonly StoredStage[]): void {
    for (const { span, status, body } of stored) {
      const actor = this.#bySpan.get(span);
      if (actor === undefined) continue;
      actor.snapshot = stageChart.restore(status, { policy: actor.stage, recoveries: body.recoveries });
      [actor.startedAt, actor.endedAt, actor.warnedAt, actor.beganMs] = [body.startedAt, body.endedAt, body.warnedAt, body.beganMs];
      if (body.acting && status === "warned") actor.action = this.#derived(actor);
    }
  }

  /** Actions that were under way when the run was stored are called again, unless they back off. */
  resume(): void {
    if (!this.#host.phases.isTimed) return;
    for (const { action } of this.#actors) if (action !== undefined) this.#host.turns.queueAction(action);
  }

  /** This node begins: so does its stage, and the run. */
  began(index: number): void {
    if (this.#actors.length === 0) return;
    const { graph, plan } = this.#host;
    const name = plan.nodes[graph.groupOf(index) ?? index]?.stage;
    for (const actor of [this.#bySpan.get(RUN_SPAN), this.#byName.get(name ?? "")])
      if (actor?.snapshot.value === "waiting") {
        [actor.startedAt, actor.beganMs] = [this.#host.now(), this.#host.workedMs()];
        this.#tell(actor, { type: "stage.began" });
      }
  }

  /** Something has ended: perhaps the last of a stage. Answers whether it was. */
  look(): boolean {
    let hasEnded = false;
    for (const actor of this.#actors) {
      if (!UNDER_WAY.has(actor.snapshot.value)) continue;
      const { members } = actor.stage;
      while (actor.ended < members.length && !OPEN.has(this.#host.progress.status(members[actor.ended]!))) actor.ended++;
      if (actor.ended < members.length) continue;
      this.#tell(actor, { type: "stage.ended" });
      hasEnded = true;
    }
    return hasEnded;
  }

  /** Something settles: first its stage may end by it, then others' by what follows; no action of theirs is waited for. */
  around(follow: () => void): void {
    const { phases } = this.#host;
    if (this.#actors.length === 0) return follow();
    if (phases.isTimed) phases.quietly(() => this.look());
    follow();
    if (phases.state !== "compensating" && this.look()) phases.lookAround();
  }

  /** When the next warning or timeout is due, that of the run included, in ms of its work. */
  get nextMs(): number {
    return Math.min(this.#host.plan.timeoutMs, ...this.#actors.flatMap((actor) => this.#dueOf(actor)).map(({ atMs }) => atMs));
  }

  #dueOf({ snapshot: { value }, stage, beganMs }: StageActor): { readonly atMs: number; readonly event: StageEvent }[] {
    const { timeoutMs, warnAfterMs } = stage;
    if (!UNDER_WAY.has(value)) return [];
    return [
      ...(warnAfterMs !== undefined && value === "running" ? [{ atMs: beganMs + warnAfterMs, event: { type: "stage.overdue" } as const }] : []),
      ...(timeoutMs === undefined || value === "waiting" ? [] : [{ atMs: beganMs + timeoutMs, event: { type: "stage.timedOut" } as const }]),
    ];
  }

  /** The run has worked so long. */
  strike(workedMs: number): void {
    const { phases, plan } = this.#host;
    if (!phases.isTimed) return;
    if (workedMs >= plan.timeoutMs) return phases.tellWorkflow(TIMER.runTimedOut);
    for (const actor of this.#actors) for (const { atMs, event } of this.#dueOf(actor)) if (atMs <= workedMs) this.#tell(actor, event);
    this.#host.advance();
  }

  /** A recovery action has ended, of a stage or of a node: who waits for it goes on. */
  actionEnded({ index, recovers }: RunNode, output: string | undefined, failure: Failure | undefined, settle: () => void): void {
    const { phases, nodes, turns } = this.#host;
    const { of, action } = recovers!;
    if (!phases.isActive) return;
    settle();
    const node = typeof of === "number" ? nodes.at(of) : undefined;
    const actor = typeof of === "string" && phases.isTimed ? this.#bySpan.get(of) : undefined;
    if (node?.action === index) turns.recovered(node, action, output, failure);
    else if (actor?.action !== index) phases.actionSettled();
    else {
      this.#recovered(actor, action, output, failure);
      this.#host.advance();
    }
  }

  #recovered(actor: StageActor, action: string, output: string | undefined, failure: Failure | undefined): void {
    const said = verdictOf(action, output, failure);
    const before = actor.snapshot;
    actor.action = undefined;
    this.#host.rows.history.stageRecovered(actor.name, action, said.verdict, said.failure);
    this.#tell(actor, { type: "recovery.ended", verdict: said.verdict });
    // its chart goes on as it was: that nothing runs beside it must be durable, too
    if (actor.snapshot === before) this.#write(actor, false);
  }

  #derived({ span, snapshot, stage }: StageActor): number {
    const { recoveries } = snapshot.context;
    return this.#host.graph.recovery({ of: span, number: recoveries, action: stage.onWarn[recoveries - 1] ?? "", alternative: 0 });
  }

  #tell(actor: StageActor, event: StageEvent): void {
    const { turns } = this.#host;
    const before = actor.snapshot;
    const { snapshot, effects } = stageChart.turn(before, event);
    if (snapshot === before && effects.length === 0) return;
    actor.snapshot = snapshot;
    const asks = effects.flatMap((effect) => (effect.kind === "action" ? [effect.type] : []));
    const { action } = actor;
    if (asks.includes("stopAction")) actor.action = undefined;
    if (asks.includes("stopAction") && action !== undefined) turns.endAction(action);
    if (asks.includes("startAction")) turns.queueAction((actor.action = this.#derived(actor)));
    if (snapshot.status === "done") actor.endedAt = this.#host.now();
    if (event.type === "stage.overdue") actor.warnedAt = this.#host.now();
    this.#write(actor, snapshot.value !== before.value);
    if (asks.includes("restartAttempts")) this.#restart(actor);
    if (asks.includes("failNodes") && actor.name === undefined) this.#host.phases.tellWorkflow(FACT.overdue);
    else if (asks.includes("failNodes")) failNodes(actor.stage.members, timedOut(actor.name), this.#host);
  }

  #write(actor: StageActor, isEntered: boolean): void {
    const { span, name, snapshot, startedAt, endedAt, warnedAt, beganMs, action } = actor;
    const { value, context } = snapshot;
    const since = { startedAt, ...(warnedAt !== undefined && { warnedAt }), ...(endedAt !== undefined && { endedAt }) };
    const body: StageBody = { ...since, beganMs, recoveries: context.recoveries, acting: action !== undefined };
    this.#host.rows.add(stageRow(this.#host.rows.runId, span, value, body));
    if (isEntered) this.#host.rows.history.stage(name, value);
  }

  #restart({ name }: StageActor): void {
    const { graph, plan } = this.#host;
    const isOf = (index: number): boolean => name === undefined || plan.nodes[graph.groupOf(index) ?? index]?.stage === name;
    const what = name === undefined ? "the run" : `stage "${name}"`;
    const failure = makeFailure("timeout", "PAWL_AGENT_OVERDUE", `${what} takes longer than its warnAfter, and its recovery action said 'restart'`);
    this.#host.turns.restart(isOf, failure);
  }
}

function newActor(name: string | undefined, stage: PlanStage): StageActor {
  const { snapshot } = stageChart.initial(stage);
  return { span: spanOf(name), name, stage, snapshot, startedAt: 0, endedAt: undefined, warnedAt: undefined, beganMs: 0, action: undefined, ended: 0 };
}

function timedOut(name: string | undefined): Failure {
  return { ...makeFailure("timeout", "PAWL_STAGE_TIMED_OUT", `stage "${name}" reached its timeout`), retryable: false };
}
