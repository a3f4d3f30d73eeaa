/**
 * Real processes, a real file, SIGKILL: at each statement that a small run gives to SQLite, and at any moment.
 */
import { spawnSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { cases } from "../sim/cases.ts";
import { seededRandom } from "../sim/random.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const child = fileURLToPath(new URL("kill-child.ts", import.meta.url));
const RESULT = '{"n":104}';
const folder = temporaryFolder();
let stages = 0;

interface Stage {
  readonly file: string;
  readonly log: string;
}

const newStage = (): Stage => ({ file: join(folder.path, `${++stages}`, "pawl.db"), log: join(folder.path, `${stages}.log`) });
const argumentsOf = ({ file, log }: Stage, pauseMs: number): string[] => ["--conditions=pawl-source", child, file, log, String(pauseMs)];
const linesOf = ({ log }: Stage): string[] =>
  existsSync(log)
    ? readFileSync(log, "utf8")
        .trim()
        .split("\n")
        .filter((line) => line !== "")
    : [];

/** The nodes whose completion is durable, as anyone with the file can see. */
function completedIn({ file }: Stage): string[] {
  if (!existsSync(file)) return [];
  const database = new DatabaseSync(file);
  try {
    return database
      .prepare("SELECT key FROM actor WHERE status IN ('completed', 'skipped')")
      .all()
      .map(({ key }) => String(key));
  } catch {
    return [];
  } finally {
    database.close();
  }
}

/** What must hold of the agents' log, given what was durable at each death and how many lines there were then. */
function check(stage: Stage, deaths: readonly { completed: readonly string[]; lines: number }[]): void {
  const lines = linesOf(stage);
  for (const { completed, lines: until } of deaths)
    for (const node of completed) expect(lines.slice(until), `${node} ran again`).not.toContain(`start ${node}`);
  const first = (line: string): number => lines.indexOf(line);
  expect(first("start flaky")).toBeGreaterThan(first("end a"));
  expect(first("start join")).toBeGreaterThan(first("end flaky"));
  expect(new DatabaseSync(stage.file).prepare("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
}

test("killed at each statement, the same program started again ends with the same result", () => {
  const calm = newStage();
  const whole = spawnSync(process.execPath, argumentsOf(calm, 0), { encoding: "utf8" });
  expect(whole.stdout).toContain(RESULT);
  const statements = Number(/(\d+) statements/.exec(whole.stdout)![1]);
  const every = process.env["PAWL_CASES"] === "long" ? 1 : 10;
  let kills = 0;
  for (let at = 1 + (Math.trunc(Date.now() / 1_000) % every); at <= statements; at += every) {
    const stage = newStage();
    const killed = spawnSync(process.execPath, argumentsOf(stage, 0), { encoding: "utf8", env: { ...process.env, KILL_AT: String(at) } });
    if (killed.signal === "SIGKILL") kills++;
    const death = { completed: completedIn(stage), lines: linesOf(stage).length };
    const again = spawnSync(process.execPath, argumentsOf(stage, 0), { encoding: "utf8" });
    expect(again.stdout, `killed at statement ${at}: ${again.stderr}`).toContain(RESULT);
    check(stage, [death]);
  }
  console.log(`${statements} statements, killed at ${kills} of them`);
  expect(kills).toBeGreaterThan(statements / every - 3);
}, 300_000);

test("killed again and again at any moment, also while it recovers, it ends with the same result", async () => {
  const { numRuns, seed } = cases({ short: 3, long: 100 });
  const random = seededRandom(seed);
  for (let round = 0; round < numRuns; round++) {
    const stage = newStage();
    const deaths: { completed: string[]; lines: number }[] = [];
    for (let life = 0; life < 4; life++) {
      const process_ = spawn(process.execPath, argumentsOf(stage, 20), { stdio: ["ignore", "pipe", "inherit"] });
      const timer = life === 3 ? undefined : setTimeout(() => process_.kill("SIGKILL"), 60 + random.next() * 250);
      let output = "";
      process_.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
      const [, signal] = (await once(process_, "exit")) as [number | null, string | null];
      clearTimeout(timer);
      if (signal === "SIGKILL") deaths.push({ completed: completedIn(stage), lines: linesOf(stage).length });
      else expect(output).toContain(RESULT);
    }
    check(stage, deaths);
  }
}, 300_000);
