/**
 * Where the figures were taken: one line. The time of one fsync is that of a commit of one row on this disk.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type Settings, median } from "./harness.ts";

export function environmentLine(settings: Settings): string {
  const folder = mkdtempSync(join(tmpdir(), "pawl-bench-"));
  const database = new DatabaseSync(join(folder, "probe.db"));
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE probe (value INTEGER)");
  const insert = database.prepare("INSERT INTO probe VALUES (1)");
  const took = Array.from({ length: 50 }, () => {
    const startedAt = performance.now();
    insert.run();
    return performance.now() - startedAt;
  });
  const { version } = database.prepare("SELECT sqlite_version() AS version").get() as { version: string };
  database.close();
  rmSync(folder, { recursive: true });
  const machine = `${availableParallelism()} cpus (${cpus()[0]?.model.trim() ?? "?"}), load ${loadavg()[0]!.toFixed(1)}`;
  return `node ${process.version}, sqlite ${version}, ${machine}, one commit with fsync ${median(took).toFixed(3)} ms, rounds ${settings.rounds}, seed ${settings.seed}`;
}
