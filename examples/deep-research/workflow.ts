/**
 * Questions on a topic, as many as the model thinks of, each researched on its own, and a report of what was found.
 */
import { workflow } from "pawl";
import { z } from "zod";
import { planner, researcher, writer } from "./agents.ts";

export const deepResearch = workflow({ name: "deep-research", input: z.object({ topic: z.string() }) }, (wf) => {
  const plan = wf.node("plan", planner, { topic: wf.input.topic });
  const research = wf.map("research", plan.result.questions, researcher, (question) => ({ question }), { concurrency: 2 });
  const report = wf.node("report", writer, { findings: research.result });
  return { report: report.result, findings: research.result };
});
