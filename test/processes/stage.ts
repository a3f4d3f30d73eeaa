/**
 * One SQLite file with workers that are processes, a client in this process, and what happens to them.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Pawl, open } from "../../src/index.ts";
import { checkJourney, endedRuns } from "../sim/journey.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { checkLines, checkRun } from "./checks.ts";
import type { Crew, Member } from "./crew.ts";
import { type FlowName, flows } from "./flows.ts";
import { Inspector, present } from "./inspector.ts";
import type { Order } from "./worker-child.ts";

/** Nobody is taken for stalled, however slow the machine is. */
const LEASE_MS = 30_000;
const ATTEMPTS = 4;
/** A condition that does not hold by then never will. */
const PATIENCE_MS = 40_000;
const POLL_MS = 2;
const folder = temporaryFolder();
let stages = 0;

export interface WorkerOptions {
  readonly flows?: readonly FlowName[];
  readonly execute?: boolean;
  readonly leaseMs?: number;
  readonly attempts?: number;
}

/** A process left its runs: by a kill, because it was taken for dead, or cut off while closing. */
export interface Departure {
  readonly pid: number;
  readonly epoch: number | undefined;
  /** Its unfinished runs. */
  readonly runs: ReadonlySet<string>;
  readonly at: number;
  /** `run/node` of what was durably completed then, and how many lines the log had. */
  readonly completed: ReadonlySet<string>;
  readonly lines: number;
  /** What it had been granted and may still begin, of a process that goes on later. */
  readonly granted: ReadonlySet<string>;
}

export class Stage {
  readonly #crew: Crew;
  readonly file: string;
  readonly log: string;
  readonly gate: string;
  readonly eyes: Inspector;
  readonly client: Pawl;
  readonly #members = new Set<Member>();
  readonly departures: Departure[] = [];
  readonly #mayDie = new Set<Member>();
  /** Runs of mills that must end as their definition says. */
  readonly #mills: string[] = [];
  /** Runs of journeys that must be undone in order. */
  readonly #journeys: string[] = [];

  private constructor(crew: Crew, path: string, client: Pawl) {
    this.#crew = crew;
    this.file = join(path, "pawl.db");
    this.log = join(path, "log");
    this.gate = join(path, "gate");
    this.client = client;
    this.eyes = new Inspector(this.file, this.log);
  }

  static async make(crew: Crew): Promise<Stage> {
    const path = join(folder.path, `${++stages}`);
    mkdirSync(path);
    await (await open(join(path, "pawl.db"))).close();
    return new Stage(crew, path, await open(join(path, "pawl.db"), { execute: false }));
  }

  // ---- who is there

  async hire(): Promise<Member> {
    const member = await this.#crew.hire();
    this.#members.add(member);
    return member;
  }

  async worker(options: WorkerOptions = {}): Promise<Member> {
    const member = await this.hire();
    await member.order(this.opening(options));
    return member;
  }

  opening({ flows: names = ["mill", "held", "journal"], execute = true, leaseMs = LEASE_MS, attempts = ATTEMPTS }: WorkerOptions = {}): Order {
    return { do: "open", file: this.file, log: this.log, flows: names, execute, leaseMs, attempts };
  }

  epochOf({ pid }: Member): number | undefined {
    return this.eyes.epochs().findLast((epoch) => epoch.pid === pid)?.id;
  }

  // ---- what is to be done

  /** Starts runs from this process, which executes nothing. */
  async mills(count: number, flow: "mill" | "foreign" = "mill"): Promise<string[]> {
    const ids = Array.from({ length: count }, (_, i) => `${flow}${this.#mills.length + i}`);
    this.#mills.push(...ids);
    for (const id of ids) await this.client.start(flows[flow], { id, input: {} });
    return ids;
  }

  /** Runs of an agent that is limited. */
  async taps(count: number): Promise<string[]> {
    const ids = Array.from({ length: count }, (_, i) => `taps${i}`);
    for (const id of ids) await this.client.start(flows.taps, { id, input: {} });
    return ids;
  }

  /** One that is undone in the end; each is a run with two of its own. */
  async journey(): Promise<string> {
    const id = `journey${this.#journeys.length}`;
    this.#journeys.push(id);
    await this.client.start(flows.journey, { id, input: {} });
    return id;
  }

  /** Lets agents that wait for it end. */
  openGate(): void {
    writeFileSync(this.gate, "");
  }

  // ---- what happens to whom

  async kill(member: Member): Promise<Departure> {
    const epoch = this.epochOf(member);
    const at = present();
    member.signal("SIGKILL");
    await member.ended;
    this.#members.delete(member);
    return this.#departed(member, epoch, at, new Set());
  }

  /** It kills itself at the n-th statement from now on that matches; afterwards it is killed. */
  async dies(member: Member, at: number, matching: string): Promise<void> {
    this.#mayDie.add(member);
    await member.order({ do: "die", at, matching });
  }

  #departed({ pid }: Member, epoch: number | undefined, at: number, granted: ReadonlySet<string>): Departure {
    const runs = epoch === undefined ? new Set<string>() : this.eyes.runsOf(epoch);
    const departure = { pid, epoch, runs, at, completed: this.eyes.nodes("completed"), lines: this.eyes.lines().length, granted };
    this.departures.push(departure);
    return departure;
  }

  /** Nothing of it happens, and to others it is there. Not in the midst of a write, when nobody else could write. */
  async stop(member: Member): Promise<Departure> {
    for (;;) {
      member.signal("SIGSTOP");
      if (this.eyes.canBeWritten && this.epochOf(member) !== undefined) break;
      member.signal("SIGCONT");
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    const epoch = this.epochOf(member)!;
    const owned = this.eyes.runsOf(epoch);
    const granted = [...this.eyes.nodes("running")].filter((node) => owned.has(node.split("/")[0]!));
    return this.#departed(member, epoch, present(), new Set(granted));
  }

  /** It closes and ends by itself. */
  async terminate(member: Member): Promise<void> {
    member.signal("SIGTERM");
    const { code } = await member.ended;
    this.#members.delete(member);
    if (code !== 0) throw new Error(`a process that was asked to end did so with ${code}: ${member.errors}`);
  }

  /** It closes the file and can be used again. */
  async close(member: Member, graceMs = 10_000): Promise<void> {
    await member.order({ do: "close", graceMs });
    this.#members.delete(member);
    this.#crew.free(member);
  }

  /** What closing cut off runs again elsewhere. */
  cutOff(member: Member): Departure {
    return this.#departed(member, undefined, present(), new Set());
  }

  // ---- conditions

  async until(condition: () => unknown, what: string): Promise<void> {
    const endAt = performance.now() + PATIENCE_MS;
    while (!(await condition())) {
      for (const member of this.#members) if (member.end !== undefined && !this.#mayDie.has(member)) throw new Error(member.end);
      if (performance.now() > endAt) throw new Error(`waited in vain until ${what}; ${this.#present()}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  #present(): string {
    const runs = this.eyes.rows("SELECT id, status, epoch, commit_no, wake_at, suspicion FROM run WHERE finished = 0 LIMIT 5");
    const shared = this.eyes.rows("SELECT key, body FROM shared");
    const errors = [...this.#members].map(({ errors }) => errors).join("");
    return `epochs ${JSON.stringify(this.eyes.epochs())}, unfinished ${this.eyes.unfinished()}: ${JSON.stringify(runs)}, shared ${JSON.stringify(shared)} ${errors}`;
  }

  calls(count: number): Promise<void> {
    return this.until(() => this.eyes.lines().length >= count, `${count} lines were written`);
  }

  finished(): Promise<void> {
    return this.until(() => this.eyes.unfinished() === 0, "all runs have ended");
  }

  /** From a departure to the first call of another process for a run of the departed, in ms; undefined when it had none. */
  takeOverMs({ pid, runs, at }: Pick<Departure, "pid" | "runs" | "at">): number | undefined {
    const line = this.eyes.lines().find((line) => line.what === "start" && line.pid !== pid && line.at >= at && runs.has(line.run));
    return line === undefined ? undefined : line.at - at;
  }

  // ---- the end

  /** Waits for the end of all runs, closes everything, and checks what must hold whatever happened. */
  async end(): Promise<void> {
    await this.finished();
    for (const id of this.#mills) await checkRun(await this.client.run(id));
    for (const id of this.#journeys) checkJourney(id, this.eyes.seenOf(id), await endedRuns(this.client, id));
    const alive = (): Set<number> => new Set([...this.#members].map(({ pid }) => pid));
    await this.until(() => this.eyes.epochs().every(({ pid }) => alive().has(pid)), "the epochs of the dead are closed");
    for (const member of [...this.#members]) await this.close(member);
    await this.client.close();
    checkLines(this.eyes.happened(), this.departures);
    const [integrity, epochs, left] = [this.eyes.integrity, this.eyes.epochs(), this.eyes.sideFiles];
    const inbox = this.eyes.rows("SELECT * FROM inbox");
    this.eyes.close();
    if (integrity !== "ok") throw new Error(integrity);
    if (epochs.length + left.length > 0) throw new Error(`after all have closed there are epochs ${JSON.stringify(epochs)} and files ${left.join(" ")}`);
    if (inbox.length > 0) throw new Error(`after all runs have ended there is ${JSON.stringify(inbox)} in inboxes`);
  }
}
