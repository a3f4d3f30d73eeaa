/**
 * The chart: well-formed and legible whatever its texts are.
 */
import { expect, test } from "vitest";
import { drawBars, drawChart, escapeText } from "../../examples/analytics/draw-chart.ts";

const HOSTILE = `</text><script>alert("1 & 2")</script>'\u0000\u0007`;

test("markup in a text is drawn as text", () => {
  expect(escapeText(HOSTILE)).toBe("&lt;/text&gt;&lt;script&gt;alert(&quot;1 &amp; 2&quot;)&lt;/script&gt;&apos;");
  const svg = drawChart({ title: HOSTILE, unit: HOSTILE, rows: [{ label: HOSTILE, value: 1 }] });
  expect(svg).not.toContain("<script>");
  expect(svg).not.toContain("\u0000");
  expectWellFormed(svg);
});

test("each row has its label, its bar and its value, and the longest bar is the largest value", () => {
  const svg = drawChart({
    title: "People",
    unit: "people",
    rows: [
      { label: "Monaco", value: 39_000 },
      { label: "Malta", value: 530_000 },
    ],
  });
  expectWellFormed(svg);
  for (const text of ["People", "people", "Monaco", "39K", "Malta", "530K"]) expect(svg).toContain(`>${text}</`);
  const lengths = [...svg.matchAll(/<rect x="\d+" y="\d+" width="([\d.]+)"/g)].map(([, width]) => Number(width));
  expect(lengths.length).toBe(2);
  expect(lengths[1]! / lengths[0]!).toBeCloseTo(530 / 39, 0);
});

test("everything stays inside: long labels, long titles, no rows, zeros", () => {
  const label = "Saint Vincent and the Grenadines and more";
  for (const rows of [[], [{ label, value: 0 }], Array.from({ length: 20 }, (_, i) => ({ label: `${label} ${i}`, value: i * 1e9 }))]) {
    const svg = drawChart({ title: "T".repeat(200), unit: "people", rows });
    expectWellFormed(svg);
    const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)!.map(Number);
    for (const [, x, y] of svg.matchAll(/ x="([\d.]+)" y="([\d.]+)"/g)) {
      expect(Number(x)).toBeLessThan(width! - 40);
      expect(Number(y)).toBeLessThan(height!);
    }
  }
  expect(drawChart({ title: "Nothing", unit: "", rows: [] })).toContain("No data");
});

test("a terminal gets a line of blocks for each row", () => {
  const rows = [
    { label: "Asia", value: 4 },
    { label: "Oceania", value: 1 },
  ];
  expect(drawBars(rows)).toEqual([`Asia     ${"█".repeat(36)} 4`, `Oceania  ${"█".repeat(9)} 1`]);
});

/** Tags are closed in order, and no bare `<`, `>` or `&` is left. */
function expectWellFormed(svg: string): void {
  const open: string[] = [];
  const rest = svg.replace(/<(\/?)([a-z]+)((?: [a-zA-Z-]+="[^"<>&]*")*)(\/?)>/g, (_, closing: string, name: string, attributes: string, empty: string) => {
    if (closing !== "") expect(open.pop()).toBe(name);
    else if (empty === "") open.push(name);
    expect(attributes).not.toMatch(/NaN|undefined|Infinity/);
    return "";
  });
  expect(open).toEqual([]);
  expect(rest.replace(/&(amp|lt|gt|quot|apos);/g, "")).not.toMatch(/[<>&]/);
}
