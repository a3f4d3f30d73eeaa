/**
 * Results of completed nodes that others still want to read, as text, while there is room; the rest stays in the store.
 * A result leaves memory when its last reader has settled. The result of a map is that of its items, of a loop that of its
 * last round: neither has a text of its own, unless somebody has set it.
 */
import { isChoice } from "../define/node-definition.ts";
import type { Plan } from "../define/plan.ts";
import { type FieldPath, type Local, type Template, followPath, resolveTemplate } from "../define/template.ts";
import { decode, encode } from "./codec.ts";
import type { EditedInputs } from "./edited-inputs.ts";
import type { Graph, RunNode } from "./graph.ts";
import type { Progress } from "./progress.ts";

/** Results read back from the store, by node. */
export type Texts = ReadonlyMap<number, string>;

/** What the references to an item, its position, or the last round stand for. */
export type Locals = { readonly [L in Local]?: unknown };

/** Characters of results that one run keeps in memory. */
const KEPT_LENGTH_MAX = 16_777_216;
/** Rows read at once. */
const LOADED_AT_ONCE = 1_000;
const UNDEFINED = encode(undefined);

const readersByPlan = new WeakMap<Plan, Int32Array>();

/** How many nodes, and the output, read each node's result. */
function countReaders(plan: Plan): Int32Array {
  const known = readersByPlan.get(plan);
  if (known !== undefined) return known;
  const readers = new Int32Array(plan.nodes.length);
  for (const { reads, collects } of plan.nodes) for (const read of [...reads, ...collects]) readers[read]!++;
  for (const read of plan.outputReads) readers[read]!++;
  readersByPlan.set(plan, readers);
  return readers;
}

export class Results {
  readonly #graph: Graph;
  readonly #progress: Progress;
  readonly #input: string;
  readonly #edited: EditedInputs;
  #decodedInput: { readonly value: unknown } | undefined;
  readonly #readersLeft: Int32Array;
  readonly #texts = new Map<number, string>();
  /** Of open maps. */
  readonly #lists = new Map<number, readonly unknown[]>();
  /** Maps and loops whose result was set: it is not that of their parts. */
  readonly #set = new Set<number>();
  #length = 0;

  constructor(graph: Graph, progress: Progress, input: string, edited: EditedInputs) {
    this.#edited = edited;
    this.#graph = graph;
    this.#progress = progress;
    this.#input = input;
    this.#readersLeft = countReaders(graph.plan).slice();
  }

  /** What a node is given: what its definition makes of results, unless somebody has given it another input. */
  inputOf(node: RunNode, loaded?: Texts): unknown {
    const edited = this.#edited.of(node.index);
    if (edited !== undefined) return decode(edited.input);
    return node.of === undefined ? this.resolve(node.input, loaded) : this.itemInput(node.index, loaded);
  }

  /** What its input is made of that is only in the store. */
  missingInputOf(node: RunNode): number[] {
    if (this.#edited.of(node.index) !== undefined) return [];
    return node.of === undefined ? this.missing(node.reads) : this.missingFor(node.index);
  }

  /** Those of these results, or of the parts of them, that are only in the store. */
  missing(reads: readonly number[]): number[] {
    const missing: number[] = [];
    for (const read of reads)
      for (const part of this.#partsOf(read)) if (this.#progress.status(part) === "completed" && !this.#texts.has(part)) missing.push(part);
    return missing;
  }

  #partsOf(index: number): Iterable<number> {
    const kind = this.#set.has(index) ? undefined : this.#graph.plan.nodes[index]?.kind;
    if (kind === "map") return this.#graph.itemsOf(index);
    const last = kind === "repeat" ? this.#graph.lastOf(index) : index;
    return last === undefined ? [] : [last];
  }

  /** Reads these back; `read` answers the texts of rows by their keys. */
  async load(indices: readonly number[], read: (keys: readonly string[]) => Promise<string[]>): Promise<Texts> {
    const texts = new Map<number, string>();
    for (let at = 0; at < indices.length; at += LOADED_AT_ONCE) {
      const batch = indices.slice(at, at + LOADED_AT_ONCE);
      const found = await read(batch.map((index) => this.#graph.node(index).id));
      batch.forEach((index, i) => texts.set(index, found[i]!));
    }
    return texts;
  }

  /** The result of this map or loop was set, and its row has it. */
  isSet(index: number): void {
    this.#set.add(index);
  }

  keep(index: number, text: string): void {
    const group = this.#graph.groupOf(index);
    const isRound = group !== undefined && this.#graph.plan.nodes[group]!.kind === "repeat";
    if (isRound) this.#forgetText(index - 1);
    if (!isRound && this.#readersLeft[group ?? index] === 0) return;
    if (this.#length + text.length > KEPT_LENGTH_MAX || this.#texts.has(index)) return;
    this.#texts.set(index, text);
    this.#length += text.length;
  }

  /** Fills a template; every reader gets a copy of its own. */
  resolve(template: Template, loaded?: Texts, locals: Locals = {}): unknown {
    return resolveTemplate(template, ({ node, path }) => {
      if (node === "input") return this.#fromInput(path);
      if (typeof node === "string") return copied(followPath(locals[node], path));
      const text = this.#textOf(node, loaded);
      return text === undefined ? undefined : followPath(decode(text), path);
    });
  }

  #textOf(index: number, loaded: Texts | undefined): string | undefined {
    const textOf = (part: number): string | undefined => this.#texts.get(part) ?? loaded?.get(part);
    if (this.#progress.status(index) !== "completed") return undefined;
    if (this.#graph.plan.nodes[index]!.kind !== "map" || this.#set.has(index)) return textOf([...this.#partsOf(index)][0]!);
    return `[${Array.from(this.#graph.itemsOf(index), (item) => textOf(item) ?? UNDEFINED).join(",")}]`;
  }

  /** A copy of the run's input. */
  get runInput(): unknown {
    return this.#fromInput([]);
  }

  /** The input is decoded once: all nodes may read it, and it may be large. */
  #fromInput(path: FieldPath): unknown {
    this.#decodedInput ??= { value: decode(this.#input) };
    return copied(followPath(this.#decodedInput.value, path));
  }

  // ---- what items and rounds are given

  /** The list of an open map; undefined when it is to be read again. */
  listOf(group: number): readonly unknown[] | undefined {
    return this.#lists.get(group);
  }

  /** Keeps the list of a map while it is open: each item is taken from it. */
  keepList(group: number, list: readonly unknown[]): void {
    this.#lists.set(group, list);
  }

  /** What an item or round is given. */
  itemInput(index: number, loaded?: Texts): unknown {
    const { of, input } = this.#graph.node(index) as { of: { group: number; position: number }; input: Template };
    const { kind, input: list } = this.#graph.plan.nodes[of.group]!;
    if (kind === "repeat") return this.resolve(input, loaded, of.position === 0 ? {} : this.lastRound(of.group, of.position, loaded));
    if (!this.#lists.has(of.group)) this.#lists.set(of.group, this.resolve(list, loaded) as unknown[]);
    return this.resolve(input, loaded, { item: this.#lists.get(of.group)![of.position], index: of.position });
  }

  /** The round before this position, for those that refer to it. */
  lastRound(group: number, position: number, loaded?: Texts): Locals {
    const before = this.#graph.itemAt(group, position - 1)!;
    return { last: decode(this.#texts.get(before) ?? loaded?.get(before) ?? UNDEFINED) };
  }

  /** What an item's input is made of that is only in the store. */
  missingFor(index: number): number[] {
    const { of, reads } = this.#graph.node(index) as { of: { group: number; position: number }; reads: readonly number[] };
    const last = of.position > 0 && this.#graph.plan.nodes[of.group]!.kind === "repeat" ? [this.#graph.itemAt(of.group, of.position - 1)!] : [];
    return [...this.missing(reads), ...last.filter((round) => !this.#texts.has(round))];
  }

  /** What a compensation is given: what the node was given and gave, and why. */
  undoInput(of: number, error: unknown, loaded?: Texts): unknown {
    const node = this.#graph.node(of);
    const input = this.inputOf(node, loaded);
    const text = this.#progress.status(of) === "completed" ? (this.#texts.get(of) ?? loaded?.get(of)) : undefined;
    return { input, result: text === undefined ? undefined : decode(text), error };
  }

  missingForUndo(of: number): number[] {
    const node = this.#graph.node(of);
    return [...this.missingInputOf(node), ...this.missing([of])];
  }

  // ---- who reads what

  /** This node will read nothing more. One whose outcome is set anew says so again: what is read later comes from the store. */
  readerSettled(index: number): void {
    if (index >= this.#graph.plan.nodes.length) return;
    const { reads, collects } = this.#graph.plan.nodes[index]!;
    this.#lists.delete(index);
    for (const read of reads) this.#readLess(read);
    for (const read of collects) this.#readLess(read);
  }

  #readLess(read: number): void {
    if (--this.#readersLeft[read]! > 0) return;
    this.#forgetText(read);
    for (const item of this.#graph.itemsOf(read)) this.#forgetText(item);
  }

  #forgetText(index: number): void {
    this.#length -= this.#texts.get(index)?.length ?? 0;
    this.#texts.delete(index);
  }
}

function copied(value: unknown): unknown {
  return typeof value === "object" && value !== null ? decode(encode(value)) : value;
}

/** The number of the branch that a choice goes by this value; undefined when it has none for it. */
export function branchFor(kind: string, branches: readonly { readonly name: string }[], value: unknown): number | undefined {
  if (!isChoice(kind as "when")) return undefined;
  const named = (name: string): number => branches.findIndex((branch) => branch.name === name);
  const found = kind === "when" ? named(isTrue(value) ? "then" : "else") : value === "" ? -1 : named(String(value));
  const chosen = found === -1 && kind === "route" ? named("") : found;
  return chosen === -1 ? undefined : chosen;
}

/** What counts as true of data. */
export function isTrue(value: unknown): boolean {
  return Boolean(value);
}
