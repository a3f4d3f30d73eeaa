/**
 * Writes groups of commits with bare node:sqlite: the part of the model in disk.ts that may have a thread of its own.
 * NOT measured here: anything. The delay stands for a slow fsync and blocks the thread as that would.
 */
import { DatabaseSync } from "node:sqlite";
import { isMainThread, parentPort, workerData } from "node:worker_threads";

export type Group = readonly { readonly run: string; readonly commitNo: number; readonly text: string }[];

export function openGroupWriter(path: string, delayMs: number): { write(group: Group): void; close(): void } {
  const database = new DatabaseSync(path);
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
  database.exec("CREATE TABLE IF NOT EXISTS run (id TEXT PRIMARY KEY, commit_no INTEGER, body TEXT) WITHOUT ROWID");
  database.exec("CREATE TABLE IF NOT EXISTS actor (run TEXT, key INTEGER, body TEXT, output TEXT, PRIMARY KEY (run, key)) WITHOUT ROWID");
  database.exec("CREATE TABLE IF NOT EXISTS history (run TEXT, commit_no INTEGER, body TEXT, PRIMARY KEY (run, commit_no)) WITHOUT ROWID");
  const [run, actor, history] = ["run (id, commit_no, body)", "actor (run, key, body)", "history (run, commit_no, body)"].map((place) =>
    database.prepare(`INSERT OR REPLACE INTO ${place} VALUES (?, ?, ?)`),
  );
  const begin = database.prepare("BEGIN IMMEDIATE");
  const commit = database.prepare("COMMIT");
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  return {
    write(group) {
      begin.run();
      for (const { run: id, commitNo, text } of group) {
        run!.run(id, commitNo, text);
        actor!.run(id, commitNo, text);
        history!.run(id, commitNo, text);
      }
      if (delayMs > 0) Atomics.wait(sleeper, 0, 0, delayMs);
      commit.run();
    },
    close: () => database.close(),
  };
}

if (!isMainThread && parentPort !== null && workerData !== null) {
  const port = parentPort;
  const { path, delayMs } = workerData as { path: string; delayMs: number };
  const writer = openGroupWriter(path, delayMs);
  port.on("message", (group: Group) => {
    writer.write(group);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    port.postMessage("durable");
  });
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  port.postMessage("ready");
}
