/**
 * A backup or a restore to be killed: `copy-kill-child.ts backup|restore FROM TO`. With KILL_AT=n it kills itself at the
 * n-th step, where each call of the file system or of SQLite is two: before it, and after it. Prints how many there were.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import sqlite from "node:sqlite";

const [verb, from, to] = process.argv.slice(2) as [string, string, string];
const killAt = Number(process.env["KILL_AT"] ?? 0);
const CALLS = ["openSync", "closeSync", "fsyncSync", "renameSync", "rmSync", "mkdtempSync", "mkdirSync", "copyFileSync", "chmodSync", "readdirSync"] as const;

let steps = 0;
function step(): void {
  if (++steps === killAt) process.kill(process.pid, "SIGKILL");
}

type Call = (...values: unknown[]) => unknown;
function counted(place: object, name: string): void {
  const calls = place as Record<string, Call>;
  const call = calls[name]!;
  calls[name] = function (this: unknown, ...values: unknown[]): unknown {
    step();
    const result = call.apply(this, values);
    step();
    return result;
  };
}
for (const name of CALLS) counted(fs, name);
for (const name of ["exec", "prepare", "close"]) counted(sqlite.DatabaseSync.prototype, name);
counted(sqlite, "backup");
syncBuiltinESMExports();

const { backupStore, restoreStore } = await import("../../src/backups.ts");
await (verb === "backup" ? backupStore(from, to, { force: true }) : restoreStore(from, to, { force: true }));
console.log(`${steps} steps`);
