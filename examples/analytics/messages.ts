/**
 * What the three agents and their callers say to each other. Each service checks what it is given by these schemas,
 * and the workflow checks what they answer.
 */
import { z } from "zod";

export const MEASURES = ["population", "area", "gdp", "density", "gdpPerPerson"] as const;
export const CONTINENTS = ["Africa", "Asia", "Europe", "North America", "South America", "Oceania"] as const;
/** Bars of a chart. */
const ROWS_MAX = 20;

const measure = z.enum(MEASURES);
export type Measure = z.infer<typeof measure>;

/** A question, understood. */
export const query = z.object({
  measure,
  /** What a bar stands for. */
  show: z.enum(["countries", "continents"]),
  /** How the countries of a continent come together. */
  aggregate: z.enum(["total", "average", "count"]),
  order: z.enum(["largest", "smallest"]),
  limit: z.int().min(1).max(ROWS_MAX),
  continents: z.array(z.enum(CONTINENTS)).max(CONTINENTS.length),
  bounds: z.array(z.object({ measure, side: z.enum(["above", "below"]), value: z.number() })).max(4),
});
export type Query = z.infer<typeof query>;

export const rows = z.array(z.object({ label: z.string().max(100), value: z.number() })).max(ROWS_MAX);
export type Rows = z.infer<typeof rows>;

export const nlpRequest = z.object({ question: z.string().min(1).max(500) });
export const nlpAnswer = z.object({
  query,
  /** The question as the chart's heading. */
  title: z.string(),
  unit: z.string(),
  /** A language model, or the rules that need none. */
  readBy: z.enum(["model", "rules"]),
});

export const dataRequest = z.object({ query });
export const dataAnswer = z.object({ rows, sql: z.string() });

export const vizRequest = z.object({ title: z.string().max(200), unit: z.string().max(50), rows });
export const vizAnswer = z.object({ svg: z.string() });
