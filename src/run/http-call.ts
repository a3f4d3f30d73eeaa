/**
 * The call of an HTTP agent: input as JSON out, result as JSON back, with the attempt's signal and idempotency key.
 */
import { AgentError, type ErrorCode, PawlError } from "../errors.ts";
import type { AgentContext, HttpService } from "../define/agent.ts";
import { VALUE_LENGTH_MAX } from "./codec.ts";

/** Reads an environment variable. */
export type ReadEnvironment = (name: string) => string | undefined;

const CODE: ErrorCode = "PAWL_AGENT_HTTP";

/** Answers of these statuses mean "not now": another attempt can help. */
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504]);

/** Posts the input to the service and answers with its JSON. Throws AgentError with the kind of the failure. */
export async function callService(service: HttpService, input: unknown, context: AgentContext, environment: ReadEnvironment): Promise<unknown> {
  const url = urlOf(service, environment);
  const response = await post(url, service, input, context);
  if (!response.ok) throw await refusal(response);
  const text = await readText(response);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new AgentError("the service answered with something that is no JSON", { code: CODE, kind: "invalidOutput", cause: error });
  }
}

function urlOf({ url }: HttpService, environment: ReadEnvironment): string {
  if (typeof url === "string") return url;
  const value = environment(url.env) ?? url.default;
  if (value !== undefined) return value;
  throw new PawlError("PAWL_AGENT_UNCONFIGURED", {
    message: `the environment variable ${url.env} is not set`,
    next: `set ${url.env} to the URL of the agent's service`,
  });
}

async function post(url: string, service: HttpService, input: unknown, context: AgentContext): Promise<Response> {
  try {
    return await fetch(url, {
      method: "POST",
      headers: { ...service.headers, "content-type": "application/json", accept: "application/json", "idempotency-key": context.idempotencyKey },
      body: JSON.stringify(input),
      signal: context.signal,
      redirect: "error",
    });
  } catch (error) {
    if (context.signal.aborted) throw error;
    if (!URL.canParse(url)) throw new AgentError("the agent's URL is not valid", { code: CODE, kind: "configuration", cause: error });
    throw new AgentError("the agent's service cannot be reached", { code: CODE, kind: "transient", cause: error });
  }
}

async function refusal(response: Response): Promise<AgentError> {
  await response.body?.cancel();
  const message = `the service answered with status ${response.status}`;
  if (!PASSING.has(response.status)) return new AgentError(message, { code: CODE, kind: "configuration" });
  const retryAfterMs = retryAfter(response.headers);
  return new AgentError(message, { code: CODE, kind: response.status === 429 ? "resource" : "transient", ...(retryAfterMs !== undefined && { retryAfterMs }) });
}

/** `retry-after` is a number of seconds, or an instant on the service's own clock. */
function retryAfter(headers: Headers): number | undefined {
  const value = headers.get("retry-after");
  if (value === null) return undefined;
  const seconds = Number(value);
  const ms = Number.isNaN(seconds) ? Date.parse(value) - Date.parse(headers.get("date") ?? "") : seconds * 1_000;
  return ms > 0 ? ms : undefined;
}

/** The body as text, read no further than a value may be long. */
async function readText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length > VALUE_LENGTH_MAX)
      throw new PawlError("PAWL_VALUE_TOO_LARGE", { message: `the service's answer is longer than ${VALUE_LENGTH_MAX} characters` });
  }
  return text + decoder.decode();
}
