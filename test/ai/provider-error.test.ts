/**
 * What providers refuse, and what becomes of it.
 */
import { APICallError, LoadAPIKeyError, RetryError } from "ai";
import { expect, test } from "vitest";
import { z } from "zod";
import { modelAgent } from "../../src/ai/index.ts";
import { agentErrorOf } from "../../src/ai/provider-error.ts";
import { MachineRoom, anyWorkflow } from "../sim/machine-room.ts";
import { scriptedModel } from "./scripted-model.ts";

function refusal(statusCode?: number, responseHeaders: Record<string, string> = {}): APICallError {
  return new APICallError({ message: "no", url: "https://model", requestBodyValues: {}, responseHeaders, ...(statusCode !== undefined && { statusCode }) });
}

test.each([
  ["429 with retry-after", refusal(429, { "Retry-After": "7" }), "resource", 7_000],
  ["429 with retry-after-ms", refusal(429, { "retry-after-ms": "1500", "retry-after": "2" }), "resource", 1_500],
  [
    "503 with an instant on its own clock",
    refusal(503, { "retry-after": "Thu, 01 Jan 2026 00:01:00 GMT", date: "Thu, 01 Jan 2026 00:00:00 GMT" }),
    "resource",
    60_000,
  ],
  ["529", refusal(529), "resource", undefined],
  ["nonsense in retry-after", refusal(429, { "retry-after": "soon" }), "resource", undefined],
  ["500", refusal(500), "transient", undefined],
  ["408", refusal(408), "transient", undefined],
  ["no answer at all", refusal(), "transient", undefined],
  ["401", refusal(401), "configuration", undefined],
  ["400", refusal(400), "configuration", undefined],
  ["404", refusal(404), "configuration", undefined],
  ["no key", new LoadAPIKeyError({ message: "no key" }), "configuration", undefined],
  ["a retried 429", new RetryError({ message: "gave up", reason: "maxRetriesExceeded", errors: [refusal(429, { "retry-after": "1" })] }), "resource", 1_000],
  ["a gateway's 429", Object.assign(new Error("busy", { cause: refusal(429, { "retry-after": "3" }) }), { statusCode: 429 }), "resource", 3_000],
  ["a gateway's 401", Object.assign(new Error("no key"), { statusCode: 401 }), "configuration", undefined],
])("%s", (_, thrown, kind, retryAfterMs) => {
  expect(agentErrorOf(thrown)).toMatchObject({ name: "AgentError", kind, retryAfterMs, code: "PAWL_AGENT_HTTP" });
});

test("what is none of a provider stays what it is", () => {
  for (const error of [new Error("mine"), "text", undefined, null]) expect(agentErrorOf(error)).toBe(error);
});

test("a busy provider is asked again when it said, and no sooner; a refusal is final", async () => {
  for (const stream of [false, true]) {
    const room = new MachineRoom();
    const at: number[] = [];
    const asking = async (answer: (times: number) => string) => {
      const { model } = scriptedModel(() => answer(at.push(room.clock.mono())));
      const asker = modelAgent({ name: "asker", model, input: z.any(), output: z.string(), prompt: () => "why?", stream, retry: { initialInterval: "1s" } });
      const flow = anyWorkflow("flow", (wf) => wf.node("ask", asker, {}).result);
      const { pawl } = await room.boot([flow]);
      return room.settled(pawl.start(flow, { input: {} }));
    };
    const fail = (error: Error): never => {
      throw error;
    };
    const busy = await asking((times) => (times === 1 ? fail(refusal(429, { "retry-after": "40" })) : "yes"));
    expect(await room.settled(busy.result())).toBe("yes");
    expect(at[1]! - at[0]!).toBeGreaterThanOrEqual(40_000);
    at.length = 0;
    const refused = await asking(() => fail(refusal(401)));
    await expect(room.settled(refused.result())).rejects.toMatchObject({
      code: "PAWL_RUN_FAILED",
      message: expect.stringContaining("status 401: no") as string,
    });
    expect(at.length).toBe(1);
  }
});
