/**
 * The live table: on a real terminal, by util-linux's `script`, and as lines for a given size.
 */
import { expect, test } from "vitest";
import { Board } from "../../src/serve/board.ts";
import { Screen } from "../../src/serve/screen.ts";
import { tableLines } from "../../src/serve/table-reporter.ts";
import { AGENTS_OF_DOCUMENT, HELD, makeFolder } from "./command.ts";

const ESCAPE = "\u001B";
/** The frames that were drawn: each begins by clearing what is below. */
const framesOf = (text: string): string[] => text.split(`${ESCAPE}[J`).slice(1);
const plain = (text: string): string => text.replace(new RegExp(`${ESCAPE}\\[[?\\d;]*[A-Za-z]`, "g"), "");

test("on a terminal the nodes are a table that is redrawn in place, then the output follows", async () => {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  const command = folder.startOnTerminal(24, "run", "held.yaml", "--input", '{"text": "done"}');
  await command.printed("waits for held");
  await command.printed("1 of 3 nodes done");
  folder.open("held");
  const { code, stdout } = await command.ended;
  expect(code).toBe(0);
  const frames = framesOf(stdout).map(plain);
  expect(frames.some((frame) => /first +completed .*\r\n +held +running .*\r\n +last +waiting +waits for held/.test(frame))).toBe(true);
  expect(frames.at(-1)).toMatch(/3 of 3 nodes done.*\r\n +first +completed.*\r\n +held +completed.*\r\n +last +completed.*\r\n.*"text": "done!"/s);
});

test("Ctrl-C on a terminal closes gracefully, below the table", async () => {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  const command = folder.startOnTerminal(24, "run", "held.yaml", "--id", "r-1", "--input", '{"text": "done"}');
  await command.printed("1 of 3 nodes done");
  command.type("\u0003");
  await command.printed("closing: running attempts get 10 s");
  folder.open("held");
  expect(await command.ended).toMatchObject({
    code: 130,
    stdout: expect.stringMatching(/closed; the same command goes on with it(?!.*nodes done)/s) as string,
  });
  expect((await folder.pawl("run", "held.yaml", "--id", "r-1")).code).toBe(0);
});

test("with more nodes than lines the table counts by status, and no frame is higher than the terminal", async () => {
  const folder = makeFolder();
  const nodes = Array.from({ length: 40 }, (_, i) => `  n${i}: { agent: ${i === 0 ? "gate" : "echo"} }`);
  folder.write("wide.yaml", `name: wide\n${AGENTS_OF_DOCUMENT}\nnodes:\n${nodes.join("\n")}\n`);
  const command = folder.startOnTerminal(10, "run", "wide.yaml");
  await command.printed("1 running, 39 completed");
  folder.open("n0");
  const { stdout } = await command.ended;
  const heights = framesOf(stdout.slice(stdout.indexOf("nodes done"))).map((frame) => frame.split("\n").length - 1);
  expect(Math.max(...heights)).toBeLessThan(10);
});

test("failed nodes come before running ones when there is not room for all", () => {
  const board = new Board(Array.from({ length: 30 }, (_, i) => ({ id: `n${i}`, agent: "echo", dependencies: [] })));
  const events = Array.from({ length: 30 }, (_, i) => ({ type: "node.started" as const, node: `n${i}`, attempt: 1 }));
  board.apply({ commitNo: 1, at: 0, events });
  board.apply({ commitNo: 2, at: 500, events: [{ type: "node.failed", node: "n29", attempt: 1, code: "E", message: "no\u001B[31m" }] });
  const lines = tableLines(board, { now: 1_000, rows: 6, stream: process.stderr }).map(plain);
  expect(lines).toEqual([
    "0 of 30 nodes done, 1.0s",
    "29 running, 1 failed",
    "  n29  failed     500ms  E no [31m",
    "  n0   running    1.0s",
    "  n1   running    1.0s",
    "  n2   running    1.0s",
  ]);
});

test("a line printed above the table moves the table down by one", () => {
  let written = "";
  const screen = new Screen({ rows: 10, write: (text: string) => (written += text) } as unknown as NodeJS.WriteStream);
  screen.draw(["a", "b"]);
  screen.above("note");
  screen.draw(["c"]);
  expect(framesOf(written).map(plain)).toEqual(["a\nb\n\r", "note\na\nb\n\r", "c\n"]);
  expect(written.match(/\[(\d+)A/g)).toEqual(["[2A", "[2A"]);
});
