/**
 * Results of completed nodes that others still want to read, as text, while there is room; the rest stays in the store.
 * A result leaves memory when its last reader has settled.
 */
import type { Plan } from "../define/plan.ts";
import { type FieldPath, followPath, resolveTemplate } from "../define/template.ts";
import { decode, encode } from "./codec.ts";
import type { Progress } from "./progress.ts";

/** Results read back from the store, by node. */
export type Texts = ReadonlyMap<number, string>;

/** Characters of results that one run keeps in memory. */
const KEPT_LENGTH_MAX = 16_777_216;

const readersByPlan = new WeakMap<Plan, Int32Array>();

/** How many nodes, and the output, read each node's result. */
function countReaders(plan: Plan): Int32Array {
  const known = readersByPlan.get(plan);
  if (known !== undefined) return known;
  const readers = new Int32Array(plan.nodes.length);
  for (const node of plan.nodes) for (const read of node.reads) readers[read]!++;
  for (const read of plan.outputReads) readers[read]!++;
  readersByPlan.set(plan, readers);
  return readers;
}

export class Results {
  readonly #plan: Plan;
  readonly #input: string;
  #decodedInput: { readonly value: unknown } | undefined;
  readonly #readersLeft: Int32Array;
  readonly #texts = new Map<number, string>();
  #length = 0;

  constructor(plan: Plan, input: string) {
    this.#plan = plan;
    this.#input = input;
    this.#readersLeft = countReaders(plan).slice();
  }

  get(index: number): string | undefined {
    return this.#texts.get(index);
  }

  /** Those of these results that are only in the store. */
  missing(reads: readonly number[], progress: Progress): number[] {
    return reads.filter((index) => progress.status(index) === "completed" && !this.#texts.has(index));
  }

  /** Reads these back; `read` answers the texts of rows by their keys. */
  async load(indices: readonly number[], read: (keys: readonly string[]) => Promise<string[]>): Promise<Texts> {
    const texts = await read(indices.map((index) => this.#plan.nodes[index]!.id));
    return new Map(indices.map((index, i) => [index, texts[i]!]));
  }

  keep(index: number, text: string): void {
    if (this.#readersLeft[index] === 0 || this.#length + text.length > KEPT_LENGTH_MAX || this.#texts.has(index)) return;
    this.#texts.set(index, text);
    this.#length += text.length;
  }

  /** Fills a template; every reader gets a copy of its own. */
  resolve(template: Plan["output"], loaded?: Texts): unknown {
    return resolveTemplate(template, ({ node, path }) => {
      if (node === "input") return this.#fromInput(path);
      const text = this.#texts.get(node) ?? loaded?.get(node);
      return text === undefined ? undefined : followPath(decode(text), path);
    });
  }

  /** The input is decoded once: all nodes may read it, and it may be large. */
  #fromInput(path: FieldPath): unknown {
    this.#decodedInput ??= { value: decode(this.#input) };
    const found = followPath(this.#decodedInput.value, path);
    return typeof found === "object" && found !== null ? decode(encode(found)) : found;
  }

  /** This node will read nothing more. */
  readerSettled(index: number): void {
    for (const read of this.#plan.nodes[index]!.reads) if (--this.#readersLeft[read]! === 0) this.#forget(read);
  }

  #forget(index: number): void {
    this.#length -= this.#texts.get(index)?.length ?? 0;
    this.#texts.delete(index);
  }
}
