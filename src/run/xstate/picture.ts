/**
 * A machine as a picture before it has a notation: nested states with lines of text, and arrows between them. States have
 * numbers for names, since notations have reserved words.
 */
import type { AnyStateMachine, AnyStateNode, AnyTransitionDefinition as Definition } from "xstate";
import { INLINE, type Invoke, actionText, functionName, guardText, historyTargets, invokesOf, statesOf, timersOf, writtenActions } from "./state-nodes.ts";
import { logicKind } from "./structure.ts";

export interface PictureState {
  /** `s0`, `s1`, … in document order. */
  readonly name: string;
  readonly type: "atomic" | "compound" | "parallel" | "final" | "history";
  readonly title: string;
  /** What it invokes, does on entry and exit, and does without leaving. */
  readonly lines: readonly string[];
  /** Where it begins, and what is done then. */
  readonly initial: Arrow | undefined;
  readonly children: readonly PictureState[];
}

export interface Arrow {
  readonly from: string;
  readonly to: string;
  readonly label: string;
}

export interface Picture {
  readonly title: string;
  readonly root: PictureState;
  readonly arrows: readonly Arrow[];
  /** The root has something to say of its own, so that it must be drawn around its states. */
  readonly isRootDrawn: boolean;
}

export function pictureOf(machine: AnyStateMachine): Picture {
  const nodes = statesOf(machine);
  const names = new Map(nodes.map((node, i) => [node, `s${i}`]));
  const arrows = nodes.flatMap((node) => arrowsOf(node, names));
  const root = stateOf(machine.root, names);
  const isRootDrawn = root.type !== "compound" || root.lines.length > 0 || arrows.some(({ from, to }) => from === root.name || to === root.name);
  return { title: machine.id, root, arrows, isRootDrawn };
}

function stateOf(node: AnyStateNode, names: ReadonlyMap<AnyStateNode, string>): PictureState {
  const [first] = node.type === "compound" ? node.initial.target : [];
  return {
    name: names.get(node)!,
    type: node.type,
    title: node.type === "history" ? `${node.key} (${node.history === "deep" ? "H*" : "H"})` : node.key,
    lines: linesOf(node),
    initial: first && { from: names.get(node)!, to: names.get(first)!, label: labelOf("", node.initial as Definition) },
    children: Object.values(node.states).map((child) => stateOf(child, names)),
  };
}

function linesOf(node: AnyStateNode): string[] {
  const staying = transitionsOf(node).filter(([, { target }]) => target === undefined);
  return [
    ...invokesOf(node).map((invoke) => `invoke ${invokeText(node, invoke)}`),
    ...actionsLine("entry", node.entry),
    ...actionsLine("exit", node.exit),
    ...staying.map(([trigger, definition]) => (definition.actions.length > 0 ? labelOf(trigger, definition) : `${labelOf(trigger, definition)} / nothing`)),
  ];
}

const actionsLine = (word: string, actions: readonly unknown[]): string[] => {
  const written = writtenActions(actions);
  return written.length === 0 ? [] : [`${word} / ${written.map(actionText).join(", ")}`];
};

function arrowsOf(node: AnyStateNode, names: ReadonlyMap<AnyStateNode, string>): Arrow[] {
  const from = names.get(node)!;
  const taken = transitionsOf(node).flatMap(([trigger, definition]) =>
    (definition.target ?? []).map((target): Arrow => ({ from, to: names.get(target)!, label: labelOf(trigger, definition) })),
  );
  return [...taken, ...historyTargets(node).map((target) => ({ from, to: names.get(target)!, label: "" }))];
}

function transitionsOf(node: AnyStateNode): [string, Definition][] {
  const events = [...node.transitions].flatMap(([type, list]) =>
    list.map((definition): [string, Definition] => [triggerText(node, type), definition as Definition]),
  );
  return [...events, ...(node.always ?? []).map((definition): [string, Definition] => ["always", definition as Definition])];
}

function labelOf(trigger: string, { guard, actions }: Definition): string {
  const condition = guard === undefined ? "" : `[${guardText(guard, functionName)}]`;
  const done = actions.length === 0 ? "" : `/ ${actions.map(actionText).join(", ")}`;
  return [trigger, condition, done].filter((part) => part !== "").join(" ");
}

/** `GO`, `after 1s`, `done assess`: what sets a transition going. */
function triggerText(node: AnyStateNode, type: string): string {
  const timer = timersOf(node).find(({ id }) => id === type);
  if (timer !== undefined) return `after ${typeof timer.delay === "string" ? timer.delay : lengthText(timer.delay)}`;
  if (type === `xstate.done.state.${node.id}`) return "done";
  const [, what, id] = /^xstate\.(done|error|snapshot)(?:\.actor)?\.(.+)$/.exec(type) ?? [];
  const invoke = invokesOf(node).find((each) => each.id === id);
  return invoke === undefined ? type : `${what} ${invokeText(node, invoke)}`;
}

/** An invoke by its id and what it calls; an id that xstate gave says nothing. */
function invokeText({ id: stateId }: AnyStateNode, { id, src, logic }: Invoke): string {
  const called = logic === undefined ? src : INLINE.replace(")", ` ${logicKind(logic)})`);
  const isGiven = !/^\d+\./.test(id) || !id.endsWith(`.${stateId}`);
  return isGiven && id !== called ? `${id} (${called.replace(/^\(|\)$/g, "")})` : called;
}

const UNITS = [
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
] as const;

/** 1000 is `1s`, 90000 is `90s`, 1500 is `1500ms`. */
function lengthText(ms: number): string {
  const [unit, length] = UNITS.find(([, size]) => ms > 0 && ms % size === 0) ?? ["ms", 1];
  return `${ms / length}${unit}`;
}
