/**
 * Instants of cron expressions in time zones. The library that computes them (croner) is named here and nowhere else, and
 * loaded when somebody has a schedule. It is asked for instants only: it reads no clock here, and arms no timer.
 */
import { PawlError } from "./errors.ts";

/** The instants of one expression, in ms since 1970. */
export interface Cron {
  /** The first instant after this one; null when there is none. */
  next(after: number): number | null;
  /** The last instants up to and including this one, oldest first, at most so many. */
  last(until: number, limit: number): number[];
}

/** Loads the library. Throws PAWL_INVALID_VALUE for what is no expression, or has no instant at all. */
export async function cronOf(expression: string, timeZone: string, at: string): Promise<Cron> {
  const { Cron: Expression } = await import("croner");
  const make = (): InstanceType<typeof Expression> => {
    try {
      return new Expression(expression, { timezone: timeZone, paused: true });
    } catch (error) {
      throw invalid(expression, at, (error as Error).message.replace(/^CronPattern: /, ""), error);
    }
  };
  const cron = make();
  // a date instead of an expression would be an instant of its own
  if (cron.getPattern() === undefined) throw invalid(expression, at, "it is a date");
  return {
    next: (after) => cron.nextRun(new Date(after))?.getTime() ?? null,
    last: (until, limit) =>
      cron
        .previousRuns(limit, new Date(until + 1))
        .map((date) => date.getTime())
        .toReversed(),
  };
}

function invalid(expression: string, at: string, reason: string, cause?: unknown): PawlError {
  return new PawlError("PAWL_INVALID_VALUE", {
    message: `cron is ${JSON.stringify(expression)}, which is no cron expression: ${reason}`,
    next: "write five fields (minute hour day month weekday), or six with seconds first: '0 3 * * *' is 3:00 every day",
    at,
    cause,
  });
}
