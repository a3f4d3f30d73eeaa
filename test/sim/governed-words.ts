/**
 * What people do to a run of a random workflow, and what came of it: the words of `governed.ts`.
 */
import type { Store } from "../../src/store/store.ts";
import type { Fault } from "./process.ts";
import type { Spec } from "./shapes.ts";

/** How a node is to end, which one is chosen by a number. */
export interface Override {
  readonly node: number;
  readonly outcome: "completed" | "skipped" | "failed";
}

/** What somebody does to the run once this commit of it is durable. */
export type Deed = { readonly after: number; readonly isFar: boolean } & (
  | { readonly verb: "cancel" | "keep" | "terminate" }
  | { readonly verb: "pause"; readonly forMs: number }
  | ({ readonly verb: "override" } & Override)
);

/** How the run is taken up again when it has ended. */
export type Round = { readonly isFar: boolean; readonly crash: "before" | "after" | undefined } & (
  | { readonly verb: "retry"; readonly nodes: readonly number[]; readonly edits: readonly number[] }
  | { readonly verb: "resume" }
  | ({ readonly verb: "override" } & Override)
);

export interface GovernedPlot {
  readonly spec: Spec;
  readonly seed: number;
  readonly permits?: number | undefined;
  /** Faults of the first, second, … process: what happens to which group of commits. */
  readonly faults?: readonly ((group: number) => Fault | undefined)[];
  readonly deeds?: readonly Deed[];
  readonly rounds?: readonly Round[];
  readonly wrap?: ((store: Store) => Store) | undefined;
}

/** What came of it, for those who count. */
export interface GovernedEnding {
  readonly groups: number;
  readonly processes: number;
  readonly eras: number;
  readonly undone: number;
  readonly overridden: number;
  readonly status: string;
}
