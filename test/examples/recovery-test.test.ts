/**
 * The example of a recovery test finds the card that is charged twice, and nothing when the charge has a key.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

test("the example tells how the card is charged twice, and passes with a key", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ["--conditions=pawl-source", "examples/recovery-test/main.ts"], { cwd: root });
  expect(stdout).toBe(
    [
      '"order" does not survive a crash:',
      "  1. start",
      "  2. send CONFIRM",
      'The process is killed right after the action "charge"; the next one goes on.',
      'It does not hold that "a card is charged once", in {"status":"done","value":"ordered"}',
      "",
      "With a key it is charged once on each of 3 paths, whichever of 15 crashes strikes.",
      "",
    ].join("\n"),
  );
});
