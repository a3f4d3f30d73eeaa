/**
 * One run of a user's machine in memory: its actors, driven cascade by cascade.
 * 1. Applying is pure in its effect: it changes memory and collects what is to be written and done.
 * 2. `takeCommit` gives what changed as one commit; what is to be done waits for `committed`.
 * 3. While a commit is in flight nothing is applied. Readers see what was committed last.
 */
import { type ActorRecord, type Commit, WAITS_FOR_EVENT } from "../store/store.ts";
import { ActorTable } from "./actor-table.ts";
import { heldAnew } from "./held-children.ts";
import { ActorTimers } from "./actor-timers.ts";
import { Cascade, STOP } from "./cascade.ts";
import { Deeds } from "./deeds.ts";
import { failureOf } from "./failure.ts";
import type { GatedRun } from "./flow.ts";
import { HistoryWriter, RUN_EVENTS } from "./history.ts";
import { cancelBody, type DropCode, type RunSeams, unhosted } from "./hosted-run.ts";
import type { Lane } from "./lane.ts";
import type { MachineDefinition } from "./machine-definition.ts";
import { type EffectParts, fireTimer, noteAsked } from "./machine-effects.ts";
import { type PendingSend, type SendResult, Sends } from "./sends.ts";
import { MachineInbox } from "./machine-inbox.ts";
import { MachineWriter } from "./machine-writer.ts";
import { actsOf } from "./redo.ts";
import { CASCADE_KEY, INPUT_KEY, OUTPUT_KEY, REDO_KEY, type RunBody, runRow, valueRow } from "./row.ts";
import { Outgoing } from "./outgoing.ts";
import { OutsideEvents } from "./outside-events.ts";
import type { CancelManner, InboxItem } from "./requests.ts";
import { framesOf } from "./spill.ts";
import { type MachineStimulus, wordsOf } from "./stimulus.ts";
import { type NewMachineRun, type StoredMachineRun, actorRows, valueIn } from "./stored-machine-run.ts";
import { type Actor, type AnyEvent, type AnySnapshot, isMachine } from "./xstate/actor.ts";
import { childAddress } from "./child-address.ts";
import { type Recording } from "./xstate/system.ts";

/** Events that may wait for one run. */
const MAILBOX_MAX = 10_000;

export class MachineRun implements GatedRun {
  /** Turns of one commit; what follows beyond them goes on in the next. */
  static turnsMax = 1_000;
  readonly id: string;
  readonly definition: MachineDefinition;
  readonly definitionHash: string;
  readonly lane: Lane | undefined;
  readonly sends = new Sends();
  readonly grantParked: GatedRun["grantParked"] = (index, pass) => this.#deeds.grantParked(index, pass);
  readonly underWay = new Map<string, Promise<SendResult>>();
  commitNo: number;
  inFlight = false;
  readonly table: ActorTable;
  readonly #seams: RunSeams;
  readonly #cascade: Cascade;
  readonly #timers: ActorTimers;
  readonly #deeds: Deeds;
  readonly #history = new HistoryWriter();
  readonly #inbox: MachineInbox;
  readonly #writer: MachineWriter;
  readonly #outside: OutsideEvents;
  readonly #parts: EffectParts;
  #sequence: number;
  readonly #outgoing = new Outgoing();
  #isDropped = false;
  #isTerminated = false;
  #isEndWritten = false;
  #storedWakeAt: number | null | undefined;

  constructor(id: string, definition: MachineDefinition, seams: RunSeams, from: NewMachineRun | StoredMachineRun) {
    this.id = id;
    this.definition = definition;
    this.definitionHash = definition.hash;
    this.lane = from.lane;
    this.#seams = seams;
    this.table = new ActorTable({
      runId: id,
      services: seams.services,
      nextNumber: () => ++this.#sequence,
      changed: (actor) => this.#writer.changed(actor),
      disowned: (actor) => this.#writer.neverWas(actor),
      sentFromOutside: (to, event) => this.#outside.sent(to, event),
      emitted: (_actor, event) => this.#outside.emitted(event),
      logged: (actor, values) => seams.attempts.log.info({ runId: id, actor: actor.key }, values.map(wordsOf).join(" ")),
    });
    this.#cascade = new Cascade(this.table.system, {
      changed: (actor) => this.#writer.changed(actor),
      removed: (actor) => actor !== this.table.root && this.#writer.removed(actor),
      turned: (recording, event) => this.#turned(recording, event),
      asked: (effect) => noteAsked(this.#parts, effect),
      startOutside: (actor) => this.#deeds.start(actor),
      tellOutside: (actor, event) => this.#deeds.tell(actor, event),
      ended: (actor) => this.#ended(actor),
    });
    this.#timers = new ActorTimers(
      seams,
      (timerId) => definition.policyOf(timerId),
      (actor, timer) => this.#receive({ kind: "timer", actor, timer }),
    );
    this.#deeds = new Deeds({
      run: this,
      seams,
      addressOf: (actor) => childAddress(id, actor, this.table.system),
      failed: (actor, error) => this.#receive({ kind: "failed", actor: this.table.actorAt(actor.key), error }),
    });
    this.#parts = {
      table: this.table,
      cascade: this.#cascade,
      timers: this.#timers,
      deeds: this.#deeds,
      outgoing: this.#outgoing,
      changed: (actor) => this.#writer.changed(actor),
      nextNumber: () => ++this.#sequence,
    };
    this.commitNo = from.commitNo ?? 0;
    this.#sequence = "input" in from ? 1 : from.sequence;
    this.#writer = new MachineWriter(id, this.table, this.#sequence, "input" in from);
    this.#inbox = new MachineInbox(() => seams.attempts.log.error({ runId: id }, "too many events wait for the end of a pause; one is lost"));
    this.#outside = new OutsideEvents({
      runId: id,
      table: this.table,
      isDropped: () => this.#isDropped,
      strayed: (runId, key, event) => seams.strayed(runId, key, event),
      receive: (stimulus) => this.#receive(stimulus),
      emitted: (event) => seams.emitted(this, event),
    });
    if ("input" in from) {
      this.table.begin(definition.machine, this.table.decode(from.input));
      if (this.commitNo === 0) this.#writer.value(INPUT_KEY, from.input);
      this.#inbox.push({ kind: "begin" });
    } else this.#restore(from);
  }

  get isPaused(): boolean {
    return this.#inbox.pause.isComing;
  }

  get #isOver(): boolean {
    return this.table.root.life !== "running" && this.table.root.life !== "new";
  }

  get hasWork(): boolean {
    return this.#inbox.length > 0 || !this.#cascade.isAtRest;
  }

  get finished(): boolean {
    return this.#isOver && !this.hasWork && this.#writer.redo === undefined && !this.#deeds.mustBeKept;
  }

  get status(): string {
    if (!this.#isOver || !this.finished) return this.#inbox.pause.isOn ? "paused" : "running";
    return { done: "completed", error: "failed", stopped: "cancelled", running: "running", new: "running" }[this.table.root.life];
  }

  get isDirty(): boolean {
    if (this.finished ? !this.#isEndWritten : this.#storedWakeAt === null && this.wakeAt !== null) return true;
    const mustForgetRedo = this.#writer.redo !== undefined && this.#deeds.isEmpty;
    return this.#writer.isDirty || !this.#history.isEmpty || mustForgetRedo || !this.#outgoing.isEmpty || this.sends.isDirty;
  }

  get queued(): number {
    return this.#deeds.queued;
  }

  get endsSoon(): boolean {
    return this.#deeds.hasPromises;
  }

  get running(): number {
    return this.#deeds.running;
  }

  get held(): number {
    return this.#deeds.running;
  }

  get waitsForChild(): boolean {
    return this.#deeds.waitsForChild && !this.hasWork && !this.isDirty && !this.inFlight;
  }

  wantsChild(childId: string): boolean {
    return this.#deeds.hasChild(childId);
  }

  get wakeAt(): number | null {
    if (this.#isOver || this.hasWork || this.#deeds.mustBeKept || this.#writer.redo !== undefined) return null;
    if (this.#inbox.pause.isOn) return this.#deeds.hasStarted || this.#inbox.pause.hasEvents ? null : WAITS_FOR_EVENT;
    if (this.#deeds.hasOutside) return null;
    return Math.ceil(this.#timers.earliest ?? WAITS_FOR_EVENT);
  }

  #receive(stimulus: MachineStimulus): void {
    if (this.#isDropped) return;
    this.#inbox.push(stimulus);
    this.#seams.wake(this);
  }

  get committedSnapshot(): AnySnapshot {
    const { root, system } = this.table;
    return this.table.copy(root.committed ?? system.snapshotOf(root));
  }

  send(event: string, pending: PendingSend): boolean {
    if (this.#inbox.length >= MAILBOX_MAX || this.#isDropped || this.isPaused) return false;
    this.#receive({ kind: "event", to: this.table.root, event, pending });
    return true;
  }

  cancel({ now }: CancelManner = {}): void {
    this.#inbox.askCancel(now === true);
    this.#receive({ kind: "cancel" });
  }

  receiveInbox(items: readonly InboxItem[]): void {
    this.#inbox.give(this.#outgoing.fresh(items), this.table.root);
    this.#seams.wake(this);
  }

  reconcile(): void {
    if (!this.inFlight && !this.#inbox.pause.isOn) this.#timers.fireDue();
  }

  /** Somebody said something to one of its actors when it was not in memory. */
  forwarded(key: string, encoded: () => string): void {
    this.#outside.forwarded(key, encoded);
  }

  applyInbox(budget: number): number {
    const endAt = this.#cascade.turns + MachineRun.turnsMax;
    if (!this.#cascade.isAtRest) {
      this.apply({ kind: this.#inbox.isCancelAsked ? "cancel" : "continue" });
      budget--;
    }
    while (budget > 0 && this.#cascade.isAtRest && this.#cascade.turns < endAt) {
      const stimulus = this.#inbox.shift();
      if (stimulus === undefined) break;
      this.apply(stimulus);
      budget--;
    }
    return budget;
  }

  apply(stimulus: MachineStimulus): void {
    if (stimulus.kind === "item") return this.#take(stimulus.item);
    if (this.#inbox.pause.keeps(stimulus)) return;
    this.#writer.applied(stimulus);
    const { root } = this.table;
    if (root.storedState !== undefined) this.table.system.snapshotOf(root);
    if (stimulus.kind === "begin") this.#cascade.start(root);
    else if (stimulus.kind === "cancel") this.#stop(root);
    else if (stimulus.kind === "failed") this.#fail(stimulus.actor, stimulus.error);
    else if (stimulus.kind === "timer") fireTimer(this.#parts, stimulus.actor, stimulus.timer);
    else if (stimulus.kind === "event") {
      const event = this.table.normal(stimulus.event);
      this.sends.applying(event, stimulus.item?.isAsked ? stimulus.item : stimulus.pending, root.snapshot);
      if (stimulus.item !== undefined) this.#outgoing.consumed(stimulus.item);
      this.#cascade.deliver(stimulus.to, event);
    }
    if (this.#cascade.run(MachineRun.turnsMax)) this.sends.rests(this.table.root.snapshot);
  }

  #stop(root: Actor): void {
    if (!this.#isOver) this.#isTerminated = this.#inbox.isTerminateAsked;
    this.#cascade.cut();
    this.#cascade.deliver(root, STOP);
  }

  /** What is asked of a run that has ended is left: who asked will find that it has. */
  #take(item: Exclude<InboxItem, { kind: "event" }>): void {
    if (item.kind === "dropped") return this.#outgoing.done(item, item.reply);
    if (item.kind === "cancel") this.apply({ kind: "cancel" });
    if (this.#isOver && !(item.kind === "cancel" && this.table.root.life === "stopped")) return;
    if (item.kind === "pause" && this.#inbox.pause.begin()) {
      this.#history.run("run.paused");
      this.#deeds.hold();
      this.#timers.disarm();
    } else if (item.kind === "resume" && this.#inbox.lift(this.#timers)) this.#history.run("run.resumed");
    this.#outgoing.done(item);
  }

  /** An action may fail when its machine has ended, and the run has not: what is told of the run is the failure. */
  #fail(actor: Actor, error: unknown): void {
    if (actor === this.table.root && actor.life === "done" && !this.#isEndWritten) actor.life = "running";
    this.#cascade.fail(actor, error);
  }

  #turned(recording: Recording, event: AnyEvent | undefined): void {
    const { actor, effects, adopted, isHandled } = recording;
    if (effects.length > 0 || adopted.length > 0) for (const loser of heldAnew(recording)) this.#writer.changed(loser);
    for (const child of adopted) this.#history.actor("actor.started", child.key, child.src);
    if (isMachine(actor.logic)) this.#history.turn(actor, event?.type ?? "xstate.init");
    if (event !== undefined) this.sends.turned(event, isHandled);
  }

  #ended(actor: Actor): void {
    this.#timers.remove(actor, () => true);
    this.#deeds.ended(actor);
    const child = actor.life === "stopped" ? childAddress(this.id, actor, this.table.system) : undefined;
    if (child !== undefined) this.#outgoing.post(child, cancelBody(this.#isTerminated ? { now: true } : {}));
    if (actor !== this.table.root) this.#history.actor("actor.ended", actor.key, actor.life);
  }

  grant(): void {
    this.#deeds.grant();
  }

  takeCommit(epoch: number): Commit {
    this.inFlight = true;
    const [rows, { stack }, { root }] = [this.#rows(), this.#cascade, this.table];
    this.#deeds.addAll(stack);
    const { actors, gone } = this.#writer.take(rows, stack, this.#sequence, this.#deeds.mustBeKept);
    const { definition, commitNo, status, finished, wakeAt, lane } = this;
    const { output, error } = finished ? this.table.system.snapshotOf(root) : {};
    const failure = finished && root.life === "error" ? failureOf(error, []) : undefined;
    if (finished && !this.#isEndWritten) this.#history.run(RUN_EVENTS[status]!, failure);
    this.#isEndWritten = finished;
    this.#storedWakeAt = wakeAt;
    if (finished && root.life === "done") actors.push(valueRow(this.id, OUTPUT_KEY, this.table.encode(output)));
    const terminated = this.#isTerminated || undefined;
    const body: RunBody = { state: status, workedMs: 0, degraded: false, failure, lane, sequence: this.#sequence, terminated };
    return {
      runId: this.id,
      from: commitNo,
      epoch,
      at: this.#seams.clock.now(),
      run: runRow(this.id, commitNo + 1, definition, { status, finished, wakeAt }, body),
      actors,
      history: this.#history.take(),
      ...(gone.length > 0 && { gone }),
      ...this.#outgoing.take(commitNo + 1, this.sends.takeAnswers(commitNo + 1, root.snapshot)),
      ...this.sends.takeIds(),
      ...this.#writer.takePast(definition),
    };
  }

  #rows(): ActorRecord[] {
    return this.#writer.rows(this.#cascade, (actor, error) => {
      this.#timers.remove(actor, () => true);
      this.#cascade.takeBack(actor, error);
      this.#cascade.run(MachineRun.turnsMax);
      this.sends.takenBack(this.table.root.snapshot);
    });
  }

  committed(): void {
    this.inFlight = false;
    this.commitNo++;
    this.#writer.committed();
    this.sends.committed(this.commitNo);
    this.#outgoing.committed();
    if (!this.#inbox.pause.isOn) {
      this.#timers.arm();
      this.#deeds.letGo();
      if (this.#inbox.pause.takeLifted()) this.#seams.wantsInbox(this.id);
    }
    for (const { actor, name } of this.#deeds.perform()) this.#history.actor("action.performed", actor.key, name);
    if (this.hasWork || (this.#writer.redo !== undefined && this.#deeds.isEmpty)) this.#seams.wake(this);
  }

  drop(code: DropCode): void {
    this.#isDropped = true;
    this.#timers.disarm();
    this.#deeds.drop(code);
    this.sends.drop(code, this.#inbox.drop());
  }

  #restore({ rows, isPaused = false, isTerminated = false, wakeAt }: StoredMachineRun): void {
    this.#isTerminated = isTerminated;
    if (isPaused) {
      this.#inbox.pause.restore();
      this.#deeds.hold();
      this.#storedWakeAt = wakeAt;
    }
    this.table.restore(this.id, this.definition.machine, actorRows(rows));
    const cascade = valueIn(rows, CASCADE_KEY);
    this.#writer.restored(cascade, valueIn(rows, REDO_KEY), rows);
    if (cascade !== undefined) this.#cascade.resume(framesOf(cascade, this.table));
    for (const actor of this.table.actors.values()) if (this.#timers.restore(actor)) this.#writer.changed(actor);
  }

  migrated(): void {
    this.#writer.migrated();
  }

  /** Starts again what ran outside, and does what may not have been done. */
  resume(): void {
    const { redo } = this.#writer;
    if (redo?.rows !== undefined) {
      const seams = unhosted(this.#seams);
      const scratch = actsOf(redo, this.id, (from) => new MachineRun(this.id, this.definition, seams, from));
      scratch.#rows();
      scratch.#deeds.addAll(scratch.#cascade.stack);
      scratch.#outside.original = this.#outside;
      this.#deeds.redo(scratch.#deeds);
      this.#writer.redo = { text: redo.text };
    }
    for (const actor of this.table.actors.values())
      if (actor.life === "running" && actor.isOutside && this.table.system.snapshotOf(actor).status === "active") this.#deeds.restart(actor);
    if (this.#deeds.hasOutside) this.#history.recovered();
    this.#deeds.perform();
    if (!this.#inbox.pause.isOn) this.#timers.arm();
  }
}
