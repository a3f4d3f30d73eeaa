/**
 * Draws rows as a bar chart: SVG text for files and pages, block characters for a terminal. Pure.
 * Every text that is drawn is escaped, whatever it is made of.
 */
import { shortNumber } from "./describe-query.ts";
import type { Rows } from "./messages.ts";

const WIDTH = 760;
const MARGIN = 24;
const HEAD = 84;
const ROW = 34;
const BAR = 22;
const LABEL_MAX = 24;
const LABEL_CHARACTER = 8.2;
const TITLE_MAX = 100;
const VALUE_WIDTH = 70;
const TERMINAL_BAR = 36;

interface Chart {
  readonly title: string;
  readonly unit: string;
  readonly rows: Rows;
}

/** A whole SVG document. */
export function drawChart({ title, unit, rows }: Chart): string {
  const height = HEAD + Math.max(1, rows.length) * ROW + MARGIN;
  const labelWidth = Math.ceil(Math.max(0, ...rows.map(({ label }) => shorten(label).length)) * LABEL_CHARACTER) + 12;
  const left = MARGIN + labelWidth;
  const longest = WIDTH - MARGIN - VALUE_WIDTH - left;
  const top = Math.max(0, ...rows.map(({ value }) => value)) || 1;
  const bars = rows.map(({ label, value }, i) => {
    const y = HEAD + i * ROW;
    const length = Math.max(1, (Math.max(0, value) / top) * longest);
    const baseline = (y + BAR / 2 + 5).toFixed(1);
    return [
      `  <text x="${left - 10}" y="${baseline}" text-anchor="end" font-size="14">${escapeText(shorten(label))}</text>`,
      `  <rect x="${left}" y="${y}" width="${length.toFixed(1)}" height="${BAR}" rx="3" fill="#2f6db5"/>`,
      `  <text x="${(left + length + 8).toFixed(1)}" y="${baseline}" font-size="13" fill="#444444">${escapeText(shortNumber(value))}</text>`,
    ].join("\n");
  });
  if (bars.length === 0) bars.push(`  <text x="${MARGIN}" y="${HEAD + 14}" font-size="14">No data</text>`);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" font-family="Helvetica, Arial, sans-serif" fill="#1d1d1f">`,
    `  <title>${escapeText(title)}</title>`,
    `  <rect width="100%" height="100%" fill="#ffffff"/>`,
    `  <text x="${MARGIN}" y="38" font-size="${titleSize(title)}" font-weight="bold">${escapeText(shorten(title, TITLE_MAX))}</text>`,
    `  <text x="${MARGIN}" y="60" font-size="13" fill="#666666">${escapeText(unit)}</text>`,
    ...bars,
    "</svg>\n",
  ].join("\n");
}

/** The same bars for a terminal, a line each. */
export function drawBars(rows: Rows): string[] {
  const top = Math.max(0, ...rows.map(({ value }) => value)) || 1;
  const width = Math.max(0, ...rows.map(({ label }) => shorten(label).length));
  return rows.map(({ label, value }) => {
    const bar = "█".repeat(Math.max(1, Math.round((Math.max(0, value) / top) * TERMINAL_BAR)));
    return `${shorten(label).padEnd(width)}  ${bar} ${shortNumber(value)}`;
  });
}

function shorten(text: string, lengthMax = LABEL_MAX): string {
  return text.length > lengthMax ? `${text.slice(0, lengthMax - 1)}…` : text;
}

/** As large as fits: a bold character is about two thirds of its size wide. */
function titleSize(title: string): number {
  return Math.min(19, Math.floor((WIDTH - 2 * MARGIN) / (0.68 * Math.min(title.length, TITLE_MAX))));
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;" };

/** Text for XML: markup becomes entities, and characters that XML forbids are dropped. */
export function escapeText(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "").replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}
