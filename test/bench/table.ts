/**
 * The table as people read it. NOT measured: nothing is.
 */
import type { Row } from "./harness.ts";

const HEAD = ["measurement", "median", "min", "unit", "ratio", "target", ""];
/** Columns whose texts end at the same place. */
const RIGHT: ReadonlySet<number> = new Set([1, 2, 4]);

export function tableOf(results: readonly { readonly title: string; readonly rows: readonly Row[] }[]): string {
  const sections = results.map(({ title, rows }) => ({ title, cells: rows.map(cellsOf) }));
  const all = [HEAD, ...sections.flatMap(({ cells }) => cells)];
  const widths = HEAD.map((_, column) => Math.max(...all.map((cells) => cells[column]!.length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (RIGHT.has(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join("  ")
      .trimEnd();
  return [line(HEAD), ...sections.flatMap(({ title, cells }) => ["", `# ${title}`, ...cells.map(line)]), ""].join("\n");
}

function cellsOf({ measurement, unit, median, min, ratio, target, verdict }: Row): string[] {
  return [measurement, numberText(median), numberText(min), unit, ratio === undefined ? "" : ratio.toFixed(2), target ?? "", verdict ?? ""];
}

function numberText(value: number | undefined): string {
  if (value === undefined) return "";
  return value >= 1_000 ? Math.round(value).toLocaleString("en") : value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2);
}
