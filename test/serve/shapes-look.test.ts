/**
 * What is said of maps, loops, choices and events: in tables, lines and drawings. A map is one line, however long it is, and
 * costs no more to look at.
 */
import { countedWork } from "./counted-work.ts";
import { Writable } from "node:stream";
import { expect, test } from "vitest";
import type { HistoryEntry, HistoryEvent, NodeView } from "pawl";
import type { GraphNode } from "../../src/serve/board-node.ts";
import { Board } from "../../src/serve/board.ts";
import { dotText, drawingOf, mermaidText } from "../../src/serve/drawing.ts";
import { eventText } from "../../src/serve/event-text.ts";
import { LineReporter } from "../../src/serve/line-reporter.ts";
import { MapLines } from "../../src/serve/map-lines.ts";
import { nodeLines } from "../../src/serve/node-table.ts";
import { sendCommand } from "../../src/serve/node-text.ts";
import { tableLines } from "../../src/serve/table-reporter.ts";

const ESCAPE = "\u001B";
const plain = (text: string): string => text.replace(new RegExp(`${ESCAPE}\\[[?\\d;]*[A-Za-z]`, "g"), "");
/** A stream that is no terminal. */
const streamTo = (write: (text: string) => void): NodeJS.WriteStream =>
  new Writable({ write: (chunk, _, done) => (write(plain(String(chunk))), done()) }) as NodeJS.WriteStream;
const started = (node: string, more: object = {}): HistoryEvent => ({ type: "node.started", node, ...more });
const completed = (node: string): HistoryEvent => ({ type: "node.completed", node });
const failed = (node: string, type: "node.failed" | "node.skipped" | "node.backingOff" = "node.failed"): HistoryEvent => ({
  type,
  node,
  attempt: 1,
  code: "E",
  message: "no",
});

const GRAPH: readonly GraphNode[] = [
  { id: "plan", agent: "planner", dependencies: [], stage: "reading" },
  { id: "read", agent: "reader", kind: "map", dependencies: ["plan"], stage: "reading" },
  { id: "refine", agent: "editor", kind: "repeat", dependencies: ["read"], stage: "writing" },
  { id: "review", agent: "event", kind: "event", dependencies: ["refine"] },
  { id: "good", agent: "when", kind: "when", dependencies: ["review"] },
  { id: "print", agent: "printer", dependencies: [], memberOf: { group: "good", branch: "then" } },
  { id: "mail", agent: "mailer", dependencies: ["print"], memberOf: { group: "good", branch: "then" } },
  { id: "file", agent: "filer", dependencies: [], memberOf: { group: "good", branch: "else" } },
  { id: "tell", agent: "mailer", dependencies: [], memberOf: { group: "good", branch: "else" } },
];

/** The board of a run with a map of so many items, in which this happened. */
function boardWith(items: number, ...events: readonly HistoryEvent[]): Board {
  const board = new Board(GRAPH);
  board.apply({ commitNo: 1, at: 0, events: [{ type: "run.started" }, started("plan", { attempt: 1 })] });
  board.apply({ commitNo: 2, at: 100, events: [completed("plan"), started("read", { items })] });
  board.apply({ commitNo: 3, at: 200, events });
  return board;
}

const READ: readonly HistoryEvent[] = [0, 1, 2].flatMap((i) => [started(`read[${i}]`, { attempt: 1 }), completed(`read[${i}]`)]);
const linesOf = (board: Board, rows = 20): string[] => tableLines(board, { now: 1_200, rows, stream: process.stderr }).map(plain);

test("a map is one row with its counts, and those of its items beneath it that failed, back off or run", () => {
  const running = Array.from({ length: 6 }, (_, i) => started(`read[${i + 3}]`, { attempt: 1 }));
  const board = boardWith(10_000, ...READ, ...running, failed("read[3]", "node.skipped"), failed("read[4]", "node.backingOff"), failed("read[5]"));
  expect(linesOf(board)).toEqual([
    "5 of 10009 nodes done, 1.2s",
    "  reading  plan       completed     100ms",
    "           read       blocked       1.1s   3/10000 done, 1 failed, 1 skipped, 3 running, 1 backing off",
    "             read[5]  failed        0ms    E no",
    "             read[4]  backingOff    0ms    E no",
    "             read[6]  running       1.0s",
    "             read[7]  running       1.0s",
    "             read[8]  running       1.0s",
    "  writing  refine     blocked              needs read",
    "           review     blocked              needs refine",
    "           good       blocked              needs review",
    "             print    blocked              needs good",
    "             mail     blocked              needs good, print",
    "             file     blocked              needs good",
    "             tell     blocked              needs good",
  ]);
});

test("a loop says its round, a choice its branch, an event until when it is awaited; what is not taken is one dim row", () => {
  const rounds = [started("refine"), started("refine[0]", { attempt: 1 }), completed("refine[0]"), started("refine[1]", { attempt: 1 })];
  const looping = boardWith(3, ...READ, completed("read"), ...rounds);
  expect(linesOf(looping)).toContainEqual(expect.stringMatching(/refine +running +1\.0s +round 2$/));
  looping.apply({ commitNo: 4, at: 300, events: [completed("refine[1]"), completed("refine"), started("review", { dueAt: 0 })] });
  expect(linesOf(looping)).toContainEqual(expect.stringMatching(/review +awaited +900ms +until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/));
  looping.apply({
    commitNo: 5,
    at: 400,
    events: [completed("review"), started("good", { branch: "then" }), started("print", { attempt: 1, childRun: "r/print" })],
  });
  expect(linesOf(looping).slice(-4)).toEqual([
    expect.stringMatching(/ good +running +800ms +took then$/),
    expect.stringMatching(/ {3}print +running +800ms +run r\/print$/),
    expect.stringMatching(/ {3}mail +waiting +waits for print$/),
    expect.stringMatching(/ {3}… +not taken: file, tell$/),
  ]);
  expect(looping.done).toBe(9);
  expect(linesOf(looping)[0]).toBe("9 of 12 nodes done, 2 not taken, 1.2s");
});

test("in a frame that is too low for all, what failed, backs off or runs is left, under its map", () => {
  const board = boardWith(10_000, ...READ, started("read[3]", { attempt: 1 }));
  expect(linesOf(board, 6)).toEqual([
    "4 of 10009 nodes done, 1.2s",
    expect.stringContaining("completed"),
    expect.stringMatching(/^ +reading +read +running +1\.1s +3\/10000 done, 1 running$/),
    expect.stringMatching(/read\[3\] +running/),
  ]);
});

test("looking at a map costs the same however long it is: for each event, for each frame, for each line", async () => {
  const work = async (items: number): Promise<number[]> => {
    const board = boardWith(items);
    const maps = new MapLines(board);
    for (let i = 0; i < items; i++) {
      const events = i % 2 === 0 ? [failed(`read[${i}]`, i % 4 === 0 ? "node.failed" : "node.backingOff")] : [started(`read[${i}]`, { attempt: 1 })];
      board.apply({ commitNo: i + 3, at: i, events });
      for (const event of events) maps.takes(event);
    }
    const entry: HistoryEntry = { commitNo: items + 3, at: items, events: [completed("read[1]")] };
    return [
      await countedWork("/src/serve/", () => board.apply(entry)),
      await countedWork("/src/serve/", () => void tableLines(board, { now: items, rows: 20, stream: process.stderr })),
      await countedWork("/src/serve/", () => void tableLines(board, { now: items, rows: 5, stream: process.stderr })),
      await countedWork("/src/serve/", () => void (maps.takes(entry.events[0]!), [...maps.news(items * 10)])),
    ];
  };
  await work(100);
  const [short, long] = [await work(200), await work(20_000)];
  for (const [i, counted] of short.entries()) {
    expect(counted).toBeGreaterThan(0);
    expect(Math.abs(long[i]! - counted), `${counted} for 200 items, ${long[i]} for 20,000`).toBeLessThan(5 + counted / 10);
  }
});

test("lines tell of a long map how far it is every few seconds, and of its first failures", () => {
  let written = "";
  const reporter = new LineReporter(streamTo((text) => (written += text)));
  const board = boardWith(100_000);
  reporter.begins({ run: { id: "r" } as never, workflow: "w", standing: { kind: "workflow", board }, isContinued: false, words: ["r"] });
  for (let i = 0; i < 100_000; i++) {
    const entry: HistoryEntry = { commitNo: i + 4, at: 200 + i, events: [i % 1_000 === 0 ? failed(`read[${i}]`, "node.skipped") : completed(`read[${i}]`)] };
    board.apply(entry);
    reporter.happened(entry);
  }
  const end: HistoryEntry = { commitNo: 200_000, at: 100_300, events: [completed("read")] };
  board.apply(end);
  reporter.happened(end);
  const lines = written.trim().split("\n");
  expect(lines.length).toBeLessThan(60);
  expect(lines.filter((line) => line.includes("skipped, attempt 1: E no"))).toHaveLength(20);
  expect(lines.filter((line) => /read: \d+\/100000 done, \d+ skipped/.test(line))).toHaveLength(19);
  expect(lines.at(-1)).toMatch(/read completed in 1m40s: 99900\/100000 done, 100 skipped$/);
});

test("lines name the command that answers an event, once", () => {
  let written = "";
  const reporter = new LineReporter(streamTo((text) => (written += text)));
  reporter.begins({ run: { id: "r" } as never, workflow: "w", standing: { kind: "workflow", board: new Board(GRAPH) }, isContinued: false, words: ["r"] });
  const schema = { type: "object", properties: { approved: { type: "boolean" } }, required: ["approved"] };
  const review = { type: "review", since: 0, dueAt: undefined, schema };
  reporter.waits({ events: ["review"], timers: [], awaited: [review] });
  reporter.waits({ events: ["review", "note"], timers: [], awaited: [review, { ...review, type: "note", schema: undefined }] });
  reporter.waits({ events: ["review"], timers: [], awaited: [review] });
  expect(written.match(/pawl send .*/g)).toEqual([`pawl send r review '{"approved": <boolean>}'`, "pawl send r note '{…}'"]);
});

test.each([
  [{ type: "object", properties: {}, required: [] }, "pawl send r go --store s.db"],
  [undefined, "pawl send r go '{…}' --store s.db"],
  [
    { type: "object", properties: { by: { enum: ["a", "b"] }, why: { const: 1 } }, required: ["by", "why"] },
    `pawl send r go '{"by": <"a"|"b">, "why": 1}' --store s.db`,
  ],
  [
    { type: "object", properties: { long: { const: "x".repeat(200) }, b: { const: "y".repeat(90) } }, required: ["long", "b"] },
    "pawl send r go '{…}' --store s.db",
  ],
])("the command for an event of schema %j", (schema, command) => {
  expect(sendCommand({ type: "go", schema }, ["r", "--store", "s.db"])).toBe(command);
});

test.each<[HistoryEvent, NodeView["kind"], string]>([
  [started("read", { items: 1 }), "map", "read opened with 1 item"],
  [started("good", { branch: "then" }), "when", "good took then"],
  [started("kind", { branch: "" }), "route", "kind took otherwise"],
  [started("good"), "when", "good took no branch"],
  [started("review"), "event", "review is awaited"],
  [completed("review"), "event", "review came"],
  [{ type: "node.skipped", node: "review", code: "PAWL_EVENT_TIMEOUT", message: "late" }, "event", "review did not come in time: skipped"],
  [{ type: "node.failed", node: "review", code: "PAWL_EVENT_TIMEOUT", message: "late" }, "event", "review did not come in time"],
  [started("one", { attempt: 2, childRun: "r/one~2" }), "call", "one started, attempt 2 as run r/one~2"],
])("%j of a %s in words", (event, kind, text) => {
  expect(eventText(event, () => ({ kind }))).toBe(text);
});

test("a table of nodes has a row for a map of any length, and no more rows than people read", () => {
  const node = (id: string, more: Partial<NodeView>): NodeView => ({ ...NODE, id, ...more });
  const items = Array.from({ length: 1_000 }, (_, position) =>
    node(`read[${position}]`, {
      memberOf: { group: "read", position },
      ...(position === 7 ? { status: "failed", failure: { kind: "critical", code: "E", message: "no", retryable: false } } : { status: "completed" }),
    }),
  );
  const views = [
    node("read", { kind: "map", status: "blocked", items: 1_000, upstreamFailures: ["read[7]"] }),
    ...items,
    node("next", { dependencies: ["read"] }),
  ];
  expect(nodeLines(views, process.stderr).map(plain)).toEqual([
    "NODE       STATUS   ATTEMPT  TIME  AGENT   WHY",
    "read       blocked                 reader  999/1000 done, 1 failed; failed before it: read[7]",
    "  read[7]  failed                  reader  E no",
    "next       waiting                 reader  waits for read",
  ]);
  const wide = Array.from({ length: 150 }, (_, i) => node(`n${i}`, { status: i === 149 ? "failed" : "completed" }));
  const lines = nodeLines(wide, process.stderr).map(plain);
  expect(lines).toHaveLength(102);
  expect(lines[1]).toMatch(/^n149 +failed/);
  expect(lines.at(-1)).toBe("… and 50 more nodes (--json has all of them)");
});

const NODE: NodeView = {
  id: "",
  agent: "reader",
  kind: "call",
  stage: undefined,
  memberOf: undefined,
  status: "waiting",
  dependencies: [],
  attempt: 0,
  startedAt: undefined,
  endedAt: undefined,
  failure: undefined,
  retryAt: undefined,
  recoveries: 0,
  action: undefined,
  warnedAt: undefined,
  progress: undefined,
  childRun: undefined,
  dueAt: undefined,
  items: undefined,
  branch: undefined,
  overridden: undefined,
  generation: 1,
  upstreamFailures: [],
};

test("drawings: a choice has an arrow to what begins each branch, stages are boxes, and names of branches are only text", () => {
  const drawing = drawingOf(
    "w",
    undefined,
    [
      { id: "kind", kind: "route", agent: "route", stage: "triage" },
      { id: "fix", kind: "call", agent: "fixer", memberOf: { group: "kind", branch: `a "bug" | ] --> x` } },
      { id: "test", kind: "call", agent: "tester", memberOf: { group: "kind", branch: `a "bug" | ] --> x` } },
      { id: "refine", kind: "repeat", agent: "editor", max: 3, memberOf: { group: "kind", branch: "" } },
      { id: "ask", kind: "event", agent: "event", status: "running" },
    ],
    [{ from: "fix", to: "test", isOrderOnly: false }],
  );
  expect(mermaidText(drawing).split("\n").slice(4, -1)).toEqual([
    '  subgraph sn0["triage"]',
    '    n0{"kind<br/>route"}',
    "  end",
    '  n1["fix<br/>fixer"]',
    '  n2["test<br/>tester"]',
    '  n3[["refine<br/>editor, again up to 3 times"]]',
    '  n4(["ask<br/>awaited"]):::running',
    "  n1 --> n2",
    '  n0 -.->|"a #34;bug#34; #124; #93; --#62; x"| n1',
    '  n0 -.->|"otherwise"| n3',
    expect.stringContaining("classDef running"),
  ]);
  const dot = dotText(drawing);
  expect(dot).toContain(String.raw`n0 -> n1 [label="a \"bug\" | ] --> x", style=dotted]`);
  expect(dot).toMatch(/subgraph "cluster_n0" \{\n +label="triage"\n +n0 \[label="kind\\nroute", shape=diamond\]\n +\}/);
});
