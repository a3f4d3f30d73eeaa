/**
 * One run of a user's machine in memory: its actors, driven cascade by cascade.
 * 1. Applying is pure in its effect: it changes memory and collects what is to be written and done.
 * 2. `takeCommit` gives what changed as one commit; what is to be done waits for `committed`.
 * 3. While a commit is in flight nothing is applied. Readers see what was committed last.
 */
import { PawlError } from "../errors.ts";
import { type ActorRecord, type Commit, type InboxRecord, type StoredActor, WAITS_FOR_EVENT } from "../store/store.ts";
import { ActorTable } from "./actor-table.ts";
import { heldAnew } from "./held-children.ts";
import { ActorTimers } from "./actor-timers.ts";
import { type Asked, Cascade } from "./cascade.ts";
import { encode } from "./codec.ts";
import { Deeds } from "./deeds.ts";
import { failureOf } from "./failure.ts";
import { HistoryWriter } from "./history.ts";
import { CANCEL_BODY, DROPPED_BODY, type DropCode, type HostedRun, type RunSeams, unhosted } from "./hosted-run.ts";
import type { MachineDefinition } from "./machine-definition.ts";
import { type PendingSend, Sends } from "./sends.ts";
import { Queue } from "./queue.ts";
import { MachineWriter } from "./machine-writer.ts";
import { actsOf } from "./redo.ts";
import { CASCADE_KEY, INPUT_KEY, OUTPUT_KEY, REDO_KEY, runBodyText, runChecksum, valueRow } from "./row.ts";
import { Outgoing } from "./outgoing.ts";
import { framesOf } from "./spill.ts";
import { type MachineStimulus, fromOutside, outsideText, wordsOf } from "./stimulus.ts";
import { type Actor, type ActorTimer, type AnyEvent, type AnySnapshot, isMachine } from "./xstate/actor.ts";
import { RunAddress } from "./xstate/effects.ts";
import { childAddress } from "./child-address.ts";
import { type Recording } from "./xstate/system.ts";

/** Events that may wait for one run. */
const MAILBOX_MAX = 10_000;
const STOP: AnyEvent = { type: "xstate.stop" };

/** A machine run as rows tell it. */
export interface StoredMachineRun {
  readonly commitNo: number;
  /** The run's counter. */
  readonly sequence: number;
  readonly rows: readonly StoredActor[];
}

export class MachineRun implements HostedRun {
  /** Turns of one commit; what follows beyond them goes on in the next. */
  static turnsMax = 1_000;
  readonly id: string;
  readonly definition: MachineDefinition;
  readonly sends = new Sends();
  commitNo: number;
  inFlight = false;
  readonly table: ActorTable;
  readonly #seams: RunSeams;
  readonly #cascade: Cascade;
  readonly #timers: ActorTimers;
  readonly #deeds: Deeds;
  readonly #history = new HistoryWriter();
  readonly #inbox = new Queue<MachineStimulus>();
  readonly #writer: MachineWriter;
  #lastInboxNumber = 0;
  #sequence: number;
  readonly #outgoing = new Outgoing();
  #original: MachineRun | undefined;
  #isDropped = false;
  #isCancelAsked = false;
  #isEndWritten = false;
  #storedWakeAt: number | null | undefined;

  constructor(id: string, definition: MachineDefinition, seams: RunSeams, from: { readonly input: string } | StoredMachineRun) {
    this.id = id;
    this.definition = definition;
    this.#seams = seams;
    this.table = new ActorTable({
      runId: id,
      services: seams.services,
      nextNumber: () => ++this.#sequence,
      changed: (actor) => this.#writer.changed(actor),
      disowned: (actor) => this.#writer.neverWas(actor),
      sentFromOutside: (to, event) => this.#sentFromOutside(to, event),
      emitted: (_actor, event) => this.#emitted(event),
      logged: (actor, values) => seams.attempts.log.info({ runId: id, actor: actor.key }, values.map(wordsOf).join(" ")),
    });
    this.#cascade = new Cascade(this.table.system, {
      changed: (actor) => this.#writer.changed(actor),
      removed: (actor) => this.#removed(actor),
      turned: (recording, event) => this.#turned(recording, event),
      asked: (effect) => this.#asked(effect),
      startOutside: (actor) => this.#deeds.start(actor),
      tellOutside: (actor, event) => this.#deeds.tell(actor, event),
      ended: (actor) => this.#ended(actor),
    });
    this.#timers = new ActorTimers(
      seams,
      (timerId) => definition.policyOf(timerId),
      (actor, timer) => this.#receive({ kind: "timer", actor, timer }),
    );
    this.#deeds = new Deeds(
      () => `${id}@${this.commitNo}`,
      (actor, error) => this.#receive({ kind: "failed", actor: this.table.actorAt(actor.key), error }),
      () => seams.released(),
      (action, error) => seams.attempts.log.error({ runId: id, action, error }, "an asynchronous action failed"),
    );
    this.commitNo = "input" in from ? 0 : from.commitNo;
    this.#sequence = "input" in from ? 1 : from.sequence;
    this.#writer = new MachineWriter(id, this.table, this.#sequence, "input" in from);
    if ("input" in from) this.#begin(from.input);
    else this.#restore(from);
  }

  #begin(input: string): void {
    this.table.begin(this.definition.machine, this.table.decode(input));
    this.#writer.value(INPUT_KEY, input);
    this.#inbox.push({ kind: "begin" });
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
    if (!this.#isOver || !this.finished) return "running";
    return { done: "completed", error: "failed", stopped: "cancelled", running: "running", new: "running" }[this.table.root.life];
  }

  get isDirty(): boolean {
    if (this.finished ? !this.#isEndWritten : this.#isWakeWrong) return true;
    return this.#writer.isDirty || !this.#history.isEmpty || this.#mustForgetRedo || !this.#outgoing.isEmpty || this.sends.isDirty;
  }

  get #mustForgetRedo(): boolean {
    return this.#writer.redo !== undefined && this.#deeds.isEmpty;
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

  get wakeAt(): number | null {
    if (this.#isOver || this.hasWork || this.#deeds.hasOutside || this.#deeds.mustBeKept || this.#writer.redo !== undefined) return null;
    const { earliest } = this.#timers;
    return earliest === undefined ? WAITS_FOR_EVENT : Math.ceil(earliest);
  }

  get #isWakeWrong(): boolean {
    return this.#storedWakeAt === null && this.wakeAt !== null;
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
    if (this.#inbox.length >= MAILBOX_MAX || this.#isDropped) return false;
    this.#receive({ kind: "event", to: this.table.root, event, pending });
    return true;
  }

  cancel(): void {
    this.#isCancelAsked = true;
    this.#receive({ kind: "cancel" });
  }

  receiveInbox(rows: readonly InboxRecord[]): void {
    for (const { number, body } of rows) {
      if (number <= this.#lastInboxNumber) continue;
      this.#lastInboxNumber = number;
      if (body === CANCEL_BODY) this.cancel();
      else if (body === DROPPED_BODY) this.#receive({ kind: "dropped", inboxNumber: number });
      else this.#receive({ kind: "event", to: this.table.root, event: body, inboxNumber: number });
    }
  }

  reconcile(): void {
    if (!this.inFlight) this.#timers.fireDue();
  }

  #sentFromOutside(to: Actor | RunAddress, event: AnyEvent): void {
    if (this.#isDropped) return to instanceof RunAddress ? undefined : this.#seams.strayed(this.id, to.key, () => outsideText(event, this.table));
    if (this.#original !== undefined && !(to instanceof RunAddress)) return this.#original.forwarded(to.key, () => outsideText(event, this.table));
    if (to instanceof RunAddress)
      throw new PawlError("PAWL_VALUE_NOT_STORABLE", { message: "another run can only be sent to by sendTo(), not from an action" });
    this.#receive(fromOutside(to, event, this.table));
  }

  #emitted(event: AnyEvent): void {
    if (this.#original !== undefined) this.#original.#emitted(event);
    else if (!this.#isDropped) this.#seams.emitted(this, event);
  }

  forwarded(key: string, encoded: () => string): void {
    if (this.#isDropped) return this.#seams.strayed(this.id, key, encoded);
    this.#receive({ kind: "event", to: this.table.actorAt(key), event: encoded() });
  }

  applyInbox(budget: number): number {
    const endAt = this.#cascade.turns + MachineRun.turnsMax;
    if (!this.#cascade.isAtRest) {
      this.apply({ kind: this.#isCancelAsked ? "cancel" : "continue" });
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
    this.#writer.applied(stimulus);
    const { root } = this.table;
    if (root.storedState !== undefined) this.table.system.snapshotOf(root);
    if (stimulus.kind === "begin") this.#cascade.start(root);
    else if (stimulus.kind === "cancel") {
      this.#cascade.cut();
      this.#cascade.deliver(root, STOP);
    } else if (stimulus.kind === "dropped") this.#outgoing.consumed(stimulus.inboxNumber);
    else if (stimulus.kind === "failed") this.#fail(stimulus.actor, stimulus.error);
    else if (stimulus.kind === "timer") this.#fire(stimulus.actor, stimulus.timer);
    else if (stimulus.kind === "event") {
      const event = this.table.normal(stimulus.event);
      this.sends.applying(event, stimulus.pending, root.snapshot);
      if (stimulus.inboxNumber !== undefined) this.#outgoing.consumed(stimulus.inboxNumber);
      this.#cascade.deliver(stimulus.to, event);
    }
    if (this.#cascade.run(MachineRun.turnsMax)) this.sends.rests(this.table.root.snapshot);
  }

  /** An action may fail when its machine has ended, and the run has not: what is told of the run is the failure. */
  #fail(actor: Actor, error: unknown): void {
    if (actor === this.table.root && actor.life === "done" && !this.#isEndWritten) actor.life = "running";
    this.#cascade.fail(actor, error);
  }

  #fire(actor: Actor, timer: ActorTimer): void {
    if (!actor.timers.includes(timer)) return;
    this.#timers.remove(actor, (other) => other === timer);
    this.#writer.changed(actor);
    if (timer.to.startsWith("run:")) this.#outgoing.post(timer.to.slice("run:".length), timer.event);
    else this.#cascade.deliver(this.table.actorAt(timer.to), this.table.normal(timer.event));
  }

  #asked(effect: Asked): void {
    if (effect.kind === "act") return this.#deeds.add(effect.act);
    if (effect.kind === "cancel") {
      this.#timers.remove(effect.source, ({ id }) => id === effect.id);
      return this.#writer.changed(effect.source);
    }
    const source = effect.kind === "schedule" ? effect.source : this.#cascade.stack.at(-1)!.actor;
    try {
      if (effect.kind === "post") this.#outgoing.post(effect.runId, encode(effect.event));
      else this.#timers.set(effect, ++this.#sequence, effect.to.startsWith("run:") ? encode(effect.event) : this.table.encode(effect.event));
      this.#writer.changed(source);
    } catch (error) {
      this.#cascade.fail(source, error);
    }
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
    if (child !== undefined) this.#outgoing.post(child, CANCEL_BODY);
    if (actor !== this.table.root) this.#history.actor("actor.ended", actor.key, actor.life);
  }

  #removed(actor: Actor): void {
    if (actor !== this.table.root) this.#writer.removed(actor);
  }

  grant(): void {
    this.#deeds.grant();
  }

  takeCommit(epoch: number): Commit {
    this.inFlight = true;
    const rows = this.#rows();
    const { stack } = this.#cascade;
    this.#deeds.addAll(stack);
    const { actors, gone } = this.#writer.take(rows, stack, this.#sequence, this.#deeds.mustBeKept);
    const { root } = this.table;
    const { status, finished, wakeAt } = this;
    const { output, error } = finished ? this.table.system.snapshotOf(root) : {};
    const failure = finished && root.life === "error" ? failureOf(error, []) : undefined;
    this.#isEndWritten = finished;
    this.#storedWakeAt = wakeAt;
    if (finished && root.life === "done") actors.push(valueRow(this.id, OUTPUT_KEY, this.table.encode(output)));
    const body = runBodyText({ state: status, workedMs: 0, degraded: false, failure, sequence: this.#sequence });
    const { name, hash } = this.definition;
    return {
      runId: this.id,
      from: this.commitNo,
      epoch,
      at: this.#seams.clock.now(),
      run: { workflow: name, definition: hash, status, body, checksum: runChecksum(this.id, hash, status, this.commitNo + 1, body), wakeAt, finished },
      actors,
      history: this.#history.take(),
      ...(gone.length > 0 && { gone }),
      ...this.#outgoing.take(),
      ...this.sends.takeIds(),
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
    this.#timers.arm();
    for (const { actor, name } of this.#deeds.perform()) this.#history.actor("action.performed", actor.key, name);
    if (this.hasWork || this.#mustForgetRedo) this.#seams.wake(this);
  }

  drop(code: DropCode): void {
    this.#isDropped = true;
    this.#timers.disarm();
    this.#deeds.drop(code);
    const waiting: PendingSend[] = [];
    for (let left = this.#inbox.shift(); left !== undefined; left = this.#inbox.shift()) if (left.kind === "event" && left.pending) waiting.push(left.pending);
    this.sends.drop(code, waiting);
  }

  #restore({ rows }: StoredMachineRun): void {
    const valueOf = (key: string): string | undefined => rows.find((row) => row.key === key)?.output ?? undefined;
    const isValue = new Set([INPUT_KEY, OUTPUT_KEY, REDO_KEY, CASCADE_KEY]);
    this.table.restore(
      this.id,
      this.definition.machine,
      rows.filter(({ key }) => !isValue.has(key)),
    );
    const cascade = valueOf(CASCADE_KEY);
    this.#writer.restored(cascade, valueOf(REDO_KEY), rows);
    if (cascade !== undefined) this.#cascade.resume(framesOf(cascade, this.table));
    for (const actor of this.table.actors.values()) this.#timers.restore(actor);
  }

  migrated(): void {
    this.#writer.changed(this.table.root);
  }

  /** Starts again what ran outside, and does what may not have been done. */
  resume(): void {
    const { redo } = this.#writer;
    if (redo?.rows !== undefined) {
      const seams = unhosted(this.#seams);
      const scratch = actsOf(redo, this.id, (from) => new MachineRun(this.id, this.definition, seams, from));
      scratch.#rows();
      scratch.#deeds.addAll(scratch.#cascade.stack);
      scratch.#original = this;
      this.#deeds.redo(scratch.#deeds);
      this.#writer.redo = { text: redo.text };
    }
    for (const actor of this.table.actors.values())
      if (actor.life === "running" && actor.isOutside && this.table.system.snapshotOf(actor).status === "active") this.#deeds.restart(actor);
    if (this.#deeds.hasOutside) this.#history.resumed();
    this.#deeds.perform();
    this.#timers.arm();
  }
}
