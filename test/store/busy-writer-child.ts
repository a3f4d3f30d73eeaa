/**
 * Adds runs to a store's file as fast as it can, a transaction for each, until it is killed: `busy-writer-child.ts FILE`.
 */
import { DatabaseSync } from "node:sqlite";
import { insertRun } from "./filled-file.ts";

const database = new DatabaseSync(process.argv[2]!);
database.exec("PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000");
for (let i = 0; ; i++) {
  database.exec("BEGIN IMMEDIATE");
  insertRun(database, `busy-${process.pid}-${i}`, 1 + (i % 3));
  database.exec("COMMIT");
  if (i === 10) console.log("busy");
}
