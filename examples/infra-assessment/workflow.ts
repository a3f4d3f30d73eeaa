/**
 * The assessment: an inventory, then each reviewer of the panel on each service, then a summary. The number of services is
 * known only when the run gets there. A review by `cost` or `reliability` that fails for good is left out.
 */
import { workflow } from "pawl";
import { z } from "zod";
import { chair, cost, inventory, reliability, security } from "./agents.ts";

export const assessment = workflow({ name: "assessment", input: z.object({ file: z.string() }) }, (wf) => {
  const { file } = wf.input;
  const { services } = wf.stage("inventory", () => wf.node("inventory", inventory, { file })).result;
  const panel = wf.stage("review", () => ({
    security: wf.map("security", services, security, (service) => service),
    cost: wf.map("cost", services, cost, (service) => ({ file, service }), { onFail: "skip" }),
    reliability: wf.map("reliability", services, reliability, (service) => service, { onFail: "skip", concurrency: 2 }),
  }));
  const summary = wf.stage("summary", () =>
    wf.node("summary", chair, { security: panel.security.result, cost: panel.cost.result, reliability: panel.reliability.result }),
  );
  return summary.result;
});
