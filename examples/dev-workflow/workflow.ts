/**
 * From a prompt to a pull request, in stages. A round of coding is a workflow of its own, repeated until the tests pass,
 * each time with what failed the last time. Nothing is published that a person has not approved.
 */
import { workflow } from "pawl";
import { z } from "zod";
import { checker, coder, planner, publisher } from "./agents.ts";

const branch = z.object({ origin: z.string(), branch: z.string() });

const round = workflow({ name: "round", input: branch.extend({ failing: z.array(z.string()) }) }, (wf) => {
  const code = wf.stage("implement", () => wf.node("code", coder, wf.input));
  const check = wf.stage("check", () => wf.node("check", checker, { origin: wf.input.origin, commit: code.result.commit }));
  return check.result;
});

export const development = workflow({ name: "development", input: branch.extend({ prompt: z.string() }) }, (wf) => {
  const { origin, branch, prompt } = wf.input;
  const plan = wf.stage("plan", () => wf.node("plan", planner, { origin, branch, prompt }));
  const first = { origin, branch, failing: plan.result.failing };
  const build = wf.stage("implement", () =>
    wf.repeat("build", round, first, { next: (last) => ({ ...first, failing: last.failing }), until: (last) => last.passed, max: 5 }),
  );
  const review = wf.when("passed", build.result.passed, () => {
    const approval = wf.stage("review", () => wf.event("approval", z.object({ approved: z.boolean(), by: z.string() }), { timeout: "7d" }));
    const { approved, by } = approval.result;
    const decision = wf.when("approved", approved, () => {
      const { commit } = build.result;
      return wf.stage("publish", () => wf.node("publish", publisher, { origin, branch, commit, prompt, by })).result.file;
    });
    return { by, pullRequest: decision.result };
  });
  return { passed: build.result.passed, review: review.result };
});
