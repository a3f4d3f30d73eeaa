/**
 * A process that does what it is told: opens a file as a worker or as a client, starts runs, sends events, closes, or
 * kills itself at a statement that it gives to SQLite. On SIGTERM it closes and ends by itself.
 */
import { appendFileSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { type Pawl, open } from "../../src/index.ts";
import { type FlowName, TAP, flowsOf } from "./flows.ts";

export type Order =
  | {
      readonly do: "open";
      readonly file: string;
      readonly log: string;
      readonly flows: readonly FlowName[];
      readonly execute: boolean;
      readonly leaseMs: number;
      readonly attempts: number;
    }
  | { readonly do: "start"; readonly flow: "mill" | "foreign" | "held" | "journal"; readonly ids: readonly string[]; readonly input: object }
  /** Is said to be done at once, whatever comes of it. */
  | { readonly do: "note"; readonly run: string; readonly item: number }
  /** At the n-th statement from now on that matches. */
  | { readonly do: "die"; readonly at: number; readonly matching: string }
  | { readonly do: "jump"; readonly byMs: number }
  | { readonly do: "close"; readonly graceMs: number };

export interface Ordered {
  readonly number: number;
  readonly order: Order;
}
export interface Done {
  readonly number: number;
  readonly error?: string;
}

let log = "";
let pawl: Pawl | undefined;
const flows = flowsOf((what, { runId, nodeId, attempt }) => {
  const at = performance.timeOrigin + performance.now();
  appendFileSync(log, `${what} ${runId} ${nodeId} ${attempt} ${process.pid} ${at}\n`);
});

async function obey(order: Order): Promise<void> {
  if (order.do === "open") {
    log = order.log;
    pawl = await open(order.file, {
      workflows: order.flows.map((name) => flows[name]),
      execute: order.execute,
      leaseMs: order.leaseMs,
      maxConcurrentAttempts: order.attempts,
      limits: TAP.limits,
    });
  } else if (order.do === "start") {
    for (const id of order.ids) await pawl!.start(flows[order.flow] as typeof flows.mill, { id, input: order.input });
  } else if (order.do === "note") {
    const run = await pawl!.run(order.run, flows.journal);
    void run.send({ type: "NOTE", item: order.item }, { eventId: `note-${order.item}` }).catch(() => {});
  } else if (order.do === "die") {
    [death.left, death.matching] = [order.at, new RegExp(order.matching)];
  } else if (order.do === "jump") jumpedMs += order.byMs;
  else {
    await pawl?.close({ graceMs: order.graceMs });
    pawl = undefined;
    death.left = 0;
    jumpedMs = 0;
  }
}

// ---- the wall clock, as others see it, and as this process does

let jumpedMs = 0;
const { now } = Date;
Date.now = () => now() + jumpedMs;

// ---- epochs, and death at a statement

function noteEpoch(sql: string): void {
  if (sql.startsWith("INSERT INTO epoch")) appendFileSync(log, `opened - - 0 ${process.pid} ${performance.timeOrigin + performance.now()}\n`);
}

const death = { left: 0, matching: /$^/ };
function count(sql: string): void {
  if (death.left > 0 && death.matching.test(sql) && --death.left === 0) process.kill(process.pid, "SIGKILL");
}
const { prepare } = DatabaseSync.prototype;
DatabaseSync.prototype.prepare = function (sql) {
  const statement = prepare.call(this, sql);
  for (const method of ["run", "get", "all"] as const) {
    const call = statement[method].bind(statement) as (...values: never[]) => never;
    (statement as Record<"run" | "get" | "all", StatementSync["run" | "get" | "all"]>)[method] = (...values: never[]) => (
      noteEpoch(sql),
      count(sql),
      call(...values)
    );
  }
  return statement;
};

process.on("message", ({ number, order }: Ordered) => {
  const tell = (error?: string): void => void (process.connected && process.send!({ number, ...(error !== undefined && { error }) } satisfies Done));
  obey(order).then(
    () => tell(),
    (error: unknown) => tell((error as Error).stack ?? String(error)),
  );
});
process.once("SIGTERM", () => void (pawl?.close() ?? Promise.resolve()).then(() => process.disconnect()));
process.once("disconnect", () => (pawl === undefined ? process.exit() : undefined));
// who is killed leaves no compiled code to the next
flushCompileCache();
process.send!({ number: 0 } satisfies Done);
