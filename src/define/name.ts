/**
 * Names of workflows, nodes, agents and runs: which are allowed, and the nearest one to a misspelt one.
 */
import { PawlError } from "../errors.ts";

export const NAME = /^[A-Za-z0-9._-]{1,128}$/;
const RESERVED = new Set(["__proto__", "constructor", "prototype", "input"]);

/** Throws PAWL_INVALID_ID unless the name can be used. */
export function checkName(name: unknown, what: string, at?: string): asserts name is string {
  const reserved = typeof name === "string" && RESERVED.has(name);
  if (typeof name === "string" && NAME.test(name) && !reserved) return;
  throw new PawlError("PAWL_INVALID_ID", {
    message: reserved ? `${what} ${JSON.stringify(name)} is a reserved word` : `${what} ${JSON.stringify(name)} is not allowed`,
    ...(at !== undefined && { at }),
  });
}

/** `; did you mean "docs"?` for a name that is near to one of these, else ''. */
export function didYouMean(name: string, known: Iterable<string>): string {
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.ceil(name.length / 3)) + 1;
  for (const candidate of known) {
    if (Math.abs(candidate.length - name.length) >= bestDistance) continue;
    const distance = editDistance(name, candidate);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best === undefined ? "" : `; did you mean "${best}"?`;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(previous[j]! + 1, row[j - 1]! + 1, substituted));
    }
    previous = row;
  }
  return previous[b.length]!;
}
