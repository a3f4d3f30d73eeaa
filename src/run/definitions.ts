/**
 * The workflows and machines that a process knows, by the hash of their definition.
 */
import type { BreakerWait } from "../define/breaker.ts";
import { PawlError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import { type Definition, agentsUsed, changesFrom, childrenOf } from "./definition.ts";
import { usesOf } from "./known-limits.ts";
import type { WorkerFacts } from "./peers.ts";

function ambiguous(name: string): PawlError {
  return new PawlError("PAWL_DEFINITION_AMBIGUOUS", { message: `two machines "${name}" have the same structure and other implementations` });
}

export class Definitions {
  readonly #store: Store;
  /** A definition stands under its own hash, and under those of others that it takes over by `migrate`. */
  readonly byHash = new Map<string, Definition>();
  /** Throws when what it uses is not there. */
  checkUses: ((definition: Definition) => void) | undefined;
  /** Which of its agents wait while their breaker is open; where they are executed. */
  waitsOf: ((definition: Definition) => readonly BreakerWait[]) | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** What others are told of them. */
  get told(): Pick<WorkerFacts, "definitions" | "migrates" | "uses" | "waits"> {
    const isOwn = ([hash, definition]: [string, Definition]): boolean => hash === definition.hash;
    const entries = [...this.byHash];
    return {
      definitions: entries.filter(isOwn).map(([hash]) => hash),
      migrates: entries.filter((entry) => !isOwn(entry)).map(([hash]) => hash),
      uses: usesOf([...this.byHash.values()].flatMap(agentsUsed)),
      waits: [...this.byHash.values()].flatMap((definition) => this.waitsOf?.(definition) ?? []),
    };
  }

  /** Is it known? A machine of the same structure with other implementations is refused. */
  knows(definition: Definition): boolean {
    const known = this.byHash.get(definition.hash);
    if (known === definition || known === undefined || known.hash !== definition.hash) return known === definition;
    if (known.kind === "machine" && definition.kind === "machine" && known.code !== definition.code) throw ambiguous(definition.name);
    return true;
  }

  /** Makes a definition known; what it takes over of earlier ones goes on with it. */
  async register(definition: Definition): Promise<void> {
    this.knows(definition);
    this.checkUses?.(definition);
    await this.#store.writeDefinition(definition.hash, definition.name, definition.structureText);
    this.byHash.set(definition.hash, definition);
    for (const child of childrenOf(definition)) if (!this.knows(child)) await this.register(child);
    if (definition.kind === "dag" || definition.options.migrate === undefined) return;
    for (const hash of await this.#store.definitionsOf(definition.name)) if (this.byHash.get(hash)?.hash !== hash) this.byHash.set(hash, definition);
  }

  /** Throws when no definition is known with which the run could go on. */
  async require(hash: string, name: string, runId: string): Promise<void> {
    if (this.byHash.has(hash)) return;
    const named = [...this.byHash.values()].find((definition) => definition.name === name);
    if (named !== undefined) throw await this.changedError(runId, hash, named);
    throw new PawlError("PAWL_DEFINITION_MISSING", { message: `run "${runId}" waits for workflow "${name}", which was not given to this worker` });
  }

  /** Says what changed under an unfinished run. */
  async changedError(runId: string, hash: string, definition: Definition): Promise<PawlError> {
    const body = await this.#store.readDefinition(hash);
    const changes = body === undefined ? [] : changesFrom(body, definition);
    return new PawlError("PAWL_DEFINITION_CHANGED", {
      message: `"${definition.name}" changed under the unfinished run "${runId}": ${changes.join("; ")}`,
      data: { changes },
    });
  }
}
