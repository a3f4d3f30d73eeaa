/**
 * A thread that makes a store's file when it is told to.
 */
import { parentPort, workerData } from "node:worker_threads";
import { openSqliteStore } from "../../src/store/sqlite.ts";

parentPort!.once("message", () => void openSqliteStore(workerData as string, { mustExist: false }).close());
parentPort!.postMessage("ready");
