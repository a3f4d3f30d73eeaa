/**
 * The log: pino's lines of JSON, from a level on, to standard error or wherever they are led.
 */
import { pino } from "pino";
import type { Log } from "../index.ts";

export interface LogOptions {
  /** The least urgent level that is written; 'silent' writes nothing. Default 'info'. */
  readonly level?: "debug" | "info" | "warn" | "error" | "silent";
  /** Where lines go; default standard error. */
  readonly write?: (line: string) => void;
}

/**
 * Makes a log for `open`.
 *
 * @example
 * ```ts
 * await using pawl = await open('pawl.db', { log: makeLog({ level: 'info' }) });
 * ```
 */
export function makeLog(options: LogOptions = {}): Log {
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  return pino({ level: options.level ?? "info", base: null, errorKey: "error" }, { write });
}
