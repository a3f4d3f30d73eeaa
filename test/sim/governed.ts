/**
 * A run of a random workflow in a simulated world in which people do something to it after any of its commits, in its process
 * or from another one, and take it up again when it has ended, while processes die. Whenever it ends, what became of it is
 * held against the model.
 */
import type { HistoryEntry } from "../../src/run/history.ts";
import type { Run } from "../../src/run/handle.ts";
import type { OverrideOutcome } from "../../src/run/override.ts";
import type { NodeView, RunView } from "../../src/run/view.ts";
import { decode } from "../../src/run/codec.ts";
import { isPawlError } from "../../src/errors.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import type { Commit, Store } from "../../src/store/store.ts";
import { SimClock } from "./clock.ts";
import { type Era, endedIn, erasOf, expectedAtLast, isOwn } from "./eras.ts";
import type { Deed, GovernedEnding, GovernedPlot, Override, Round } from "./governed-words.ts";
import { SimProcess, replacing } from "./process.ts";
import { INPUT, OTHER_IDS, type Spec, awaitedRuns, hasRuns } from "./shapes.ts";
import { indexOf } from "./shapes-model.ts";
import { compareRun, toldBy } from "./shapes-compare.ts";
import { Senders } from "./shapes-senders.ts";
import { ShapeWatch } from "./shapes-watch.ts";
import { type Call, type Flows, flowsOf } from "./shapes-workflow.ts";
import { type UndoCall, cutDiffers, toUndo } from "./undone.ts";

const LIVES_MAX = 20;
const JANITOR_MS = 300_000;
/**
 * What a deed may be answered: that it came too late, or that nobody could do it yet; of a result that is set when the run has
 * ended, that this process does not know by what to check it.
 */
const REFUSED: ReadonlySet<string> = new Set([
  ...["PAWL_CLOSED", "PAWL_RUN_ENDED", "PAWL_RUN_NOT_RETRYABLE", "PAWL_SEND_PENDING", "PAWL_NODE_SETTLED", "PAWL_INVALID_VALUE"],
  ...["PAWL_STORE_FULL", "PAWL_STORE_FAILED", "PAWL_RUN_NOT_FOUND", "PAWL_DEFINITION_MISSING"],
]);

/** Plays the plot to its end. Throws when something is not as it must be. */
export function playGoverned(plot: GovernedPlot): Promise<GovernedEnding> {
  return new GovernedWorld(plot).play();
}

class GovernedWorld {
  readonly #plot: GovernedPlot;
  readonly #clock = new SimClock();
  readonly #store = new MemoryStore();
  readonly #watch: ShapeWatch;
  readonly #flows: Flows;
  readonly #senders: Senders;
  readonly #undoCalls: UndoCall[] = [];
  readonly #results = new Map<string, unknown[]>();
  readonly #inputs = new Map<string, unknown>();
  readonly #done = new Set<Deed>();
  /** Rounds that were begun. */
  readonly #begun = new Set<Round>();
  #process!: SimProcess;
  #client!: SimProcess;
  #run: Run<unknown> | undefined;
  #status = "pending";
  /** In which life the run began to be unwound. */
  #unwindsInLife: number | undefined;
  #life = 0;
  #failure: unknown;
  #history: readonly HistoryEntry[] = [];

  constructor(plot: GovernedPlot) {
    this.#plot = plot;
    this.#watch = new ShapeWatch(() => plot.spec, true);
    this.#senders = new Senders(plot.spec);
    this.#flows = flowsOf(
      [plot.spec],
      () => plot.spec,
      () => {
        const process = this.#process;
        return {
          called: (call) => process.isAlive && this.#called(call),
          undoing: ({ id, attempt }, given) => process.isAlive && this.#undoing({ id, attempt, given }),
          stepped: (call, key) => process.isAlive && this.#watch.stepped(call, key),
          kept: (call, key) => process.isAlive && this.#watch.kept(call, key),
          later: (delayMs, callback) => void process.clock.after(delayMs, callback),
        };
      },
    );
  }

  async play(): Promise<GovernedEnding> {
    await this.#bootClient();
    let groups = 0;
    for (let life = 0; life < LIVES_MAX; life++) {
      this.#life = life;
      const nodes = await this.#live(life);
      groups += this.#process.groups;
      this.#check();
      if (nodes === undefined) continue;
      await this.#othersEnd();
      this.#process.kill();
      this.#client.kill();
      const eras = erasOf(this.#history);
      const undone = nodes.filter(({ status }) => status.startsWith("compens")).length;
      const overridden = eras.reduce((sum, era) => sum + era.overridden.size, 0);
      return { groups, processes: life + 1, eras: eras.length, undone, overridden, status: this.#status };
    }
    throw new Error("it never ends");
  }

  #check(): void {
    if (this.#watch.violations.length > 0) throw new Error(this.#watch.violations.join("; "));
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Runs of its own are not left behind. */
  async #othersEnd(): Promise<void> {
    await this.#clock.advance(100_000);
    if (!this.#process.isAlive) {
      this.#process = this.#born(LIVES_MAX);
      void this.#process.boot();
      await this.#clock.advance(200_000);
    }
    for (const { id, status } of await this.#store.listRuns({ limit: 1_000 }))
      if (["running", "pending", "compensating", "paused"].includes(status)) this.#watch.violations.push(`${id} is ${status} long after the end`);
    this.#check();
  }

  // ---- processes

  async #bootClient(): Promise<void> {
    this.#client = new SimProcess({
      clock: this.#clock,
      store: this.#store,
      seed: 7,
      workflows: [],
      execute: false,
      wrap: (store) => this.#seesReopening(store),
    });
    let isThere = false;
    void this.#client.boot().then(() => (isThere = true));
    await this.#clock.until(() => isThere);
    const look = (): void => {
      if (this.#status === "paused") void this.#tried("resume of a forgotten pause", async () => (await this.#client.pawl.run("run")).resume());
      this.#client.clock.after(JANITOR_MS, look);
    };
    look();
  }

  #born(life: number): SimProcess {
    const { seed, faults, permits, wrap } = this.#plot;
    return new SimProcess({
      clock: this.#clock,
      store: this.#store,
      seed: seed + life,
      workflows: this.#flows.all,
      fault: faults?.[life] ?? (() => undefined),
      onApplied: (group, outcomes) => group.forEach((commit, i) => outcomes[i] === "committed" && this.#committed(commit)),
      wrap: (store) => (wrap ?? ((plain) => plain))(this.#seesReopening(store)),
      ...(permits !== undefined && { maxConcurrentAttempts: permits }),
    });
  }

  /** A run that is taken up again has other rows. */
  #seesReopening(store: Store): Store {
    return replacing(store, {
      reopen: async (commit) => {
        const outcome = await store.reopen(commit);
        if (outcome !== "committed") return outcome;
        this.#committed(commit);
        this.#watch.reload("run", await this.#store.readActors("run"));
        return outcome;
      },
    });
  }

  #committed(commit: Commit): void {
    this.#watch.committed(commit);
    if (commit.runId !== "run") return;
    this.#status = commit.run.status;
    if (this.#status === "compensating") this.#unwindsInLife ??= this.#life;
    for (const deed of this.#plot.deeds ?? []) {
      if (this.#done.has(deed) || commit.from + 1 < deed.after || this.#isOver) continue;
      this.#done.add(deed);
      const { clock } = deed.isFar ? this.#client : this.#process;
      clock.soon(() => void this.#tried(deed.verb, () => this.#do(deed)));
    }
  }

  get #isOver(): boolean {
    return ["completed", "failed", "cancelled", "timedOut"].includes(this.#status);
  }

  /** One life of a process: undefined when it died before all was done. */
  async #live(life: number): Promise<readonly NodeView[] | undefined> {
    const process = (this.#process = this.#born(life));
    let nodes: readonly NodeView[] | undefined;
    const story = async (): Promise<void> => {
      await process.boot();
      const run = await this.#start(process);
      this.#senders.sendAll(run, process.clock, (error) => this.#fails("a send", error));
      for (let isOpen = true; isOpen;) {
        const seen = await this.#ended(run);
        await new Promise<void>((resolve) => process.clock.soon(resolve));
        if (seen !== undefined && !(isOpen = await this.#goesOn(run, seen))) nodes = seen;
      }
    };
    story().catch((error: unknown) => process.isAlive && this.#fails("the story", error));
    await this.#clock.until(() => !process.isAlive || nodes !== undefined || this.#failure !== undefined || this.#watch.violations.length > 0);
    return process.isAlive ? nodes : undefined;
  }

  async #start(process: SimProcess): Promise<Run<unknown>> {
    const { other, mains } = this.#flows;
    for (const which of awaitedRuns(this.#plot.spec)) await process.pawl.start(other, { id: OTHER_IDS[which], input: { which } });
    return (this.#run = await process.pawl.start(mains[0]!, { id: "run", input: INPUT }));
  }

  #fails(what: string, error: unknown): void {
    if (!REFUSED.has(isPawlError(error) ? error.code : "")) this.#failure ??= new Error(`${what} failed: ${String(error)}`, { cause: error });
  }

  async #tried(what: string, work: () => Promise<unknown>): Promise<void> {
    await work().catch((error: unknown) => this.#fails(what, error));
  }

  // ---- what people do

  async #handle(isFar: boolean): Promise<Run<unknown>> {
    return isFar || this.#run === undefined ? this.#client.pawl.run("run") : this.#run;
  }

  async #do(deed: Deed): Promise<void> {
    const run = await this.#handle(deed.isFar);
    switch (deed.verb) {
      case "cancel":
        return run.cancel();
      case "keep":
        return run.cancel({ compensate: false });
      case "terminate":
        return run.cancel({ now: true });
      case "override":
        return this.#override(run, deed);
      case "pause":
        await run.pause();
        this.#client.clock.after(deed.forMs, () => {
          if (this.#status === "paused") void this.#tried("resume", async () => (await this.#client.pawl.run("run")).resume());
        });
    }
  }

  async #override(run: Run<unknown>, { node, outcome }: Override): Promise<void> {
    const ids = this.#candidates();
    if (ids.length === 0) return;
    const id = ids[node % ids.length]!;
    const result = { value: 7_000_000 + node, list: [{ value: node }], flag: node % 2 === 0, way: "a" };
    const asked: OverrideOutcome = outcome === "completed" ? { result } : outcome === "skipped" ? "skip" : "fail";
    if (outcome === "completed") this.#results.set(id, [...(this.#results.get(id) ?? []), result]);
    await run.override(id, asked, { by: "ana" });
    if (this.#watch.row("run", id)?.status !== outcome)
      this.#watch.violations.push(`the override of ${id} resolved, and it is ${this.#watch.row("run", id)?.status}`);
  }

  /** Nodes, items and rounds whose outcome could be set. */
  #candidates(): string[] {
    return this.#plot.spec.flatMap((node, index) => {
      const id = `n${index}`;
      if (isOwn(this.#plot.spec, id)) return [id];
      const { opened = 0 } = this.#watch.row("run", id) ?? {};
      return node.kind === "map" || node.kind === "repeat" ? Array.from({ length: Math.min(opened, 9) }, (_, i) => `${id}[${i}]`) : [];
    });
  }

  /** The next round, if there is one that can be; says whether the run goes on. */
  async #goesOn(run: Run<unknown>, nodes: readonly NodeView[]): Promise<boolean> {
    const eras = erasOf(this.#history);
    const round = this.#plot.rounds?.[eras.length - 1];
    if (round === undefined) return false;
    // a result is checked where the definition is
    const isFar = round.isFar && !(round.verb === "override" && round.outcome === "completed");
    const by = isFar ? await this.#client.pawl.run("run") : run;
    const before = (await run.status()).commitNo;
    try {
      const crash = this.#begun.has(round) ? undefined : round.crash;
      this.#begun.add(round);
      if (crash === "before") this.#process.kill();
      if (round.verb === "resume") await by.resume();
      else if (round.verb === "override") await this.#override(by, round);
      else await by.retry(this.#retried(round, nodes, eras.length));
      if (crash === "after") this.#process.kill();
    } catch (error) {
      this.#fails(round.verb, error);
      const era = eras.at(-1)!;
      const mayRefuse = this.#status === "completed" || era.unwinds !== undefined || round.verb !== "retry";
      if (!mayRefuse && isPawlError(error, "PAWL_RUN_NOT_RETRYABLE") && (await run.status()).commitNo === before)
        this.#watch.violations.push(`it could not be retried: ${error.message}`);
    }
    return (await run.status()).commitNo > before;
  }

  #retried({ nodes, edits }: Round & { verb: "retry" }, views: readonly NodeView[], era: number): { nodes?: string[]; input?: Record<string, unknown> } {
    const failed = views.filter(({ id, status }) => status === "failed" && isOwn(this.#plot.spec, id));
    const of = (which: readonly number[]): NodeView[] => [...new Set(failed.length === 0 ? [] : which.map((n) => failed[n % failed.length]!))];
    const calls = of(edits).filter(({ id, kind }) => kind === "call" && this.#plot.spec[indexOf(id)]!.kind !== "other");
    const named = nodes.length === 0 ? [] : [...new Set([...of(nodes), ...calls].map(({ id }) => id))];
    const input = Object.fromEntries(calls.map(({ id }) => [id, { edited: era }]));
    for (const { id, generation } of calls) this.#inputs.set(`${id}#${generation + 1}`, { edited: era });
    return { ...(named.length > 0 && { nodes: named }), ...(calls.length > 0 && { input }) };
  }

  // ---- what is seen

  #called(call: Call): boolean {
    this.#watch.called(call);
    const isDeep = call.keptBy !== `run/${call.id}`;
    if (!isDeep && this.#unwindsInLife !== undefined && this.#unwindsInLife < this.#life)
      this.#watch.violations.push(`${call.id} was called though the run was unwound`);
    if (!isDeep && this.#isOver) this.#watch.violations.push(`${call.id} was called though the run was ${this.#status}`);
    return true;
  }

  #undoing(call: UndoCall): boolean {
    const { id, attempt } = call;
    const before = this.#undoCalls.at(-1);
    const statusOf = (of: string): string | undefined => this.#watch.row("run", `${of}[undo]`)?.status;
    const told = (what: string): void => void this.#watch.violations.push(`the compensation of ${id} was called ${what}`);
    if (this.#status !== "compensating" && this.#status !== "cancelled") told(`while the run was ${this.#status}`);
    const own = this.#watch.row("run", `${id}[undo]`);
    if (own !== undefined && own.status !== "backingOff") told(`though it was ${own.status}`);
    if (own !== undefined && attempt <= own.attempt) told(`for attempt ${attempt} again`);
    if (before !== undefined && before.id !== id && !["completed", "failed"].includes(statusOf(before.id) ?? ""))
      told(`while that of ${before.id} was ${statusOf(before.id)}`);
    this.#undoCalls.push(call);
    return true;
  }

  /** What became of it, held against the model; undefined when it goes on already. */
  async #ended(run: Run<unknown>): Promise<readonly NodeView[] | undefined> {
    const view = await run.ended();
    const nodes = await run.nodes();
    const history = await Array.fromAsync(run.history());
    if ((await run.status()).commitNo !== view.commitNo || history.at(-1)!.commitNo !== view.commitNo) return undefined;
    this.#history = history;
    this.#compare(view, nodes, erasOf(history));
    return nodes;
  }

  #compare(run: RunView, nodes: readonly NodeView[], eras: readonly Era[]): void {
    const { spec } = this.#plot;
    const watch = this.#watch;
    const era = eras.at(-1)!;
    const results = new Map([...this.#results.keys()].map((id) => [id, decode(watch.row("run", id)?.output ?? "null")]));
    for (const id of era.overridden.keys())
      if (era.overridden.get(id)!.outcome === "completed" && !this.#results.get(id)?.some((asked) => JSON.stringify(asked) === JSON.stringify(results.get(id))))
        watch.violations.push(`${id} was set to ${JSON.stringify(results.get(id))}, which nobody asked for`);
    const events = toldBy(spec, (id) => watch.row("run", id));
    const { expected, isWhole, told } = expectedAtLast(spec, eras, { events, results, inputs: this.#inputs });
    const isCounted = (id: string): boolean => isOwn(spec, id) && !isRecounted(spec, eras, id);
    if (isWhole) {
      const unwinds = [...expected.nodes].find(([id, { status }]) => status === "failed" && !era.carried.has(id) && finalOf(spec, id) === "compensate");
      if (unwinds !== undefined) watch.violations.push(`${unwinds[0]} failed, and nothing was undone`);
      return compareRun(spec, run, nodes, watch, told, isCounted);
    }
    if (era.unwinds === undefined && this.#isOnlyCancelled && toUndo(spec, era, watch).length > 0)
      watch.violations.push("it was cancelled, and nothing was undone");
    watch.violations.push(...cutDiffers({ spec, era, expected, run, nodes, calls: this.#undoCalls, watch, isCounted }));
    for (const id of endedIn(era).keys()) if (!nodes.some((node) => node.id === id)) watch.violations.push(`${id} has ended, and is not seen`);
  }

  /** All who wanted it to end wanted it to be undone, too. */
  get #isOnlyCancelled(): boolean {
    return ![...this.#done].some(({ verb }) => verb === "keep" || verb === "terminate");
  }
}

function finalOf(spec: Spec, id: string): string | undefined {
  const node = spec[indexOf(id)]!;
  return "onFail" in node ? node.onFail : undefined;
}

/** Attempts that an operator ended, or that runs of their own go on counting, are not the model's. */
function isRecounted(spec: Spec, eras: readonly Era[], id: string): boolean {
  const era = eras.at(-1)!;
  return era.overridden.has(id) || era.carried.has(id) || (eras.length > 1 && hasRuns(spec[indexOf(id)]!));
}
