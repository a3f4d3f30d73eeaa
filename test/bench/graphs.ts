/**
 * The graphs that are run: who reads whose result, who waits for whom.
 * NOT measured: making them. The montage graph is of WfCommons (WfInstances, LGPL 3.0), its run times left out.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { seededRandom } from "./harness.ts";

/** Nodes in an order in which each comes after all that it refers to. */
export interface Graph {
  readonly name: string;
  readonly nodes: readonly GraphNode[];
}

interface GraphNode {
  readonly id: string;
  /** Nodes whose results it reads, by their place in `nodes`. */
  readonly reads: readonly number[];
  /** Nodes that it only waits for. */
  readonly after: readonly number[];
}

export function chain(length: number): Graph {
  const nodes = Array.from({ length }, (_, index) => ({ id: `step-${index}`, reads: index === 0 ? [] : [index - 1], after: [] }));
  return { name: `chain of ${length}`, nodes };
}

/** Layers of equal width; each node reads the results of some nodes of the layer before, and a last node joins the last layer. */
export function layered(layers: number, width: number, dependencies: number, seed: number): Graph {
  const random = seededRandom(seed);
  const nodes: GraphNode[] = [];
  for (let layer = 0; layer < layers; layer++) {
    for (let place = 0; place < width; place++) {
      const reads = new Set<number>();
      const wanted = layer === 0 ? 0 : Math.min(dependencies, width);
      while (reads.size < wanted) reads.add((layer - 1) * width + Math.floor(random() * width));
      nodes.push({ id: `layer-${layer}-${place}`, reads: [...reads], after: [] });
    }
  }
  return { name: `${layers} layers of ${width}`, nodes };
}

/** Nodes without dependencies, and one that waits for all. */
export function fan(width: number): Graph {
  const nodes: GraphNode[] = Array.from({ length: width }, (_, index) => ({ id: `item-${index}`, reads: [], after: [] }));
  nodes.push({ id: "join", reads: [], after: Array.from({ length: width }, (_, index) => index) });
  return { name: `fan of ${width}`, nodes };
}

interface Workload {
  readonly name: string;
  readonly tasks: readonly { readonly id: string; readonly deps: readonly string[] }[];
}

const WORKLOADS = join(import.meta.dirname, "../../../shared/data/wfcommons");

/** A recorded workflow; undefined where the data is not at hand. */
export function recorded(name: string): Graph | undefined {
  const path = join(WORKLOADS, `${name}.json`);
  if (!existsSync(path)) return undefined;
  const { tasks } = JSON.parse(readFileSync(path, "utf8")) as Workload;
  const placeOf = new Map<string, number>();
  const waiting = new Set(tasks);
  const nodes: GraphNode[] = [];
  while (waiting.size > 0) {
    const before = nodes.length;
    for (const task of waiting) {
      if (!task.deps.every((id) => placeOf.has(id))) continue;
      waiting.delete(task);
      placeOf.set(task.id, nodes.length);
      nodes.push({ id: task.id, reads: task.deps.map((id) => placeOf.get(id)!), after: [] });
    }
    if (nodes.length === before) throw new Error(`${name} has a cycle`);
  }
  return { name, nodes };
}
