/**
 * A machine as the configuration that Stately Studio imports: plain JSON of which createMachine makes the same states and
 * transitions. Functions become objects that name them; context, input and output are left out, since they compute.
 */
import type { AnyStateMachine } from "xstate";
import { type BuiltIn, INLINE, actionText, functionName, guardText } from "./state-nodes.ts";
import { logicKind } from "./structure.ts";

type Config = Readonly<Record<string, unknown>>;

export function statelyConfig(machine: AnyStateMachine): object {
  return stateConfig(machine.config as Config);
}

function stateConfig(config: Config): object {
  const { id, version, type, initial, history, target, tags, description, states, entry, exit, on, after, always, onDone, invoke, route } = config;
  return given({
    ...{ id, version, type, history, target, tags, description },
    initial: typeof initial === "object" ? transition(initial) : initial,
    states: states && mapped(states, (state) => stateConfig(state as Config)),
    entry: entry && list(entry).map(action),
    exit: exit && list(exit).map(action),
    on: on && mapped(on, transitions),
    after: after && mapped(after, transitions),
    always: always && transitions(always),
    onDone: onDone && transitions(onDone),
    invoke: invoke && list(invoke).map(invokeConfig),
    route: route && transition(route),
  });
}

function invokeConfig(config: unknown): object {
  const { id, src, systemId, onDone, onError, onSnapshot } = config as Config;
  return given({
    ...{ id, systemId },
    src: typeof src === "string" ? src : INLINE.replace(")", ` ${logicKind(src)})`),
    onDone: onDone && transitions(onDone),
    onError: onError && transitions(onError),
    onSnapshot: onSnapshot && transitions(onSnapshot),
  });
}

/** An event that is written with `undefined` is one that is taken and does nothing; JSON has no undefined. */
function transitions(written: unknown): unknown {
  return Array.isArray(written) ? written.map(transition) : transition(written);
}

function transition(written: unknown): unknown {
  if (typeof written !== "object" || written === null) return written ?? {};
  const { target, guard, actions, reenter, description } = written as Config;
  return given({
    ...{ target, reenter, description },
    guard: guard && (typeof guard === "function" ? { type: guardText(guard, functionName) } : named(guard)),
    actions: actions && list(actions).map(action),
  });
}

function action(written: unknown): unknown {
  if (typeof written !== "function") return named(written);
  const { type, resolve } = written as unknown as BuiltIn;
  return { type: resolve === undefined ? actionText(written) : type };
}

/** Parameters that are computed are left out. */
function named(written: unknown): unknown {
  if (typeof written === "string") return written;
  const { type, params } = written as Config;
  return given({ type, params: typeof params === "function" ? undefined : params });
}

const list = (value: unknown): unknown[] => (Array.isArray(value) ? (value as unknown[]) : [value]);
const given = (fields: Config): object => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
const mapped = (fields: unknown, change: (value: unknown) => unknown): object =>
  Object.fromEntries(Object.entries(fields as object).map(([key, value]) => [key, change(value)]));
