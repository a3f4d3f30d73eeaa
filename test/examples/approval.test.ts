/**
 * The approval example, told by its commands: a person decides, the deadline keeps its instant, a kill loses nothing.
 */
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { temporaryFolder } from "../temporary-folder.ts";
import { runExample, startExample, until } from "./example-process.ts";
import { storedState } from "./witness.ts";

const EXAMPLE = "examples/approval/main.ts";
const DAY_MS = 86_400_000;

test("killed while its agent reads, it waits for a person until the same instant in every process, and is decided once", async () => {
  const store = join(temporaryFolder().path, "pawl.db");
  const say = async (...words: string[]): Promise<string> => {
    const { code, output } = await runExample(EXAMPLE, ["contract.pdf", ...words, "--store", store]);
    expect(code, output).toBe(0);
    return output;
  };
  const example = startExample(EXAMPLE, ["contract.pdf", "--store", store]);
  await until(example, () => storedState(store, "contract.pdf") === "reading");
  await example.kill("group");
  const waits = await say();
  const [, until24h] = /^contract.pdf \(risk: high\) waits for approve or reject until (.*)\n$/.exec(waits)!;
  expect(Math.abs(Date.parse(until24h!) - Date.now() - DAY_MS)).toBeLessThan(60_000);
  expect(await say()).toBe(waits);
  const approved = "contract.pdf (risk: high) is approved by ana\n";
  expect(await say("approve", "--by", "ana")).toBe(approved);
  expect(await say("approve", "--by", "ana")).toBe(approved);
  expect(await say("reject", "--by", "eva")).toBe(approved);
});

test("a deadline that passes while no process lives is due when the next one starts", async () => {
  const store = join(temporaryFolder().path, "pawl.db");
  const show = async (): Promise<string> => (await runExample(EXAMPLE, ["letter.pdf", "--minutes", "0.02", "--store", store])).output;
  expect(await show()).toContain("letter.pdf (risk: low) waits for approve or reject until ");
  await vi.waitFor(async () => expect(await show()).toBe("letter.pdf (risk: low) is lapsed by nobody\n"), { timeout: 20_000 });
});

test("an unknown decision is refused with how to say it", async () => {
  expect(await runExample(EXAMPLE, ["contract.pdf", "maybe"])).toMatchObject({ code: 64, output: expect.stringContaining("approve | reject") });
});
