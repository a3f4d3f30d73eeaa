/**
 * The inspector's messages of a machine's run. Each actor is one of the inspector's, a machine with its configuration.
 */
import type { HistoryEntry, HistoryEvent, RunDefinition, RunView } from "../index.ts";
import { configText } from "./inspector-config.ts";
import type { InspectorSnapshot, Pen, Scribe } from "./inspector-messages.ts";
import { MachineBoard, parentOf } from "./machine-board.ts";
import { ROOT } from "./machine-text.ts";

type MachineDefinition = Extract<RunDefinition, { kind: "machine" }>;
type OneMachine = MachineDefinition["structure"]["machines"][number];

/** What a parent is told of its child is told by that child. */
const OF_CHILD = /^xstate\.(?:done\.actor|error\.actor|snapshot)\.(.+)$/s;
/** What an actor tells itself. */
const OF_ITSELF = /^xstate\.(?:after|done\.state|promise|observable)\./;

/** A snapshot names so many of its children, the newest: it comes with every turn. */
const CHILDREN_MAX = 100;

const STATUS: Readonly<Record<string, InspectorSnapshot["status"]>> = { completed: "done", cancelled: "stopped" };

export function machineScribe({ structure, name }: MachineDefinition): Scribe {
  const board = new MachineBoard();
  const machines = new Map<string, OneMachine | undefined>([[ROOT, structure.machines[0]]]);
  /** The newest actor of each id among the children of a parent, also when it has ended. */
  const newest = new Map<string, string>();

  const snapshotOf = (key: string, status: InspectorSnapshot["status"] = "active"): InspectorSnapshot => {
    const state = board.actors.get(key)?.state;
    const children = Object.fromEntries([...board.childrenOf(key)].slice(-CHILDREN_MAX).map(({ id }) => [id, { xstate$$type: 1 as const, id }]));
    return { status, ...(state !== undefined && { value: state }), children };
  };

  const announced = (key: string, pen: Pen, { events }: HistoryEntry, facts: { readonly name: string; readonly parentId: string | undefined }): void => {
    const value = firstStateOf(key, events);
    pen.actor(sessionIdOf(pen, key), {
      ...facts,
      definition: configText(machines.get(key)),
      snapshot: { ...snapshotOf(key), ...(value !== undefined && { value }) },
    });
  };

  const started = (key: string, src: string, pen: Pen, entry: HistoryEntry): void => {
    const parent = parentOf(key)!;
    const known = machines.get(parent)?.actors[src];
    machines.set(key, known?.kind === "machine" ? structure.machines[known.machine] : undefined);
    const { id } = board.actors.get(key)!;
    newest.set(`${parent} ${id}`, key);
    announced(key, pen, entry, { name: id, parentId: sessionIdOf(pen, parent) });
  };

  const turned = (key: string, type: string, pen: Pen): void => {
    const child = OF_CHILD.exec(type)?.[1];
    const source = child === undefined ? (OF_ITSELF.test(type) ? key : undefined) : newest.get(`${key} ${child}`);
    pen.event(sessionIdOf(pen, key), { type }, source && sessionIdOf(pen, source));
    pen.snapshot(sessionIdOf(pen, key), { type }, snapshotOf(key));
  };

  const told = (event: HistoryEvent, pen: Pen, entry: HistoryEntry): void => {
    const { type, actor: key } = event;
    if (key === undefined) return;
    const before = board.actors.get(key);
    if (type === "actor.ended" && before !== undefined) {
      const status = event.name === "error" || event.name === "stopped" ? event.name : "done";
      const last = status === "stopped" ? "xstate.stop" : (before.event ?? "xstate.init");
      pen.snapshot(sessionIdOf(pen, key), { type: last }, snapshotOf(key, status));
      machines.delete(key);
    }
    board.applyEvent(event);
    if (type === "actor.started") started(key, event.name ?? "", pen, entry);
    if (type === "machine.turned" && before !== undefined) turned(key, event.event ?? "", pen);
  };

  return {
    happened: (entry, pen) => {
      if (entry.commitNo === 1) announced(ROOT, pen, entry, { name, parentId: undefined });
      for (const event of entry.events) told(event, pen, entry);
    },
    ended: ({ status, output, failure }: RunView, pen) => {
      const facts = { ...(output !== undefined && { output }), ...(failure !== undefined && { error: { message: failure.message } }) };
      pen.snapshot(pen.runId, { type: board.root.event ?? "xstate.init" }, { ...snapshotOf(ROOT, STATUS[status] ?? "error"), ...facts });
    },
  };
}

/** The state in which a machine begins, when it begins in this commit. */
function firstStateOf(key: string, events: readonly HistoryEvent[]): unknown {
  return events.find(({ type, actor, event }) => type === "machine.turned" && actor === key && event === "xstate.init")?.value;
}

function sessionIdOf({ runId }: Pen, key: string): string {
  return key === ROOT ? runId : `${runId}/${key}`;
}
