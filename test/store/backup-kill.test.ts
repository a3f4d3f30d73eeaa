/**
 * SIGKILL at each step of a backup and of a restore: what was in the place is there, or what is new, and never a mixture.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { backupStore } from "../../src/backups.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { contentOf, fillFile, insertRun } from "./filled-file.ts";

const child = fileURLToPath(new URL("copy-kill-child.ts", import.meta.url));
const folder = temporaryFolder();
const OLD_RUNS = 31;
const NEW_RUNS = 12;
/** A folder as it is before each try: an old store whose newest run is in its log only, and a backup of another one. */
const origin = join(folder.path, "origin");
let places = 0;

beforeAll(async () => {
  mkdirSync(origin);
  const other = join(folder.path, "other.db");
  fillFile(other, NEW_RUNS).close();
  await backupStore(other, join(origin, "backup.db.zst"));
  const old = fillFile(join(folder.path, "old.db"), OLD_RUNS - 1);
  old.exec("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA wal_autocheckpoint = 0");
  insertRun(old, "in-the-log", 3);
  for (const suffix of ["", "-wal"]) writeFileSync(join(origin, `pawl.db${suffix}`), readFileSync(join(folder.path, `old.db${suffix}`)), { mode: 0o600 });
  old.close();
});

/** Runs the child on a fresh folder, killed at this step; 0 lets it end. */
function attempt(verb: "backup" | "restore", killAt: number): { path: string; steps: number; wasKilled: boolean } {
  const place = join(folder.path, `${++places}`);
  cpSync(origin, place, { recursive: true });
  const path = join(place, "pawl.db");
  const backup = join(place, "backup.db.zst");
  const { signal, stdout, stderr } = again(verb, path, backup, killAt);
  expect(signal === "SIGKILL" ? "" : stderr, `killed at step ${killAt}`).toBe("");
  return { path, steps: Number(/(\d+) steps/.exec(stdout)?.[1]), wasKilled: signal === "SIGKILL" };
}

function again(verb: "backup" | "restore", path: string, backup: string, killAt = 0): { signal: string | null; stdout: string; stderr: string } {
  const [from, to] = verb === "backup" ? [path, backup] : [backup, path];
  return spawnSync(process.execPath, ["--conditions=pawl-source", child, verb, from, to], {
    encoding: "utf8",
    env: { ...process.env, KILL_AT: String(killAt) },
  });
}

/** Each step in a long run; else one of some, from a place that moves with time, and the last one. */
function stepsOf(steps: number): number[] {
  const every = process.env["PAWL_CASES"] === "long" ? 1 : 30;
  const first = 1 + (Math.trunc(Date.now() / 1_000) % every);
  console.log(`${steps} steps, killed at each ${every}th from ${first}`);
  return [...new Set([...Array.from({ length: Math.floor((steps - first) / every) + 1 }, (_, i) => first + i * every), steps])];
}

test("a restore that is killed leaves the old store or the new one, whole, and can be repeated", () => {
  const calm = attempt("restore", 0);
  expect(contentOf(calm.path)).toEqual({ runs: NEW_RUNS, isWhole: true, epochs: 0 });
  const seen = new Set<number>();
  for (const killAt of stepsOf(calm.steps)) {
    const { path, wasKilled } = attempt("restore", killAt);
    expect(wasKilled).toBe(true);
    const { runs, isWhole } = contentOf(path);
    expect(isWhole, `killed at step ${killAt}`).toBe(true);
    expect([OLD_RUNS, NEW_RUNS]).toContain(runs);
    seen.add(runs);
    const kept = `${path}.before-restore-1`;
    if (runs === NEW_RUNS || existsSync(kept)) expect(contentOf(kept), `killed at step ${killAt}`).toMatchObject({ runs: OLD_RUNS, isWhole: true });
    expect(again("restore", path, join(dirname(path), "backup.db.zst")).stderr).toBe("");
    expect(contentOf(path)).toEqual({ runs: NEW_RUNS, isWhole: true, epochs: 0 });
    expect(readdirSync(dirname(path)).filter((name) => name.startsWith(".pawl"))).toEqual([]);
  }
  expect(seen).toEqual(new Set([NEW_RUNS, OLD_RUNS]));
}, 300_000);

test("a backup that is killed leaves the old backup or the new one, and the store as it was", () => {
  const calm = attempt("backup", 0);
  const before = readFileSync(join(origin, "backup.db.zst"));
  for (const killAt of stepsOf(calm.steps)) {
    const { path } = attempt("backup", killAt);
    const backup = join(dirname(path), "backup.db.zst");
    const isOld = readFileSync(backup).equals(before);
    expect(again("restore", join(dirname(path), "check.db"), backup).stderr, `killed at step ${killAt}`).toBe("");
    expect(contentOf(join(dirname(path), "check.db"))).toMatchObject({ runs: isOld ? NEW_RUNS : OLD_RUNS, isWhole: true });
    expect(contentOf(path)).toMatchObject({ runs: OLD_RUNS, isWhole: true });
  }
}, 300_000);
