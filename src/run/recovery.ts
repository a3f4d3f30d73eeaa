/**
 * Brings runs into memory: those that nobody owns any more, those whose timer is due, and any that should move and does
 * not. Never all at once, never more than can be worked on soon, and without being asked.
 */
import { PawlError, isPawlError } from "../errors.ts";
import { type RunRecord, SUSPICIONS_MAX, type Store, WAITS_FOR_EVENT } from "../store/store.ts";
import { type Definition, loadRun, readRows } from "./definition.ts";
import { startsLater } from "./delayed-start.ts";
import { InboxDelivery } from "./inbox-delivery.ts";
import { MachineRun } from "./machine-run.ts";
import { isOrphan, parentOf } from "./orphans.ts";
import { MisplacedRuns } from "./misplaced-runs.ts";
import type { Peers } from "./peers.ts";
import { isOver } from "./view.ts";
import type { Worker } from "./worker.ts";

/** Runs loaded between two turns of the event loop. */
const BATCH = 100;
/** Runs in memory; more are loaded when some have left. */
const RESIDENT_MAX = 10_000;
/** Runs looked at between two turns of the event loop when asking what was forgotten. */
const SWEEP = 1_000;
/** When due runs found no room in memory, it is asked again. */
const NO_ROOM_WAIT_MS = 1_000;
/** How often it is asked whether something should move and does not. */
const RECONCILE_EVERY_MS = 30_000;
/** Answers that nobody took are kept so long. */
const ANSWERS_KEPT_MS = 3_600_000;

export class Recovery {
  readonly #worker: Worker;
  readonly #store: Store;
  readonly #workflows: ReadonlyMap<string, Definition>;
  #cancelWake: (() => void) | undefined;
  #wakeAt = Number.POSITIVE_INFINITY;
  #cancelReconcile: (() => void) | undefined;
  #claiming: Promise<void> | undefined;
  #claimAgain = false;
  #isStopped = false;
  readonly #suspected = new Set<string>();
  /** Runs that are being given to others. */
  readonly #leaving = new Set<string>();
  readonly #peers: Peers;
  readonly #inbox: InboxDelivery;
  /** The newest row of any inbox that was looked at. */
  #inboxNumber = 0;
  readonly #misplaced: MisplacedRuns;
  /** Runs that cannot go on with the definitions that are registered, and why. */
  readonly parked = new Map<string, PawlError>();
  onParked: ((runId: string) => void) | undefined;
  onReconciled: (() => void) | undefined;
  /** There may be more to claim, but memory holds enough. */
  #isHeldBack = false;

  /** `workflows` by the hash of their definition. */
  constructor(worker: Worker, store: Store, workflows: ReadonlyMap<string, Definition>, peers: Peers) {
    this.#worker = worker;
    this.#store = store;
    this.#workflows = workflows;
    this.#peers = peers;
    this.#misplaced = new MisplacedRuns(worker, store, async (runId) => this.#isStopped || this.ensure(runId));
    this.#inbox = new InboxDelivery(store, worker.clock, (runId) => {
      const run = worker.runs.get(runId);
      const definition = run === undefined ? undefined : workflows.get(run.definitionHash);
      return run === undefined || definition === undefined ? undefined : { run, definition };
    });
    worker.onCommitted((run, commit) => {
      this.#inbox.committed(commit);
      if (commit.run.finished) this.#inbox.dropped(run.id);
      if (this.#isHeldBack) this.#roomMade();
    });
    worker.onDropped((runId) => this.#inbox.dropped(runId));
    worker.onWantsInbox = (runId) => this.#spawn(this.#inbox.deliverLeft(runId));
    worker.onStrayed = (runId, key, event) => this.#spawn(this.deliverStray(runId, key, event));
    worker.onPassivated = (wakeAt) => {
      if (wakeAt !== null && wakeAt < WAITS_FOR_EVENT) this.#wakeBy(wakeAt);
      this.#roomMade();
    };
  }

  /** Begins when whoever opened has had a chance to listen. */
  begin(): void {
    this.#worker.clock.soon(() => this.freed());
    this.#scheduleReconcile();
  }

  /** Claims and wakes nothing more; resolves when the claim that is under way has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelWake?.();
    this.#cancelReconcile?.();
    await this.#claiming?.catch(() => {});
  }

  /** Takes over what earlier workers left of the workflows that are known now. */
  claim(): Promise<void> {
    this.#claimAgain = true;
    this.#claiming ??= this.#claimAll().finally(() => (this.#claiming = undefined));
    return this.#claiming;
  }

  async #claimAll(): Promise<void> {
    while (this.#claimAgain && !this.#isStopped) {
      this.#claimAgain = false;
      let hasMore = true;
      while (hasMore && !this.#isStopped && this.#hasAppetite) hasMore = await this.#claimBatch();
      this.#isHeldBack = hasMore;
    }
    if (!this.#isStopped) await this.#peers.tell({ wants: this.#isHeldBack ? 0 : this.#worker.turns.waitingMax });
  }

  async #claimBatch(): Promise<boolean> {
    const worker = this.#worker;
    if (this.#workflows.size === 0 || worker.stopped !== undefined) return false;
    const limit = Math.min(BATCH, worker.turns.waitingMax);
    const records = await worker.attempt(() => this.#store.claim(worker.epoch, this.#hashes, worker.clock.now(), worker.latestNow(), limit));
    for (const { id } of records) this.#suspected.add(id);
    for (const record of records) await this.#take(record).catch((error: unknown) => this.#willTryAgain(error));
    await new Promise<void>((resolve) => worker.clock.soon(resolve));
    await this.absolveAll();
    return records.length > 0;
  }

  /** What was claimed and did not crash its worker is no longer suspected of it. */
  async absolveAll(): Promise<void> {
    const runIds = [...this.#suspected];
    this.#suspected.clear();
    if (runIds.length > 0) await this.#worker.attempt(() => this.#store.absolve(this.#worker.epoch, runIds));
  }

  async #take(record: RunRecord): Promise<void> {
    if (record.suspicion > SUSPICIONS_MAX) {
      return this.#worker.quarantine(
        record.id,
        new PawlError("PAWL_RUN_QUARANTINED", { message: `its worker crashed ${SUSPICIONS_MAX} times while loading it` }),
      );
    }
    await this.load(record);
  }

  /** Loads a run that this worker owns, unless it is in memory. */
  async load(record: RunRecord): Promise<void> {
    const worker = this.#worker;
    if (record.epoch !== worker.epoch || this.parked.has(record.id) || this.#leaving.has(record.id) || startsLater(record, worker.clock)) return;
    const definition = this.#workflows.get(record.definition)!;
    const rows = await worker.attempt(() => readRows(this.#store, record.id, definition));
    const stored = definition.hash === record.definition ? undefined : await worker.attempt(() => this.#store.readDefinition(record.definition));
    // the rows are those of this record, unless it went on while they were read
    const now = await worker.attempt(() => this.#store.readRun(record.id));
    if (now?.commitNo !== record.commitNo || now.epoch !== record.epoch || isOver(now.status)) return;
    if (worker.stopped !== undefined || worker.runs.has(record.id) || this.#leaving.has(record.id)) return;
    try {
      const run = loadRun(definition, record, rows, worker, stored);
      run.resume();
      worker.host(run, record.createdAt);
      if ((run.wakeAt ?? Infinity) < (record.wakeAt ?? Infinity)) worker.keep(run);
      if (parentOf(record.id) !== undefined) this.#spawn(isOrphan(this.#store, record.id).then((isAlone) => (isAlone ? run.cancel() : undefined)));
      this.parked.delete(record.id);
      this.#spawn(this.#inbox.deliver(record.id));
    } catch (error) {
      if (isPawlError(error, "PAWL_DEFINITION_CHANGED")) this.#park(record.id, error);
      else await worker.quarantine(record.id, error);
    }
  }

  /** The run stays as it is, until a definition is registered that it can go on with. */
  #park(runId: string, error: PawlError): void {
    this.parked.set(runId, error);
    this.#worker.attempts.log.warn({ runId, error }, "run parked");
    this.onParked?.(runId);
  }

  /** Those that only wait for runs of their own are not counted: they must not keep these out. */
  get #residents(): number {
    return this.#worker.runs.size - this.#worker.waitingForChildren;
  }

  get #hasRoom(): boolean {
    return this.#residents < RESIDENT_MAX;
  }

  /** A run left memory: what was held back may come, when it is worth while. */
  #roomMade(): void {
    if (this.#isHeldBack && this.#residents < RESIDENT_MAX - BATCH && this.#worker.turns.waiting <= this.#worker.turns.waitingMax / 2)
      this.#spawn(this.claim());
  }

  get #hasAppetite(): boolean {
    return this.#hasRoom && this.#worker.turns.waiting < this.#worker.turns.waitingMax;
  }

  #wakeBy(wakeAt: number): void {
    if (wakeAt >= this.#wakeAt || this.#isStopped) return;
    this.#cancelWake?.();
    this.#wakeAt = wakeAt;
    this.#cancelWake = this.#worker.clock.after(Math.max(0, wakeAt - this.#worker.steadyNow()), () => this.#spawn(this.#wakeDue()));
  }

  /** Loads the runs whose instant is there, and waits for the next. */
  async #wakeDue(): Promise<void> {
    const worker = this.#worker;
    if (worker.stopped !== undefined) return;
    this.#wakeAt = Number.POSITIVE_INFINITY;
    // read before what is due is claimed: what becomes due meanwhile is the next
    const now = worker.latestNow();
    await this.claim();
    for (let after = { wakeAt: 0, id: "" }; !this.#isStopped;) {
      if (!this.#hasRoom) return this.#wakeBy(worker.steadyNow() + NO_ROOM_WAIT_MS);
      const cursor = after;
      const { due, nextAt } = await worker.attempt(() => this.#store.dueRuns(worker.epoch, this.#hashes, now, cursor, BATCH));
      for (const record of due) if (!worker.runs.has(record.id)) await this.load(record).catch((error: unknown) => this.#willTryAgain(error));
      const last = due.at(-1);
      if (last === undefined || due.length < BATCH) return nextAt === null ? undefined : this.#wakeBy(nextAt);
      after = { wakeAt: last.wakeAt!, id: last.id };
      await new Promise<void>((resolve) => worker.clock.soon(resolve));
    }
  }

  #scheduleReconcile(): void {
    if (this.#isStopped) return;
    this.#cancelReconcile = this.#worker.clock.after(RECONCILE_EVERY_MS, () => {
      this.#spawn(this.reconcile());
      this.#scheduleReconcile();
    });
  }

  /** Asks what should move and does not: unclaimed runs, due runs, runs in memory with nothing to do. */
  async reconcile(): Promise<void> {
    if (this.#worker.stopped !== undefined) return;
    await this.#peers.refresh();
    await this.#wakeAll();
    await this.#loadForgotten();
    await this.#store.forgetAnswers(this.#worker.clock.now() - ANSWERS_KEPT_MS, SWEEP);
    for (const run of [...this.#worker.runs.values()]) run.reconcile();
    this.onReconciled?.();
  }

  /** Runs that this worker owns and that could work, but are not in memory. */
  async #loadForgotten(): Promise<void> {
    const worker = this.#worker;
    for (let after = ""; worker.stopped === undefined;) {
      const page = await worker.attempt(() => this.#store.readyRuns(worker.epoch, after, SWEEP));
      for (const record of page) if (!worker.runs.has(record.id) && this.#workflows.has(record.definition)) await this.load(record);
      if (page.length < SWEEP) return;
      after = page.at(-1)!.id;
      await new Promise<void>((resolve) => worker.clock.soon(resolve));
    }
  }

  /** Loads the run if it is unfinished, of a known definition, and not in memory; says whether it is then. */
  async ensure(runId: string): Promise<boolean> {
    const worker = this.#worker;
    if (worker.runs.has(runId)) return true;
    const record = await worker.attempt(() => this.#store.readRun(runId));
    if (record === undefined || isOver(record.status) || !this.#workflows.has(record.definition) || startsLater(record, worker.clock)) return false;
    const isOthers = this.#isStopped || this.#peers.has(record.epoch) || !this.#hashes.includes(record.definition);
    if (record.epoch !== worker.epoch && isOthers) return false;
    const owned = record.epoch === worker.epoch ? record : await worker.attempt(() => this.#store.claimRun(worker.epoch, runId, worker.clock.now()));
    if (owned === undefined) return false;
    if (owned !== record) this.#suspected.add(runId);
    await this.#take(owned);
    if (this.#suspected.size > 0) worker.clock.soon(() => this.#spawn(this.absolveAll()));
    await this.#inbox.deliver(runId);
    return worker.runs.has(runId);
  }

  /** Runs to which others have sent something. */
  async #deliverInboxes(): Promise<void> {
    const worker = this.#worker;
    for (let after = ""; worker.stopped === undefined && !this.#isStopped;) {
      const page = await worker.attempt(() => this.#store.inboxRuns(after, SWEEP));
      for (const runId of page) if (await this.ensure(runId)) this.#spawn(this.#inbox.deliver(runId));
      if (page.length < SWEEP) return;
      after = page.at(-1)!;
    }
  }

  /** Gives a run that had left memory what one of its actors was told. */
  async deliverStray(runId: string, key: string, event: () => string): Promise<void> {
    if (!(await this.ensure(runId))) return;
    const run = this.#worker.runs.get(runId);
    if (run instanceof MachineRun) run.forwarded(key, event);
  }

  /** Gives a run what others have put into its inbox. */
  async deliverInbox(runId: string): Promise<void> {
    if (await this.ensure(runId)) await this.#inbox.deliver(runId);
  }

  // ---- beside other workers

  /** Another process has written: are there runs to take on, and is something said to those that are here? */
  async look(): Promise<void> {
    const worker = this.#worker;
    if (worker.stopped !== undefined || this.#isStopped) return;
    await this.#peers.refresh();
    for (;;) {
      const { runIds, number } = await worker.attempt(() => this.#store.inboxSince(this.#inboxNumber, SWEEP));
      this.#inboxNumber = Math.max(this.#inboxNumber, number);
      for (const runId of runIds) if (await this.ensure(runId)) this.#spawn(this.#inbox.deliver(runId));
      if (runIds.length === 0) break;
    }
    const now = worker.latestNow();
    await this.claim();
    await this.#rearm(now);
    await this.#giveParked();
    await this.share();
  }

  /** A run that is nobody's may be due before any that was known. `now` was read before what is due was claimed. */
  async #rearm(now: number): Promise<void> {
    const worker = this.#worker;
    const { nextAt } = await worker.attempt(() => this.#store.dueRuns(worker.epoch, this.#hashes, now, { wakeAt: WAITS_FOR_EVENT, id: "" }, 1));
    if (nextAt !== null) this.#wakeBy(nextAt);
  }

  /** A run that cannot be taken over here goes to a worker that was given its own definition. */
  async #giveParked(): Promise<void> {
    const given: string[] = [];
    for (const runId of this.parked.keys()) {
      const record = await this.#store.readRun(runId);
      if (record === undefined || !this.#peers.hasNative(record.definition)) continue;
      this.parked.delete(runId);
      given.push(runId);
    }
    await this.#release(given);
  }

  /** Resolves when nothing of its inbox is being given to the run: what is sent now comes after it. */
  delivered(runId: string): Promise<void> {
    return this.#inbox.settled(runId);
  }

  async #wakeAll(): Promise<void> {
    await this.#wakeDue();
    await this.#misplaced.wake();
    await this.#deliverInboxes();
  }

  /** Runs of an epoch that was closed are anybody's. */
  freed(): void {
    if (!this.#isStopped) this.#spawn(this.#wakeAll());
  }

  /** What waits here for its turn goes to those who have nothing to do, unless enough lies there already. */
  async share(): Promise<void> {
    const worker = this.#worker;
    if (this.#peers.isAlone || worker.turns.waiting <= worker.turns.waitingMax) return;
    const wanted = new Map(this.#hashes.map((hash) => [hash, this.#peers.wanted(hash)] as const).filter(([, runs]) => runs > 0));
    if (wanted.size === 0 || (await worker.attempt(() => this.#store.hasUnowned([...wanted.keys()])))) return;
    const limit = Math.min(Math.max(...wanted.values()), Math.ceil((worker.turns.waiting - worker.turns.waitingMax) / 2));
    await this.#release(worker.giveUp(limit, ({ definitionHash }) => wanted.has(definitionHash)));
  }

  /** This worker starts nothing more: what has nothing under way here can go on elsewhere. */
  async letGo(): Promise<void> {
    if (!this.#peers.isAlone && this.#worker.stopped === undefined) await this.#release(this.#worker.giveUpIdle());
  }

  /** Until it is written that they are nobody's they are not brought back here. */
  async #release(runIds: readonly string[]): Promise<void> {
    for (const id of runIds) this.#leaving.add(id);
    try {
      for (let at = 0; at < runIds.length; at += BATCH) {
        const batch = runIds.slice(at, at + BATCH);
        await this.#worker.attempt(() => this.#store.release(this.#worker.epoch, batch));
        for (const id of batch) this.#leaving.delete(id);
      }
    } finally {
      for (const id of runIds) this.#leaving.delete(id);
    }
  }

  /** Another process closed this worker's epoch: with a new one it begins as if it had just been opened. */
  begunAgain(): void {
    this.parked.clear();
    this.#spawn(this.absolveAll().then(() => this.freed()));
  }

  /** Runs of an earlier definition stay with a worker that was given that one, as long as there is one. */
  get #hashes(): string[] {
    return [...this.#workflows].filter(([hash, definition]) => hash === definition.hash || !this.#peers.hasNative(hash)).map(([hash]) => hash);
  }

  #spawn(work: Promise<void>): void {
    work.catch((error: unknown) => this.#willTryAgain(error));
  }

  /** A failure of the store has stopped the worker; after any other the next round finds what was left. */
  #willTryAgain(error: unknown): void {
    if (this.#worker.stopped === undefined) this.#worker.attempts.log.warn({ error }, "recovery will try again");
  }
}
