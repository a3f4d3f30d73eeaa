/**
 * The AI SDK, loaded here and nowhere else: it is an optional package, and who lacks it is told so.
 */
import { PawlError } from "../index.ts";

type Sdk = typeof import("ai");

async function load(): Promise<Sdk> {
  try {
    return await import("ai");
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== "ERR_MODULE_NOT_FOUND") throw cause;
    throw new PawlError("PAWL_PEER_MISSING", { message: 'pawl/ai needs the package "ai", which is not installed', next: "npm install ai@7", cause });
  }
}

const sdk = await load();

export const { APICallError, LoadAPIKeyError, LoadSettingError, NoSuchModelError, Output, RetryError, UnsupportedFunctionalityError } = sdk;
export const { generateText, streamText } = sdk;
