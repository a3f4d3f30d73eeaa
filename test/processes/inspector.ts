/**
 * What anybody with the file and the log of the agents can see: rows that are durable, and calls that were made.
 */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { basename, dirname } from "node:path";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import type { Seen } from "../sim/journey.ts";
import type { Happened } from "./flows.ts";

/** A call of an agent, or its end. */
export interface Line {
  readonly what: Happened | "opened";
  readonly run: string;
  readonly node: string;
  readonly attempt: number;
  readonly pid: number;
  /** Wall clock that does not jump, in ms. */
  readonly at: number;
}

export interface Epoch {
  readonly id: number;
  readonly pid: number;
}

const BUSY_MS = 300;

export const present = (): number => performance.timeOrigin + performance.now();

export class Inspector {
  readonly #file: string;
  readonly #log: string;
  readonly #database: DatabaseSync;

  constructor(file: string, log: string) {
    this.#file = file;
    this.#log = log;
    this.#database = new DatabaseSync(file);
    this.#database.exec(`PRAGMA busy_timeout = ${BUSY_MS}`);
  }

  rows<Row>(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#database.prepare(sql).all(...values) as Row[];
  }

  /** Calls of agents and their ends. */
  lines(): Line[] {
    return this.happened().filter(({ what }) => what !== "opened");
  }

  /** The same, and each time that a process has opened an epoch. */
  happened(): Line[] {
    if (!existsSync(this.#log)) return [];
    const texts = readFileSync(this.#log, "utf8").split("\n").slice(0, -1);
    return texts.map((text) => {
      const [what, run, node, attempt, pid, at] = text.split(" ") as [Line["what"], string, string, string, string, string];
      return { what, run, node, attempt: Number(attempt), pid: Number(pid), at: Number(at) };
    });
  }

  /** What was seen of a run, and of those that belong to it; a process lives as long as an epoch of it. */
  seenOf(id: string): Seen[] {
    const lives = new Map<number, number>();
    return this.happened().flatMap(({ what, run, node, attempt, pid }) => {
      if (what === "opened") lives.set(pid, lives.size + 1);
      return what !== "opened" && (run === id || run.startsWith(`${id}/`)) ? [{ what, run, node, attempt, life: lives.get(pid)! }] : [];
    });
  }

  epochs(): Epoch[] {
    return this.rows<{ id: number; facts: string }>("SELECT id, facts FROM epoch ORDER BY id").map(({ id, facts }) => ({
      id,
      pid: (JSON.parse(facts) as { pid?: number }).pid ?? 0,
    }));
  }

  /** `run/node` of all nodes of this status. */
  nodes(status: "completed" | "running"): Set<string> {
    return new Set(this.rows<{ name: string }>("SELECT run_id || '/' || key AS name FROM actor WHERE status = ?", status).map(({ name }) => name));
  }

  /** Unfinished runs of an epoch. */
  runsOf(epoch: number): Set<string> {
    return new Set(this.rows<{ id: string }>("SELECT id FROM run WHERE epoch = ? AND finished = 0", epoch).map(({ id }) => id));
  }

  unfinished(): number {
    return this.rows<{ count: number }>("SELECT count(*) AS count FROM run WHERE finished = 0")[0]!.count;
  }

  /** Does nobody hold the file for writing, longer than a commit takes? */
  get canBeWritten(): boolean {
    try {
      this.#database.exec("BEGIN IMMEDIATE");
      this.#database.exec("ROLLBACK");
      return true;
    } catch {
      return false;
    }
  }

  get integrity(): string {
    return this.rows<{ integrity_check: string }>("PRAGMA integrity_check")[0]!.integrity_check;
  }

  /** Files of epochs beside the store's. */
  get sideFiles(): string[] {
    return readdirSync(dirname(this.#file)).filter((name) => name.startsWith(`${basename(this.#file)}-worker-`));
  }

  close(): void {
    this.#database.close();
  }
}
