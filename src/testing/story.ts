/**
 * What went wrong, told in a few lines: the way there, where the process was killed, what was expected and what came.
 */

/** What `explore` found, or why it could not look. Its message is the story. */
export class ExploreError extends Error {
  override readonly name = "ExploreError";
}

/** What was seen, and what led to it. */
export interface Finding {
  readonly subject: string;
  /** What was done, one a line, the start first. */
  readonly steps: readonly string[];
  /** Where the process was killed; undefined when it was not. */
  readonly killed: string | undefined;
  /** What of it is wrong. */
  readonly complaint: readonly string[];
}

/** The story of a finding. */
export function storyOf({ subject, steps, killed, complaint }: Finding): ExploreError {
  const lines = [
    killed === undefined ? `"${subject}" goes wrong, without a crash:` : `"${subject}" does not survive a crash:`,
    ...steps.map((step, i) => `  ${i + 1}. ${step}`),
    ...(killed === undefined ? [] : [`The process is killed ${killed}; the next one goes on.`]),
    ...complaint,
  ];
  return new ExploreError(lines.join("\n"));
}

const TEXT_MAX = 500;

/** A value as text, the same for equal values. Refs to actors show their ids. */
export function textOf(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => plain(inner)) ?? "undefined";
}

/** The same, short enough to be read. */
export function shortText(value: unknown): string {
  const text = textOf(value);
  return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text;
}

function plain(value: unknown): unknown {
  if (value instanceof Error) return { name: value.name, message: value.message };
  if (value instanceof Map) return { Map: [...value] };
  if (value instanceof Set) return { Set: [...value] };
  if (typeof value === "bigint") return `${value}n`;
  return value;
}

/** A length of time as people say it. */
export function durationText(ms: number): string {
  const units = [
    [86_400_000, "d"],
    [3_600_000, "h"],
    [60_000, "min"],
    [1_000, "s"],
  ] as const;
  const unit = units.find(([length]) => ms >= length && ms % length === 0);
  return unit === undefined ? `${ms} ms` : `${ms / unit[0]} ${unit[1]}`;
}
