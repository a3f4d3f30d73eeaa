/**
 * What the example prints, line by line. Holds no logic beyond words.
 */

let startedAt = performance.now();

/** From here on time counts. */
export function begin(text: string): void {
  startedAt = performance.now();
  say(`${text}\n`);
}

export function say(text = ""): void {
  console.log(text);
}

/** A line of the story with its time since the start. */
export function line(what: string, text: string): void {
  say(`${((performance.now() - startedAt) / 1_000).toFixed(2).padStart(6)} s  ${what.padEnd(8)}  ${text}`);
}

/** Rows under a heading, in columns. */
export function table(heading: string, rows: readonly (readonly (string | number)[])[]): void {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => String(row[column]).length)));
  say(`\n${heading}`);
  for (const row of rows)
    say(
      `  ${row
        .map((cell, column) => String(cell).padEnd(widths[column]!))
        .join("  ")
        .trimEnd()}`,
    );
}
