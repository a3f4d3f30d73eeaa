/**
 * References to nodes that may be skipped: those that read them get `undefined`, and in text nothing at all.
 */
import type { Workflow } from "../index.ts";

type Plan = Workflow["plan"];
type Template = Plan["output"];

export interface SkipWarning {
  readonly message: string;
  /** The node or the output that reads it. */
  readonly at: string;
  readonly reference: string;
}

/** A warning per reference that may have no value when the workflow runs. */
export function skipWarnings({ plan }: Workflow): SkipWarning[] {
  const inputs = plan.nodes.flatMap((node) => warningsIn(node.input, plan, `node "${node.id}" input`));
  return [...inputs, ...warningsIn(plan.output, plan, "output")];
}

function warningsIn(template: Template, plan: Plan, at: string): SkipWarning[] {
  switch (template.kind) {
    case "value":
      return [];
    case "reference":
      return warn(template.reference, plan, at, "is undefined");
    case "text":
      return template.parts.flatMap((part) => (typeof part === "string" ? [] : warn(part, plan, at, "becomes ''")));
    case "list":
      return template.items.flatMap((item, i) => warningsIn(item, plan, `${at}[${i}]`));
    case "object":
      return template.fields.flatMap(([key, field]) => warningsIn(field, plan, `${at}.${key}`));
  }
}

function warn({ node, text }: { readonly node: number | string; readonly text: string }, plan: Plan, at: string, becomes: string): SkipWarning[] {
  if (typeof node === "string" || plan.nodes[node]!.policy.onFail !== "skip") return [];
  return [{ message: `\${${text}} ${becomes} when node "${plan.nodes[node]!.id}" is skipped`, at, reference: text }];
}
