/**
 * A query in words and units: the heading of its chart, and the sentence that answers the question.
 */
import type { Measure, Query, Rows } from "./messages.ts";

const NAMES: Readonly<Record<Measure, string>> = {
  population: "population",
  area: "area",
  gdp: "GDP",
  density: "population density",
  gdpPerPerson: "GDP per person",
};
const UNITS: Readonly<Record<Measure, string>> = {
  population: "people",
  area: "km²",
  gdp: "US$",
  density: "people per km²",
  gdpPerPerson: "US$ per person",
};
const RATIOS: ReadonlySet<Measure> = new Set(["density", "gdpPerPerson"]);
const EXTREMES = { amount: { largest: "largest", smallest: "smallest" }, ratio: { largest: "highest", smallest: "lowest" } } as const;
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

/** `1.44B`, `2.28K`, `0.7`. */
export function shortNumber(value: number): string {
  return compact.format(value);
}

export function unitOf({ aggregate, measure }: Query): string {
  return aggregate === "count" ? "countries" : UNITS[measure];
}

/** For example `The 5 countries in Asia with the largest population`. */
export function titleOf(query: Query): string {
  const { measure, show, aggregate, continents, limit, bounds } = query;
  const where = continents.length > 0 ? ` in ${continents.join(" and ")}` : "";
  const limits = bounds.map((bound) => `${bound.side} ${shortNumber(bound.value)} ${UNITS[bound.measure]}`);
  const only = limits.length > 0 ? `, of those ${limits.join(" and ")}` : "";
  if (show === "countries") {
    const order = EXTREMES[RATIOS.has(measure) ? "ratio" : "amount"][query.order];
    return `The ${limit === 1 ? "country" : `${limit} countries`}${where} with the ${order} ${NAMES[measure]}${only}`;
  }
  const what = aggregate === "count" ? "number of countries" : RATIOS.has(measure) ? NAMES[measure] : `${aggregate} ${NAMES[measure]}`;
  return `${what.slice(0, 1).toUpperCase()}${what.slice(1)}${continents.length === 1 ? "" : " by continent"}${where}${only}`;
}

/** The answer in one sentence. */
export function answerOf(rows: Rows, unit: string): string {
  const [first, ...others] = rows.map(({ label, value }) => `${label} (${shortNumber(value)} ${unit})`);
  if (first === undefined) return "No country in the data fits that question.";
  if (others.length === 0) return `${first}.`;
  return `${first}, then ${others
    .slice(0, 4)
    .map((text) => text.replace(` ${unit})`, ")"))
    .join(", ")}${others.length > 4 ? ` and ${others.length - 4} more` : ""}.`;
}
