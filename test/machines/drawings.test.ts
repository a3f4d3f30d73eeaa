/**
 * The drawings show the machines that are there, every state says what it is, and the machines stand alone.
 */
import { readFile } from "node:fs/promises";
import { type AnyStateMachine, setup } from "xstate";
import { describe, expect, test } from "vitest";
import { findMachines, hostActionsOf, statesOf, transitionsOf, wordsFor } from "./definition.ts";
import { README, WORDS, drawing, page } from "./draw.ts";

const files = await findMachines();

test("machines/README.md is what `npm run draw` writes", async () => {
  expect(await readFile(README, "utf8"), "run `npm run draw`").toBe(page(files));
});

describe.each(files.map(({ machine, ...rest }) => [machine.id, machine, rest] as const))("%s", (id, machine, { file, source }) => {
  test("has a description, and each of its states has one", () => {
    expect([machine.root, ...statesOf(machine)].filter(({ description }) => !description?.endsWith(".")).map(({ key }) => key)).toEqual([]);
  });

  test("is named after its file", () => {
    expect(`${id}.ts`).toBe(file);
  });

  test("imports xstate, and from sibling files only types", () => {
    const imports = [...source.matchAll(/\b(?:import|export)\b(?:[\w\s{},*]*?\bfrom\b)?\s*\(?\s*["']([^"']+)["']/g)].map(([text, from]) => ({
      text,
      from: from!,
    }));
    expect(imports.length).toBeGreaterThan(0);
    for (const { text, from } of imports) if (from !== "xstate") expect(text).toMatch(/^(import|export) type .* "\.\/[a-z-]+\.ts"$/s);
  });

  test("has words on the page for every action and timer that its host provides", () => {
    const timers = transitionsOf(machine).flatMap(({ delay }) => delay ?? []);
    expect(hostActionsOf(machine).filter((name) => !WORDS[id]?.includes(`\`${name}\``))).toEqual([]);
    for (const delay of timers) expect(page(files)).toContain(`\`after ${delay}`);
  });

  test("uses every action, guard and delay that it sets up, and sets up every one that it uses", () => {
    const transitions = transitionsOf(machine);
    const entered = [machine.root, ...statesOf(machine)].flatMap((node) => wordsFor([...node.entry, ...node.exit]));
    const { actions, guards, delays } = machine.implementations;
    const sorted = (names: Iterable<string>): string[] => [...new Set(names)].toSorted();
    expect(sorted([...entered, ...transitions.flatMap((transition) => transition.actions)])).toEqual(sorted(Object.keys(actions)));
    expect(sorted(transitions.flatMap(({ guard }) => guard ?? []))).toEqual(sorted(Object.keys(guards)));
    expect(sorted(transitions.flatMap(({ delay }) => delay ?? []))).toEqual(sorted(Object.keys(delays)));
  });

  test("has a way to an end from every state, or back to its first if it never ends; and from its first state a way to every state", () => {
    const finals = statesOf(machine).filter(({ type }) => type === "final");
    const first = machine.root.initial.target[0]!.key;
    const ends = finals.length > 0 ? finals : [{ key: first }];
    expect(reachedFrom(first, machine)).toEqual(new Set(statesOf(machine).map(({ key }) => key)));
    for (const { key } of statesOf(machine)) expect(ends.some((end) => end.key === key || reachedFrom(key, machine).has(end.key))).toBe(true);
  });
});

test("a page of a changed machine differs", () => {
  const broken = files.map((file, i) => (i === 0 ? { ...file, machine: files[1]!.machine } : file));
  expect(page(broken)).not.toBe(page(files));
});

test("a nested state is refused, not drawn wrongly", () => {
  const nested = setup({}).createMachine({ id: "nested", initial: "outer", states: { outer: { initial: "inner", states: { inner: {} } } } });
  expect(() => drawing(nested as unknown as AnyStateMachine)).toThrow("outer.inner is nested");
});

/** States to which transitions lead from this one, itself included. */
function reachedFrom(start: string, machine: AnyStateMachine): Set<string> {
  const reached = new Set([start]);
  for (const state of reached)
    for (const { target } of transitionsOf(machine).filter((transition) => transition.state === state)) if (target !== undefined) reached.add(target);
  return reached;
}
