/**
 * The process that stays, in which most tests run their commands: what a verb prints there, and the code with which it
 * ends, are those of the real program.
 */
import { expect, test } from "vitest";
import { cases } from "../sim/cases.ts";
import { APPROVAL, type Ended, type Folder, HELD, makeFolder } from "./command.ts";

/** Verb after verb, on one store, to each kind of end. */
const COMMANDS: readonly (readonly string[])[] = [
  ["--help"],
  ["rnu"],
  ["run", "held.yaml", "--id", "r-1", "--input", '{"text": "done"}'],
  ["start", "approval.ts", "--id", "doc-7"],
  ["send", "doc-7", "APPROVE"],
  ["pause", "doc-7"],
  ["resume", "doc-7"],
  ["cancel", "doc-7", "--now", "--json"],
  ["ls"],
  ["show", "r-1", "--history"],
  ["show", "r-1", "--result", "first"],
  ["show", "r-7"],
  ["schema", "--json"],
  ["schedules", "ls"],
  ["breaker", "ls"],
  ["breaker", "open", "openai", "--json"],
  ["limits", "ls"],
  ["limits", "set", "lmTokens", "3"],
  ["run", "missing.yaml", "--json"],
  ["why", "doc-7"],
  ["why", "r-7"],
  ["failures"],
  ["counts"],
  ["health"],
  ["timeouts"],
  ["watch", "r-1"],
  ["watch", "doc-7"],
  ["inspect", "r-1", "--json"],
  ["retry", "r-1"],
  ["override", "r-1", "held", "--skip", "--by", "ana"],
  ["override", "doc-7", "held", "--result", "1", "--json"],
  ["override", "r-1", "held"],
  ["fork", "r-1", "--from", "last", "--id", "r-2", "--yes"],
  ["check", "held.yaml"],
  ["graph", "approval.ts"],
  ["prune", "--older", "30d"],
  ["backup", "copy.db"],
  ["restore", "copy.db", "--force"],
  ["doctor", "--json"],
  ["work", "missing.yaml"],
];

/** All in the long form, a third of them otherwise, another one each time: those of one verb stand beside each other. */
const IS_LONG = process.env["PAWL_CASES"] === "long";
const { seed } = cases({ short: 1, long: 1 });
const CHOSEN = COMMANDS.filter((_, i) => IS_LONG || i % 3 === seed % 3);

test("a command says the same words there as in a process of its own, and ends with the same code", async () => {
  const alone = await endsOf((folder, words) => folder.start(...words).ended);
  const resident = await endsOf((folder, words) => folder.pawl(...words));
  expect(resident).toEqual(alone);
  if (IS_LONG) expect(new Set(resident.map(({ code }) => code))).toEqual(new Set([0, 1, 2, 3, 5, 6]));
}, 300_000);

async function endsOf(run: (folder: Folder, words: readonly string[]) => Promise<Ended>): Promise<Ended[]> {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  folder.write("approval.ts", APPROVAL);
  folder.open("held");
  const ends: Ended[] = [];
  for (const words of CHOSEN) {
    const { code, stdout, stderr } = await run(folder, words);
    ends.push({ code, stdout: lasting(stdout, folder), stderr: lasting(stderr, folder) });
  }
  return ends;
}

/** What is printed, without what differs from time to time and from place to place. */
function lasting(text: string, { path }: Folder): string {
  return text
    .replaceAll(path, "FOLDER")
    .replaceAll(/\b[\d.]+m?s\b/g, "TIME")
    .replaceAll(/\d+/g, "N")
    .replaceAll(/ +/g, " ");
}
