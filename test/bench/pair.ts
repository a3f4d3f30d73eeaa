/**
 * A workflow of two nodes in a row, which several processes share in the benchmarks.
 * NOT measured: making it.
 */
import { type Agent, workflow } from "pawl";
import { z } from "zod";

/** What its nodes take and give. */
export const value = z.object({ value: z.number() });

export const pairOf = (name: string, by: Agent<z.infer<typeof value>, z.infer<typeof value>>) =>
  workflow({ name, input: z.object({ seed: z.number() }) }, (wf) => {
    const first = wf.node("first", by, { value: wf.input.seed });
    return wf.node("second", by, { value: first.result.value }).result;
  });
