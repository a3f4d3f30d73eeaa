/**
 * How many random cases a property runs, and from which seed. `PAWL_CASES=long` for the large counts, `PAWL_SEED` and
 * `PAWL_PATH` to repeat a failure that fast-check printed.
 */
export interface Cases {
  readonly numRuns: number;
  readonly seed: number;
  readonly path?: string;
  readonly verbose: 1;
}

export function cases(counts: { readonly short: number; readonly long: number }): Cases {
  const seed = process.env["PAWL_SEED"] === undefined ? Math.trunc(Math.random() * 2 ** 31) : Number(process.env["PAWL_SEED"]);
  const path = process.env["PAWL_PATH"];
  console.log(`seed ${seed}`);
  return { numRuns: process.env["PAWL_CASES"] === "long" ? counts.long : counts.short, seed, verbose: 1, ...(path !== undefined && { path }) };
}
