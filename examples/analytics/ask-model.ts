/**
 * Reads a question by a language model with a chat-completions interface, where one is configured: OPENAI_API_KEY, or
 * ANALYTICS_MODEL_URL with ANALYTICS_MODEL_KEY for any other service that speaks the same way. What the model answers
 * is checked like anything else that comes from outside.
 */
import { z } from "zod";
import { type Query, query } from "./messages.ts";

export interface Model {
  /** The address before `/chat/completions`. */
  readonly url: string;
  readonly key: string | undefined;
  readonly name: string;
}

const TIMEOUT_MS = 8_000;
const completion = z.object({ choices: z.array(z.object({ message: z.object({ content: z.string() }) })).min(1) });

/** The model that the environment names, if any. */
export function modelOf(environment: Readonly<Record<string, string | undefined>>): Model | undefined {
  const name = environment["ANALYTICS_MODEL"] ?? "gpt-4o-mini";
  const own = environment["ANALYTICS_MODEL_URL"];
  if (own) return { url: own, key: environment["ANALYTICS_MODEL_KEY"], name };
  const key = environment["OPENAI_API_KEY"];
  return key ? { url: "https://api.openai.com/v1", key, name } : undefined;
}

/** Throws for anything else than a well-formed query. */
export async function askModel(model: Model, question: string): Promise<Query> {
  const response = await fetch(`${model.url.replace(/\/$/, "")}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(model.key && { authorization: `Bearer ${model.key}` }) },
    body: JSON.stringify({
      model: model.name,
      temperature: 0,
      response_format: { type: "json_object" },
      messages: [
        { role: "system", content: `${INSTRUCTION}\n${JSON.stringify(z.toJSONSchema(query))}` },
        { role: "user", content: question },
      ],
    }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!response.ok) throw new Error(`the model's service answered with status ${response.status}`);
  const { choices } = completion.parse(await response.json());
  return query.parse(JSON.parse(choices[0]!.message.content));
}

const INSTRUCTION = `You turn a question about the countries of the world into a query. The data: one row per country with its continent,
population, area in km², and GDP in US$. "bounds" keeps only countries above or below a value (plain units, not millions).
"show" says whether a bar is a country or a continent. Leave "continents" empty for the whole world; "limit" is 10 unless
the question says how many. Answer with one JSON object that fits this JSON Schema, and nothing else:`;
