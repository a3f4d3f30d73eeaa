/**
 * Random DAGs with scripted outcomes, and the reference model: what must come of them, worked out without any engine.
 */
import fc from "fast-check";
import { z } from "zod";
import { type AgentContext, agent } from "../../src/define/agent.ts";
import { type NodeHandle, type Workflow, workflow } from "../../src/define/workflow.ts";
import { AgentError } from "../../src/errors.ts";

/** What the agent does in one attempt. */
export type Act = "ok" | "okLater" | "tooLate" | "throws" | "throwsUndefined" | "fatal" | "hangs" | "invalid" | "unstorable";

export interface NodeSpec {
  /** Earlier nodes whose results it reads. */
  readonly reads: readonly number[];
  /** Earlier nodes it only waits for. */
  readonly after: readonly number[];
  readonly onFail: "block" | "skip";
  readonly maxAttempts: number;
  readonly script: readonly Act[];
}
export type DagSpec = readonly NodeSpec[];

const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom<Act>("ok", "okLater") },
  { weight: 4, arbitrary: fc.constantFrom<Act>("tooLate", "throws", "throwsUndefined", "fatal", "hangs", "invalid", "unstorable") },
);

/** A DAG of up to `nodesMax` nodes. */
export function dagSpec(nodesMax: number): fc.Arbitrary<DagSpec> {
  const node = fc.record({
    links: fc.array(fc.record({ to: fc.nat(), isRead: fc.boolean() }), { maxLength: 3 }),
    onFail: fc.constantFrom<"block" | "skip">("block", "skip"),
    maxAttempts: fc.integer({ min: 1, max: 3 }),
    script: fc.array(act, { minLength: 3, maxLength: 3 }),
  });
  return fc.array(node, { minLength: 1, maxLength: nodesMax }).map((nodes) =>
    nodes.map(({ links, ...rest }, index) => {
      const earlier = index === 0 ? [] : links.map(({ to, isRead }) => ({ to: to % index, isRead }));
      return {
        ...rest,
        reads: [...new Set(earlier.filter((link) => link.isRead).map((link) => link.to))],
        after: [...new Set(earlier.filter((link) => !link.isRead).map((link) => link.to))],
      };
    }),
  );
}

export interface Expected {
  readonly status: "completed" | "failed";
  readonly degraded: boolean;
  readonly nodes: readonly { readonly status: string; readonly attempt: number; readonly value: number | undefined }[];
}

const RETRIED: ReadonlySet<Act> = new Set<Act>(["tooLate", "throws", "throwsUndefined", "hangs", "invalid"]);

/** The reference model. `given` are nodes whose results somebody else gives: they do not run. */
export function expectedOf(spec: DagSpec, given: ReadonlyMap<number, number> = new Map()): Expected {
  const nodes: { status: string; attempt: number; value: number | undefined }[] = [];
  spec.forEach((node, index) => {
    if (given.has(index)) return nodes.push({ status: "completed", attempt: 0, value: given.get(index)! });
    const upstream = [...node.reads, ...node.after].map((dependency) => nodes[dependency]!.status);
    if (upstream.includes("failed") || upstream.includes("blocked")) return nodes.push({ status: "blocked", attempt: 0, value: undefined });
    let attempt = 1;
    while (RETRIED.has(node.script[attempt - 1]!) && attempt < node.maxAttempts) attempt++;
    const last = node.script[attempt - 1]!;
    const isDone = last === "ok" || last === "okLater";
    const value = isDone
      ? valueOf(
          index,
          node.reads.map((read) => nodes[read]!.value),
        )
      : undefined;
    return nodes.push({ status: isDone ? "completed" : node.onFail === "skip" ? "skipped" : "failed", attempt, value });
  });
  const isFailed = nodes.some(({ status }) => status === "failed");
  return { status: isFailed ? "failed" : "completed", degraded: nodes.some(({ status }) => status === "skipped"), nodes };
}

function valueOf(index: number, read: readonly (number | undefined)[]): number {
  return read.reduce<number>((sum, value) => (sum * 31 + (value ?? 7)) % 1_000_003, index + 1);
}

/** What agents need to know of the process that they run in. */
export interface AgentHost {
  /** Called first in each attempt; says whether the process lives. */
  called(node: number, context: AgentContext): boolean;
  later(delayMs: number, callback: () => void): void;
}

const never = (): Promise<never> => new Promise<never>(() => {});

/** The workflow of a spec. Its output is the value of each node. */
export function workflowOf(spec: DagSpec, host: () => AgentHost, name = "random"): Workflow<{ start: number }, { values: (number | undefined)[] }> {
  const scripted = agent({
    name: "scripted",
    input: z.object({ index: z.number(), read: z.array(z.number().optional()) }),
    output: z.looseObject({ value: z.number() }),
    timeout: "10s",
    retry: { initialInterval: "8s" },
    run: async ({ index, read }, context): Promise<{ value: number }> => {
      const where = host();
      if (!where.called(index, context)) return never();
      const value = valueOf(index, read);
      switch (spec[index]!.script[context.attempt - 1]!) {
        case "ok":
          return { value };
        case "okLater":
          return new Promise((resolve) => where.later(1 + (index % 3) * 700, () => resolve({ value })));
        case "tooLate":
          return new Promise((resolve) => where.later(15_000, () => resolve({ value: -1 })));
        case "throws":
          throw new Error("scripted");
        case "throwsUndefined":
          // eslint-disable-next-line no-throw-literal
          throw undefined;
        case "fatal":
          throw new AgentError("scripted", { kind: "critical" });
        case "hangs":
          return never();
        case "invalid":
          return { value: "wrong" as never };
        case "unstorable":
          return { value, self: () => value } as never;
      }
    },
  });
  return workflow({ name, input: z.object({ start: z.number() }) }, (wf) => {
    const handles: NodeHandle<{ value: number } | undefined>[] = [];
    spec.forEach(({ reads, after, onFail, maxAttempts }, index) => {
      const input = { index, read: reads.map((read) => handles[read]!.result.value) };
      handles.push(
        wf.node(`n${index}`, scripted, input, {
          after: after.map((dependency) => handles[dependency]!),
          onFail: onFail as "skip",
          retry: { maxAttempts },
        }),
      );
    });
    return { values: handles.map((handle) => handle.result.value) };
  });
}
