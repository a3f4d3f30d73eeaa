/**
 * Starting runs: in this process when it executes, else for whichever worker takes them on. The same id is the same run,
 * whoever asks and however often.
 */
import type { Clock } from "../clock.ts";
import { canonicalJson } from "../define/canonical.ts";
import type { Log } from "../define/agent.ts";
import { PawlError, isPawlError } from "../errors.ts";
import { NOBODY, type RunRecord, type Store } from "../store/store.ts";
import { whyNobody } from "./asks.ts";
import { type Definition, beginRun, inputText } from "./definition.ts";
import type { Definitions } from "./definitions.ts";
import type { Peers, WorkerFacts } from "./peers.ts";
import { type StartFacts, pendingCommit } from "./pending.ts";
import type { Recovery } from "./recovery.ts";
import { INPUT_KEY, openActorRow } from "./row.ts";
import { refuseOthers } from "./machine-view.ts";
import { isOver, requireRun } from "./view.ts";
import type { ChangeOptions } from "./turns.ts";
import type { Worker } from "./worker.ts";

/** What executes, where something does. */
export interface Executing {
  readonly worker: Worker;
  readonly recovery: Recovery;
  readonly peers: Peers;
}

interface StartSeams {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly definitions: Definitions;
  readonly executing: Executing | undefined;
  /** Throws when nothing can be started any more. */
  checkOpen(): void;
}

export class Starts {
  readonly #seams: StartSeams;
  readonly #underWay = new Map<string, PromiseWithResolvers<void>>();

  constructor(seams: StartSeams) {
    this.#seams = seams;
  }

  has(id: string): boolean {
    return this.#underWay.has(id);
  }

  /** Waits for a start that is under way, however it ends. */
  async settled(id: string): Promise<void> {
    await this.#underWay.get(id)?.promise.catch(() => {});
  }

  created(id: string): void {
    this.#underWay.get(id)?.resolve();
  }

  failed(id: string, error: PawlError): void {
    this.#underWay.get(id)?.reject(error);
  }

  /** A run was recorded that is nobody's: this process may take it on, now or at its instant. */
  offered(): void {
    this.#seams.executing?.recovery.freed();
  }

  /** Makes a definition known to this process, and to the others. */
  async register(definition: Definition): Promise<void> {
    const { definitions, executing } = this.#seams;
    const register = (): Promise<void> => definitions.register(definition);
    if (executing === undefined) return register();
    await executing.worker.attempt(register);
    executing.recovery.parked.clear();
    if (executing.peers.epoch === 0) return;
    executing.worker.protection.declare(definition);
    await executing.peers.tell(definitions.told);
  }

  /** Throws PAWL_INVALID_VALUE. */
  change(options: ChangeOptions): void {
    const { worker } = this.#seams.executing ?? {};
    worker?.change(options);
    this.tell({ activeRunsMax: worker?.turns.places.max ?? 0 });
  }

  /** What others are told of this worker; when that fails, with what they are told next. */
  tell(facts: Partial<WorkerFacts>): void {
    const { definitions, executing, log } = this.#seams;
    const telling = executing?.peers.tell({ ...definitions.told, ...facts });
    telling?.catch((error: unknown) => log.warn({ error }, "others are told later"));
  }

  /** Resolves when the run is on the disk; with `startAt` it begins then, in whatever worker. */
  async start(id: string, definition: Definition, given: unknown, facts?: StartFacts, startAt?: number): Promise<void> {
    const { definitions, executing, store } = this.#seams;
    const input = await inputText(definition, given);
    if (!definitions.knows(definition)) {
      await this.register(definition);
      executing?.recovery.freed();
    }
    if (executing?.worker.stopped !== undefined) throw executing.worker.stopped;
    if (executing?.worker.isFull) throw new PawlError("PAWL_STORE_FULL");
    for (let isThere = false; !isThere;) {
      isThere = !this.has(id) && (await store.readRun(id)) !== undefined;
      const outcome = isThere ? "there" : await this.#createNew(id, definition, input, facts, startAt);
      if (outcome === "created") return;
      isThere = outcome === "there";
    }
    await this.#checkSame(id, definition, input);
    await executing?.recovery.ensure(id);
  }

  /** `again`: this worker's epoch was closed meanwhile, and it began another one. */
  async #createNew(
    id: string,
    definition: Definition,
    input: string,
    facts: StartFacts | undefined,
    startAt: number | undefined,
  ): Promise<"created" | "there" | "again"> {
    const underWay = this.#underWay.get(id);
    try {
      await (underWay?.promise ?? this.#create(id, definition, input, facts, startAt));
      return underWay === undefined ? "created" : "there";
    } catch (error) {
      if (isPawlError(error, "PAWL_RUN_MOVED")) return "again";
      if (!isPawlError(error, "PAWL_RUN_CONFLICT")) throw error;
    }
    if ((await this.#seams.store.readRun(id)) !== undefined) return "there";
    await this.#seams.executing?.peers.refresh();
    this.#seams.checkOpen();
    return "again";
  }

  /** Rejects with PAWL_RUN_CONFLICT when a run of this id was there, or this worker's epoch is closed. */
  async #create(id: string, definition: Definition, input: string, facts: StartFacts | undefined, startAt: number | undefined): Promise<void> {
    const { executing } = this.#seams;
    if (executing === undefined || startAt !== undefined) return this.#record(id, definition, input, facts, startAt);
    const { worker } = executing;
    if (worker.runs.has(id)) throw new PawlError("PAWL_RUN_CONFLICT");
    const started = Promise.withResolvers<void>();
    this.#underWay.set(id, started);
    try {
      worker.host(beginRun(definition, id, input, worker, facts?.lane), this.#seams.clock.now(), facts);
      await started.promise;
    } finally {
      this.#underWay.delete(id);
    }
  }

  /** The run is only written down: a worker that was given its definition takes it on. */
  async #record(id: string, definition: Definition, input: string, facts: StartFacts | undefined, startAt: number | undefined): Promise<void> {
    const { store, clock, log } = this.#seams;
    const commit = pendingCommit(definition, id, input, clock.now(), facts, startAt);
    const [outcome] = await store.commit([commit]);
    if (outcome === "full") throw new PawlError("PAWL_STORE_FULL");
    const record = outcome === "fenced" ? undefined : await store.readRun(id);
    if (record === undefined || record.createdAt !== commit.at) throw new PawlError(outcome === "unknown" ? "PAWL_OUTCOME_UNKNOWN" : "PAWL_RUN_CONFLICT");
    this.offered();
    if (record.epoch !== NOBODY) return;
    const reason = await whyNobody(store, record);
    if (reason !== undefined) log.warn({ runId: id }, `${reason}: the run is recorded, and starts when one does`);
  }

  /** The run that is there must be the one that was asked for. */
  async #checkSame(id: string, definition: Definition, input: string): Promise<void> {
    const { store } = this.#seams;
    const record = await requireRun(store, id);
    refuseOthers(record, definition, "choose another id for the new run");
    if (record.status === "quarantined") return;
    const [row] = await store.readActors(id, [INPUT_KEY]);
    if (row?.output == null || canonicalJson(JSON.parse(row.output)) !== canonicalJson(JSON.parse(input))) {
      throw new PawlError("PAWL_RUN_CONFLICT", { message: `run "${id}" was started with another input` });
    }
    openActorRow(id, row);
    if (!this.#canGoOn(record, definition)) throw await this.#seams.definitions.changedError(id, record.definition, definition);
  }

  #canGoOn({ definition: hash, status }: RunRecord, definition: Definition): boolean {
    const { definitions, executing } = this.#seams;
    if (hash === definition.hash || isOver(status) || definitions.byHash.has(hash)) return true;
    return executing === undefined || executing.peers.knows(hash);
  }
}
