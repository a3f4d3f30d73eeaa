/**
 * What a workflow's run waits for, as a program sees it that has none of its code: enough to make a form of, and to answer.
 */
import { expect, test } from "vitest";
import { z } from "zod";
import { type AwaitedEvent, open, workflow } from "pawl";
import { temporaryFolder } from "../temporary-folder.ts";

const flow = workflow({ name: "flow", input: z.object({}) }, (wf) => {
  const review = wf.event("review", z.object({ approved: z.boolean(), grade: z.enum(["a", "b"]), note: z.string().optional() }), { timeout: "2d" });
  const sign = wf.event("sign", z.object({ by: z.string() }), { after: [review] });
  return { by: sign.result.by, grade: review.result.grade };
});

interface ObjectSchema {
  readonly properties: Readonly<Record<string, { readonly type: string; readonly enum?: readonly unknown[] }>>;
  readonly required: readonly string[];
}

/** The fields of a form: `grade: a or b`, `note (may be empty): string`. */
function formOf({ schema }: AwaitedEvent): string[] {
  const { properties, required } = schema as ObjectSchema;
  return Object.entries(properties).map(
    ([name, { type, enum: values }]) => `${name}${required.includes(name) ? "" : " (may be empty)"}: ${values?.join(" or ") ?? type}`,
  );
}

test("a program without the workflow's code makes a form of what is awaited, and answers it", async () => {
  const { path } = temporaryFolder();
  await using worker = await open(`${path}/pawl.db`, { workflows: [flow] });
  const mine = await worker.start(flow, { id: "r", input: {} });
  await using web = await open(`${path}/pawl.db`, { execute: false });
  const run = await web.run("r");
  await expect.poll(async () => (await run.status()).waitingFor?.events).toEqual(["review"]);
  const { waitingFor, status } = await run.status();
  expect(status).toBe("running");
  const [review] = waitingFor!.awaited!;
  expect(review!.dueAt! - review!.since).toBe(172_800_000);
  expect(formOf(review!)).toEqual(["approved: boolean", "grade: a or b", "note (may be empty): string"]);
  await expect(run.send({ type: "review", approved: true, grade: "c" })).rejects.toMatchObject({
    code: "PAWL_EVENT_REFUSED",
    message: expect.stringContaining("→ at grade") as string,
  });
  expect(await run.send({ type: "review", approved: true, grade: "b" })).toMatchObject({ handled: true });
  expect((await run.status()).waitingFor).toMatchObject({ events: ["sign"], awaited: [{ type: "sign", dueAt: undefined }] });
  await run.send({ type: "sign", by: "ana" });
  expect(await mine.result()).toEqual({ by: "ana", grade: "b" });
  expect((await run.status()).waitingFor).toBeUndefined();
});
