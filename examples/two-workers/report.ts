/**
 * A report in three steps, a fifth of a second each. With CALLS_LOG each step writes down that it begins and ends.
 */
import { appendFileSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as passes } from "node:timers/promises";
import { AgentError, type AgentContext, agent, workflow } from "pawl";
import { z } from "zod";

const STEP_MS = 200;

const outliner = agent({
  name: "outliner",
  input: z.object({ topic: z.string() }),
  output: z.object({ title: z.string() }),
  run: ({ topic }, context) => inAWhile(context, () => ({ title: `About ${topic}` })),
});

const writer = agent({
  name: "writer",
  input: z.object({ title: z.string(), topic: z.string() }),
  output: z.object({ text: z.string() }),
  run: ({ title, topic }, context) => inAWhile(context, () => ({ text: `${title}\n\nMuch is known about ${topic}.\n` })),
});

const printer = agent({
  name: "printer",
  input: z.object({ text: z.string(), folder: z.string() }),
  output: z.object({ file: z.string() }),
  run: ({ text, folder }, context) =>
    inAWhile(context, () => {
      if (!existsSync(folder)) throw new AgentError(`there is no folder "${folder}"`, { kind: "configuration" });
      const file = join(folder, `${context.runId}.txt`);
      writeFileSync(file, text);
      return { file };
    }),
});

export const report = workflow({ name: "report", input: z.object({ topic: z.string(), folder: z.string() }) }, (wf) => {
  const outline = wf.node("outline", outliner, { topic: wf.input.topic });
  const write = wf.node("write", writer, { title: outline.result.title, topic: wf.input.topic });
  const print = wf.node("print", printer, { text: write.result.text, folder: wf.input.folder });
  return { file: print.result.file };
});

async function inAWhile<T>({ idempotencyKey, signal }: AgentContext, work: () => T): Promise<T> {
  note(`start ${idempotencyKey}`);
  await passes(STEP_MS, undefined, { signal });
  const result = work();
  note(`end ${idempotencyKey}`);
  return result;
}

function note(line: string): void {
  const log = process.env["CALLS_LOG"];
  if (log !== undefined) appendFileSync(log, `${line} ${process.pid}\n`);
}
