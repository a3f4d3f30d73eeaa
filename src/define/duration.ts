/**
 * Lengths of time as people write them: `'500ms'`, `'30s'`, `'5m'`, `'2h'`, `'1d'`, or a number of ms.
 */
import { PawlError } from "../errors.ts";

/** A length of time: a number of ms, or text such as `'30s'`. */
export type Duration = number | `${number}${"ms" | "s" | "m" | "h" | "d"}`;

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
export const DURATION_PATTERN = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;
export const DURATION_FORM = "write it as '500ms', '30s', '5m', '2h' or '1d', or as a number of milliseconds above 0, up to 100 years";

/** A hundred years: longer is a mistake, and instants must stay exact numbers. */
const DURATION_MAX_MS = 100 * 365.25 * 86_400_000;

/** The length in ms. Throws PAWL_INVALID_VALUE for anything else than a positive length. */
export function durationMs(duration: Duration, field: string, at?: string): number {
  if (isDuration(duration)) return toMs(duration);
  throw new PawlError("PAWL_INVALID_VALUE", {
    message: `${field} is ${JSON.stringify(duration)}, which is no length of time`,
    next: DURATION_FORM,
    ...(at !== undefined && { at }),
  });
}

/** Is it a length that can be waited for? */
export function isDuration(value: string | number): value is Duration {
  const ms = toMs(value);
  return ms > 0 && ms <= DURATION_MAX_MS;
}

function toMs(value: string | number): number {
  if (typeof value === "number") return value;
  const match = DURATION_PATTERN.exec(value);
  return match ? Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS] : Number.NaN;
}
