/**
 * What is said of machines: the board's invariant, and the words for states, events and waits.
 */
import { expect, test } from "vitest";
import { fromPromise, setup } from "xstate";
import { type ActorView, open } from "pawl";
import { actorLines } from "../../src/serve/actor-tree.ts";
import { MachineBoard } from "../../src/serve/machine-board.ts";
import { LineReporter } from "../../src/serve/line-reporter.ts";
import { machineLines } from "../../src/serve/machine-table-reporter.ts";
import { eventTypeText, machineEventText, stateText, waitsText } from "../../src/serve/machine-text.ts";

test("a board made from the history agrees with the rows on who lives and in which state, after every event", async () => {
  const never = fromPromise(() => new Promise(() => {}));
  const kid = setup({ actors: { never } }).createMachine({ id: "kid", initial: "a", states: { a: { after: { 5: "b" } }, b: { invoke: { src: "never" } } } });
  const nest = setup({ actors: { kid } }).createMachine({
    id: "nest",
    initial: "one",
    on: { ONE: ".one", TWO: ".two", NONE: ".none" },
    states: {
      none: {},
      one: { invoke: { id: "the one", src: "kid" } },
      two: {
        invoke: [
          { id: "left", src: "kid" },
          { id: "right", src: "kid" },
        ],
      },
    },
  });
  await using pawl = await open(":memory:");
  const run = await pawl.start(nest, { id: "n-1" });
  for (const type of ["TWO", "ONE", "NONE", "TWO", "ONE", "ONE"] as const) {
    await run.send({ type });
    await new Promise((resolve) => setTimeout(resolve, 10));
    const board = new MachineBoard();
    const before = (await run.status()).commitNo;
    for await (const entry of run.history()) board.apply(entry);
    const actors = await run.actors();
    if ((await run.status()).commitNo !== before) continue;
    const facts = ({ key, src, parent, state }: Pick<ActorView, "key" | "src" | "parent" | "state">): object => ({ key, src, parent, state });
    const living = actors.filter(({ status }) => status === "running");
    expect([...board.actors.values()].map(facts)).toEqual(living.map(facts));
    for (const { key } of living)
      expect([...board.childrenOf(key)].map((child) => child.key)).toEqual(living.filter(({ parent }) => parent === key).map((child) => child.key));
  }
  await pawl.close({ graceMs: 0 });
});

test.each([
  ["draft", "draft"],
  [{ open: "asking" }, "open.asking"],
  [{ a: { b: "c" }, d: {} }, "(a.b.c, d)"],
  [{}, ""],
  [undefined, ""],
  ["a\u001B[2Jb", "a [2Jb"],
])("the state %j is told as %j", (value, text) => expect(stateText(value)).toBe(text));

test.each([
  ["APPROVE", "APPROVE"],
  ["xstate.init", "begins"],
  ["xstate.after.1500.door.open", "after 1.5s"],
  ["xstate.after.remind.door.open", "after remind"],
  ["xstate.done.actor.fetch.user", "fetch.user is done"],
  ["xstate.error.actor.fetch", "fetch failed"],
  ["xstate.stop", "is stopped"],
])("the event %s is told as %j", (type, text) => expect(eventTypeText(type)).toBe(text));

test("what happened to a machine is told in words, with the actor that is not the machine itself", () => {
  expect(machineEventText({ type: "machine.turned", actor: "machine~1", event: "GO", value: { a: "b" } })).toBe("GO → a.b");
  expect(machineEventText({ type: "machine.turned", actor: "kid~2", event: "GO" })).toBe("kid~2: GO");
  expect(machineEventText({ type: "actor.ended", actor: "kid~2", name: "error" })).toBe("kid~2 failed");
  expect(machineEventText({ type: "node.started", node: "n" })).toBeUndefined();
});

test("what is waited for is told in one line, however many events there are", () => {
  const timer = {
    id: "t",
    actor: "machine~1",
    to: "machine~1",
    event: "REMIND",
    dueAt: new Date(2026, 0, 15, 14, 2, 11).getTime(),
    policy: "deadline",
  } as const;
  expect(waitsText({ events: ["A", "B"], timers: [] })).toBe("waits for an event: A, B");
  expect(waitsText({ events: [], timers: [timer] })).toBe("waits: REMIND at 2026-01-15 14:02:11");
  expect(waitsText({ events: ["A"], timers: [timer] })).toBe("waits for an event: A, or REMIND at 2026-01-15 14:02:11");
  expect(waitsText({ events: [], timers: [] })).toBe("waits for an event, but takes none in this state");
  expect(waitsText({ events: Array.from({ length: 10 }, (_, i) => `E${i}`), timers: [] })).toBe(
    "waits for an event: E0, E1, E2, E3, E4, E5, E6, E7 and 2 more",
  );
});

test("the frame on a terminal is no higher than the terminal, however many actors there are", () => {
  const board = new MachineBoard();
  for (let i = 0; i < 30; i++) board.applyEvent({ type: "actor.started", actor: `kid~${i}`, name: "kid" });
  const lines = machineLines(board, { events: ["A"], timers: [] }, { now: 0, rows: 6, stream: process.stderr });
  expect(lines).toHaveLength(6);
  expect(lines[4]).toBe("  … and 27 more actors");
  expect(lines[5]).toContain("waits for an event: A");
});

test("actors are a tree in depth-first order, and a long one is cut", () => {
  const actor = (key: string, parent?: string): ActorView => ({
    ...{
      key,
      parent,
      id: key,
      src: "x",
      agent: undefined,
      status: "running",
      state: undefined,
      context: undefined,
      output: undefined,
      error: undefined,
      timers: [],
      commitNo: 1,
    },
  });
  const tree = [actor("machine~1"), actor("a~2", "machine~1"), actor("b~3", "machine~1"), actor("a~2/c~4", "a~2")];
  expect(actorLines(tree, process.stderr).map((line) => /^ *\S+/.exec(line)![0])).toEqual(["ACTOR", "machine~1", "  a~2", "    c~4", "  b~3"]);
  const many = [actor("machine~1"), ...Array.from({ length: 150 }, (_, i) => actor(`a~${i + 2}`, "machine~1"))];
  expect(actorLines(many, process.stderr).at(-1)).toBe("… and 51 more actors (--json has all of them)");
});

test("the same wait is told once, another one again", () => {
  let written = "";
  const reporter = new LineReporter({ write: (text: string) => (written += text) } as unknown as NodeJS.WriteStream);
  for (const events of [["A"], ["A"], ["B"], ["A"]]) reporter.waits({ events, timers: [] });
  expect(written.match(/: [AB]$/gm)).toEqual([": A", ": B", ": A"]);
});
