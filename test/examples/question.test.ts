/**
 * Questions in English: what the rules make of them, what SQL that becomes, and what the data answers.
 */
import { expect, test } from "vitest";
import { answerOf, titleOf, unitOf } from "../../examples/analytics/describe-query.ts";
import { CONTINENTS, MEASURES, type Query, query } from "../../examples/analytics/messages.ts";
import { parseQuestion } from "../../examples/analytics/parse-question.ts";
import { loadCountries, runQuery, sqlOf } from "../../examples/analytics/run-query.ts";

const countries = loadCountries(new URL("../../examples/analytics/countries.csv", import.meta.url));

function understood(question: string): Query {
  const found = parseQuestion(question);
  expect(found, question).toBeDefined();
  return query.parse(found);
}

/** Question, heading, and the labels of the first bars. */
const QUESTIONS: readonly (readonly [string, string, readonly string[]])[] = [
  [
    "Which 5 countries in Asia have the largest population?",
    "The 5 countries in Asia with the largest population",
    ["India", "China", "Indonesia", "Pakistan", "Bangladesh"],
  ],
  ["Top three countries of Europe by area", "The 3 countries in Europe with the largest area", ["Russia", "France", "Ukraine"]],
  ["What are the 2 smallest countries?", "The 2 countries with the smallest area", ["Monaco", "Nauru"]],
  ["Which one country has the highest population density?", "The country with the highest population density", ["Monaco"]],
  ["4 biggest economies", "The 4 countries with the largest GDP", ["United States", "China", "Germany", "Japan"]],
  ["the 2 poorest South American countries by GDP per capita", "The 2 countries in South America with the lowest GDP per person", ["Venezuela", "Bolivia"]],
  ["Which continent has the most people?", "Total population by continent", ["Asia", "Africa", "Europe"]],
  ["Average area by continent", "Average area by continent", ["South America", "North America"]],
  ["GDP per person of each continent", "GDP per person by continent", ["North America", "Oceania", "Europe"]],
  ["How many countries are there per continent?", "Number of countries by continent", ["Africa", "Asia", "Europe"]],
  [
    "3 countries by GDP per capita with more than 100 million people",
    "The 3 countries with the highest GDP per person, of those above 100M people",
    ["United States", "Japan", "Russia"],
  ],
];

test.each(QUESTIONS)("%s", (question, title, labels) => {
  const read = understood(question);
  expect(titleOf(read)).toBe(title);
  expect(
    runQuery(countries, read)
      .rows.slice(0, labels.length)
      .map(({ label }) => label),
  ).toEqual(labels);
});

test("a count is the number of countries that fit", () => {
  const read = understood("How many countries in Africa have more than 50 million people?");
  expect(unitOf(read)).toBe("countries");
  const { rows } = runQuery(countries, read);
  expect(rows).toEqual([{ label: "Africa", value: 7 }]);
  expect(answerOf(rows, "countries")).toBe("Africa (7 countries).");
});

test("a bound takes its number, its scale and its side", () => {
  expect(understood("countries with a GDP below 2.5 trillion dollars and over 1,000,000 people").bounds).toEqual([
    { measure: "gdp", side: "below", value: 2.5e12 },
    { measure: "population", side: "above", value: 1e6 },
  ]);
});

test("a question about something else is not understood", () => {
  for (const question of ["hello", "Who wrote Faust?", "", "?".repeat(500)]) expect(parseQuestion(question), question).toBeUndefined();
});

test("nothing of a question becomes SQL: values are parameters, names come from lists", () => {
  for (const measure of MEASURES) {
    const { sql, values } = sqlOf({ ...understood("area of Asia"), measure, continents: [...CONTINENTS], bounds: [{ measure, side: "above", value: 12_345 }] });
    expect(sql).not.toMatch(/Asia|12345|12_345/);
    expect(values).toEqual([...CONTINENTS, 12_345, 10]);
    expect(() => countries.prepare(sql)).not.toThrow();
  }
  expect(query.safeParse({ ...understood("area of Asia"), continents: ["'; DROP TABLE country; --"] }).success).toBe(false);
});

test("the data is whole: 193 countries, each with three numbers above 0", () => {
  const rows = countries.prepare("SELECT * FROM country").all() as Record<string, string | number>[];
  expect(rows.length).toBe(193);
  expect(new Set(rows.map((row) => row["country"])).size).toBe(193);
  for (const row of rows) {
    expect(CONTINENTS).toContain(row["continent"]);
    for (const column of ["population", "area_km2", "gdp_billion_usd"]) expect(row[column], String(row["country"])).toBeGreaterThan(0);
  }
  const [world] = countries.prepare("SELECT sum(population) AS people, sum(area_km2) AS area, sum(gdp_billion_usd) AS gdp FROM country").all();
  expect(world!["people"]).toBeGreaterThan(7.9e9);
  expect(world!["people"]).toBeLessThan(8.2e9);
  expect(world!["area"]).toBeGreaterThan(1.28e8);
  expect(world!["area"]).toBeLessThan(1.38e8);
  expect(world!["gdp"]).toBeGreaterThan(95_000);
  expect(world!["gdp"]).toBeLessThan(110_000);
});
