/**
 * Randomness and new ids, drawn here and nowhere else, so that a simulation repeats from its seed.
 */
import { randomBytes } from "node:crypto";

/** Where randomness comes from. */
export interface Random {
  /** A number in [0, 1). */
  next(): number;
}

const POOL_SIZE = 512;
let pool: Buffer = Buffer.alloc(0);
let used = 0;

/** Randomness of this machine, good enough for ids that nobody should guess. */
export const systemRandom: Random = {
  next() {
    if (used + 6 > pool.length) {
      pool = randomBytes(POOL_SIZE * 6);
      used = 0;
    }
    const value = pool.readUIntBE(used, 6) / 2 ** 48;
    used += 6;
    return value;
  },
};

const DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz";

/** So many random digits of base 36. */
export function randomDigits(random: Random, length: number): string {
  let text = "";
  for (let i = 0; i < length; i++) text += DIGITS[Math.floor(random.next() * 36)];
  return text;
}

/** A new run id people can read and sort by: `research-20260115-142315-a7b3k9`. */
export function newRunId(workflow: string, now: number, random: Random): string {
  const stamp = new Date(now).toISOString().replace(/[-:]/g, "").replace("T", "-").slice(0, 15);
  return `${workflow.slice(0, 96)}-${stamp}-${randomDigits(random, 6)}`;
}
