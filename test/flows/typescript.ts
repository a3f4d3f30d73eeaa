/**
 * Flows in TypeScript: teams with a supervisor, a hand-over by what the user wants, agents that talk to each other, and a
 * chain of agents for each item of a list.
 */
import { workflow } from "pawl";
import { z } from "zod";
import { detector, model, supervisor, worker } from "./agents.ts";

const Task = z.object({ task: z.string() });

/** A supervisor says whose turn it is, until it is enough. */
function team(name: string, workers: readonly string[]) {
  const turn = workflow({ name: `${name}-turn`, input: z.object({ said: z.array(z.string()) }) }, (wf) => {
    const { result } = wf.node("supervisor", supervisor, { workers, said: wf.input.said });
    const ways = workers.map((role) => [role, () => wf.node(role, worker, { role, said: wf.input.said }).result.said] as const);
    const next = wf.route("next", result.next, Object.fromEntries(ways), () => wf.input.said);
    return { said: next.result, done: result.done };
  });
  return workflow({ name, input: Task }, (wf) => {
    const talk = wf.repeat("talk", turn, { said: [wf.input.task] }, { until: (last) => last.done, next: (last) => ({ said: last.said }), max: 10 });
    return talk.result.said;
  });
}

export const customerSupport = team("customer-support", ["representative", "quality"]);
export const promptEngineering = team("prompt-engineering", ["creator", "critic"]);
export const softwareTeam = team("software-team", ["engineer", "reviewer"]);

export const agentsHandoff = workflow({ name: "agents-handoff", input: Task }, (wf) => {
  const { result } = wf.node("detect", detector, { text: wf.input.task });
  const answer = (as: string) => () => wf.node(as, model, { as, about: wf.input.task }).result.text;
  return wf.route("intention", result.intention, { refund: answer("refund"), sales: answer("sales"), other: answer("general") }).result;
});

const exchange = workflow({ name: "exchange", input: z.object({ text: z.string() }) }, (wf) => {
  const first = wf.node("first", model, { as: "first", about: wf.input.text });
  return wf.node("second", model, { as: "second", about: first.result.text }).result;
});

export const deepResearchConversation = workflow({ name: "deep-research-conversation", input: Task }, (wf) => {
  const topic = wf.node("enhance", model, { as: "enhance", about: wf.input.task });
  const talk = wf.repeat("talk", exchange, { text: topic.result.text }, { next: (last) => ({ text: last.text }), max: 10 });
  return wf.node("report", model, { as: "report", about: talk.result.text }).result.text;
});

const twice = workflow({ name: "twice", input: z.object({ item: z.string() }) }, (wf) => {
  const drafted = wf.node("draft", model, { as: "draft", about: wf.input.item });
  return wf.node("polish", model, { as: "polish", about: drafted.result.text }).result;
});

export const iterations = workflow({ name: "iterations", input: Task.extend({ items: z.array(z.string()) }) }, (wf) => {
  const each = wf.map("each", wf.input.items, twice, (item) => ({ item }));
  return wf.node("sum-up", model, { as: "sum-up", about: { texts: each.result } }).result.text;
});

export const translator = workflow({ name: "translator", input: Task.extend({ language: z.string() }) }, (wf) => {
  const translated = wf.node("translate", model, { as: "translate", about: `${wf.input.task} into ${wf.input.language}` });
  return translated.result.text;
});
