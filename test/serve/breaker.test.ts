/**
 * `pawl breaker`: what state breakers are in, and an operator's word, in any process beside the workers.
 */
import { join } from "node:path";
import { expect, test } from "vitest";
import { breakerOf } from "../../src/define/breaker.ts";
import { freshRow, nextRow } from "../../src/run/breaker-row.ts";
import { changeShared } from "../../src/run/shared-rows.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { HELD, makeFolder } from "./command.ts";

test("ls shows each breaker; open, close and reset say how it is to be; an unknown name is 5", async () => {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  await folder.pawl("start", "held.yaml", "--id", "r-1", "--input", '{"text": "x"}');
  expect(await folder.pawl("breaker", "ls")).toEqual({ code: 0, stdout: "", stderr: "no circuit breakers\n" });
  const store = openSqliteStore(join(folder.path, ".pawl/pawl.db"), { mustExist: true });
  for (const [name, failures] of [
    ["openai", 5],
    ["search", 1],
  ] as const) {
    const policy = { name, ...breakerOf(true, "test").policy };
    await changeShared(store, `breaker:${name}`, () => freshRow(policy, 1_000));
    for (let i = 0; i < failures; i++)
      await changeShared(store, `breaker:${name}`, (value, isOpen) => nextRow(value, policy, { type: "call.failed", at: 2_000, durationMs: 0 }, isOpen).row);
  }
  await store.close();
  const { stdout } = await folder.pawl("breaker", "ls");
  expect(stdout).toMatch(/^BREAKER +STATE +SINCE +FAILURES +OPENINGS +NEXT +LAST FAILURE\n/);
  expect(stdout).toMatch(/^openai +open +\S+ \S+ +5 +1 +a call tries from \S+ \S+ *$/m);
  expect(stdout).toMatch(/^search +closed +\S+ \S+ +1 +0 *$/m);
  expect(await folder.pawl("breaker", "close", "openai")).toEqual({ code: 0, stdout: "breaker openai is forced closed\n", stderr: "" });
  expect((await folder.pawl("breaker", "ls")).stdout).toMatch(/^openai +forced closed .* until it is reset *$/m);
  expect(JSON.parse((await folder.pawl("breaker", "open", "search", "--json")).stdout)).toMatchObject({
    name: "search",
    state: "forcedOpen",
    reason: "forced",
  });
  expect((await folder.pawl("breaker", "reset", "search")).stdout).toBe("breaker search is closed\n");
  expect(JSON.parse((await folder.pawl("breaker", "ls", "--json")).stdout)).toMatchObject([
    { name: "openai", state: "forcedClosed" },
    { name: "search", state: "closed", failures: 0, policy: { failureThreshold: 5, openForMs: 60_000 } },
  ]);
  expect(await folder.pawl("breaker", "open", "serch")).toEqual({
    code: 5,
    stdout: "",
    stderr: 'PAWL_BREAKER_NOT_FOUND there is no breaker "serch"; did you mean "search"?\nnext: see `pawl breaker ls`\n',
  });
});
