/**
 * What the terminal behind standard error can do.
 */
import { environmentVariable } from "../environment.ts";

/** Can a table be redrawn in place? */
export function canDraw(): boolean {
  return process.stderr.isTTY && environmentVariable("TERM") !== "dumb";
}
