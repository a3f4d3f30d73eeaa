/**
 * Instants as people type them: a date, a date with a time, or a length of time ago.
 */
import { PawlError } from "../index.ts";

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const AGO = /^(\d+(?:\.\d+)?)(s|m|h|d|w)$/;
const DATE = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d.*)?$/;

/** In ms since 1970. A date or time without a zone is one of this machine's. @throws PAWL_USAGE */
export function readInstant(text: string, option: string, now: number): number {
  const [, amount, unit] = AGO.exec(text) ?? [];
  const at = unit === undefined ? readDate(text) : now - Number(amount) * UNIT_MS[unit]!;
  if (Number.isNaN(at))
    throw new PawlError("PAWL_USAGE", {
      message: `${option} is "${text}", which is no instant`,
      next: "write 90m, 24h or 7d for so long ago, or 2026-01-15T14:00",
    });
  return Math.trunc(at);
}

/** A date or a date with a time, in ms since 1970, as `readInstant` reads it. @throws PAWL_USAGE */
export function readDateTime(text: string, option: string): number {
  const at = readDate(text);
  if (!Number.isNaN(at)) return at;
  throw new PawlError("PAWL_USAGE", { message: `${option} is "${text}", which is no date`, next: "write 2026-01-15T14:00, or 2026-01-15T14:00Z for UTC" });
}

/** A date alone is the midnight that it begins with. */
function readDate(text: string): number {
  if (!DATE.test(text)) return Number.NaN;
  return new Date(text.length === "2026-01-15".length ? `${text}T00:00` : text.replace(" ", "T")).getTime();
}
