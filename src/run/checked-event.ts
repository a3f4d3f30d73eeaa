/**
 * Events that people and programs send to a machine, checked before they enter: only declared types, and what a schema says.
 */
import type { Plan } from "../define/plan.ts";
import { didYouMean } from "../define/name.ts";
import { describeIssues, validate } from "../define/schema.ts";
import { PawlError } from "../errors.ts";
import type { MachineDefinition } from "./machine-definition.ts";
import type { AnySnapshot } from "./xstate/actor.ts";
import { eventsOf, isDeclared } from "./xstate/machine-events.ts";

/**
 * The event as its schema gives it back. With `snapshot`, a refusal says what the machine takes in that state.
 *
 * @throws PAWL_EVENT_REFUSED
 */
export async function checkedEvent(definition: MachineDefinition, event: unknown, snapshot?: () => Promise<AnySnapshot>): Promise<unknown> {
  const { type } = (event ?? {}) as { type?: unknown };
  if (typeof type !== "string") throw new PawlError("PAWL_EVENT_REFUSED", { message: "an event is an object with a type" });
  if (!isDeclared(definition.events, type)) throw await unknownEvent(definition, type, snapshot);
  const schema = definition.options.events?.[type];
  if (schema === undefined) return event;
  const checked = await validate(schema, event);
  if (checked.issues === undefined) return { ...(checked.value as object), type };
  throw new PawlError("PAWL_EVENT_REFUSED", { message: `event "${type}" does not fit its schema: ${describeIssues(checked.issues)}` });
}

/**
 * The event of a workflow's node: what is beside its type, as the node's schema gives it back.
 *
 * @throws PAWL_EVENT_REFUSED
 */
export async function checkedNodeEvent(plan: Plan, event: unknown): Promise<{ readonly type: string; readonly data: unknown }> {
  const { type, ...fields } = (event ?? {}) as { readonly type?: unknown };
  if (typeof type !== "string") throw new PawlError("PAWL_EVENT_REFUSED", { message: "an event is an object with a type" });
  const node = plan.nodes[plan.indexOf.get(type) ?? -1];
  if (node?.kind !== "event") {
    const takes = plan.nodes.filter(({ kind }) => kind === "event").map(({ id }) => id);
    const nearest = didYouMean(type, takes);
    const message = `workflow "${plan.name}" has no event "${type}"; it takes ${takes.length === 0 ? "none" : takes.join(", ")}${nearest}`;
    throw new PawlError("PAWL_EVENT_REFUSED", { message, data: { takes } });
  }
  const checked = await validate(node.agent.output, fields);
  if (checked.issues === undefined) return { type, data: checked.value };
  throw new PawlError("PAWL_EVENT_REFUSED", { message: `event "${type}" does not fit its schema: ${describeIssues(checked.issues)}` });
}

async function unknownEvent(definition: MachineDefinition, type: string, snapshot?: () => Promise<AnySnapshot>): Promise<PawlError> {
  const { machine, events, name } = definition;
  const takes = snapshot === undefined ? [...events] : eventsOf(machine, ((await snapshot()) as { value?: unknown }).value);
  const taker = snapshot === undefined ? "it takes" : "its present state takes";
  return new PawlError("PAWL_EVENT_REFUSED", {
    message: `machine "${name}" has no event "${type}"; ${taker} ${takes.length === 0 ? "none" : takes.join(", ")}`,
    data: { takes },
  });
}
