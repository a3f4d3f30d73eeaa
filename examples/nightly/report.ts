/**
 * A report that is written at certain times: every night at 3 in Berlin, and for this example every second, too.
 * `pawl work examples/nightly/report.ts` serves both.
 */
import { agent, schedule, workflow } from "pawl";
import { z } from "zod";

const input = z.object({ about: z.string() });

const writer = agent({
  name: "writer",
  input,
  output: z.string(),
  run: async ({ about }) => `nothing new about ${about}`,
});

export const report = workflow({ name: "report", input }, (wf) => wf.node("write", writer, { about: wf.input.about }).result);

export const nightly = schedule({
  name: "nightly",
  workflow: report,
  input: { about: "the day" },
  cron: "0 3 * * *",
  timeZone: "Europe/Berlin",
});

export const eachSecond = schedule({
  name: "each-second",
  workflow: report,
  input: { about: "the second" },
  cron: "* * * * * *",
});
