/**
 * Reads a question in English about countries by a handful of rules: what is measured, which countries, how many.
 * Pure. Answers undefined for a question that names nothing it knows.
 */
import type { Measure, Query } from "./messages.ts";

const NUMBER_WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
const SCALES: Readonly<Record<string, number>> = { thousand: 1e3, million: 1e6, billion: 1e9, trillion: 1e12 };
const LIMIT_DEFAULT = 10;
const LIMIT_MAX = 20;

/** In this order: "population density" is no population, and "the largest countries" are so by area. */
const MEASURE_WORDS: readonly (readonly [Measure, RegExp])[] = [
  ["density", /\b(density|densely|dense|densest|crowded|people per)\b/],
  ["gdpPerPerson", /\b(gdp|income|economy|product) (per|for each) (person|capita|head|inhabitant)|\b(richest|poorest|wealthiest)\b/],
  ["gdp", /\b(gdp|economy|economies|economic output|gross domestic product)\b/],
  ["area", /\b(area|areas|surface|territory|land|km2|square kilomet(re|er)s?)\b/],
  ["population", /\b(population|populations|people|populous|inhabitants|live|lives|persons?)\b/],
  ["area", /\b(largest|biggest|smallest) ([a-z]+ )?(countries|country|continents?)\b/],
];
/** Enough for "how many countries are in Africa?". */
const COUNTED = /\b(how many|number of) ([a-z]+ )?countries\b/;

const CONTINENT_WORDS: readonly (readonly [Query["continents"][number], RegExp])[] = [
  ["Africa", /\bafrican?\b/],
  ["Asia", /\basian?\b/],
  ["Europe", /\beurope(an)?\b/],
  ["North America", /\b(north american?|americas)\b/],
  ["South America", /\b(south american?|americas)\b/],
  ["Oceania", /\b(oceanian?|australasian?)\b/],
];

/** `over 50 million people`: side, number, scale, and the word that says what is counted. */
const BOUND =
  /\b(more than|over|above|at least|greater than|larger than|less than|under|below|fewer than|at most|smaller than)\s+\$?([\d.,]*\d)\s*(thousand|million|billion|trillion)?\s*([a-z$][a-z0-9]*)?/g;
const BELOW = /^(less|under|below|fewer|at most|smaller)/;
const SMALLEST = /\b(smallest|least|lowest|fewest|poorest|bottom|minimum)\b/;

export function parseQuestion(question: string): Query | undefined {
  const text = question.toLowerCase().replaceAll("²", "2").replace(/\s+/g, " ");
  const { rest, found } = takeBounds(text);
  const asksCount = COUNTED.test(rest);
  const measure = MEASURE_WORDS.find(([, word]) => word.test(rest))?.[0] ?? found[0]?.measure ?? (asksCount ? "population" : undefined);
  if (measure === undefined) return undefined;
  const groups = asksCount || /\b(by|per|each|every|of the|which|what) continents?\b|\bcontinents\b/.test(rest);
  const averaged = /\b(average|mean)\b/.test(rest);
  return {
    measure,
    show: groups || averaged || /\b(total|altogether|sum)\b/.test(rest) ? "continents" : "countries",
    aggregate: asksCount ? "count" : averaged ? "average" : "total",
    order: SMALLEST.test(rest) ? "smallest" : "largest",
    limit: limitOf(rest),
    continents: CONTINENT_WORDS.filter(([, word]) => word.test(rest)).map(([name]) => name),
    bounds: found.slice(0, 4).map((bound) => ({ measure, ...bound })),
  };
}

type FoundBound = Omit<Query["bounds"][number], "measure"> & { measure?: Measure };

/** Takes the bounds out of the text, so that their numbers are not read as "how many". */
function takeBounds(text: string): { rest: string; found: FoundBound[] } {
  const found: FoundBound[] = [];
  const rest = text.replace(BOUND, (_, side: string, digits: string, scale: string | undefined, word: string | undefined) => {
    const measure = word === undefined ? undefined : boundMeasure(word);
    const value = Number(digits.replaceAll(",", "")) * (SCALES[scale ?? ""] ?? 1);
    found.push({ ...(measure !== undefined && { measure }), side: BELOW.test(side) ? "below" : "above", value });
    return measure === undefined && word !== undefined ? ` ${word}` : " ";
  });
  return { rest, found };
}

function boundMeasure(word: string): Measure | undefined {
  if (/^(dollars?|usd|\$)/.test(word)) return "gdp";
  if (/^(km|square|sq)/.test(word)) return "area";
  return /^(people|inhabitants|persons?|citizens)/.test(word) ? "population" : undefined;
}

/** The first number that is left: `5 countries`, `top ten`. */
function limitOf(text: string): number {
  for (const [word] of text.matchAll(/\b(\d+|[a-z]+)\b/g)) {
    const number = /^\d+$/.test(word) ? Number(word) : NUMBER_WORDS.indexOf(word);
    if (number >= 1) return Math.min(number, LIMIT_MAX);
  }
  return LIMIT_DEFAULT;
}
