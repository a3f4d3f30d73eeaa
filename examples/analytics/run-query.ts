/**
 * Runs a query as SQL over the countries, in memory. Names and expressions come from the lists here, values only as
 * parameters: nothing that a question says becomes SQL.
 */
import { readFileSync } from "node:fs";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import type { Measure, Query, Rows } from "./messages.ts";

/** A measure is a sum, or one sum per another, so that continents add up rightly. */
const PARTS: Readonly<Record<Measure, readonly [sum: string, per?: string]>> = {
  population: ["population"],
  area: ["area_km2"],
  gdp: ["gdp_billion_usd * 1e9"],
  density: ["population", "area_km2"],
  gdpPerPerson: ["gdp_billion_usd * 1e9", "population"],
};

/** The countries in an SQLite database in memory. */
export function loadCountries(file: string | URL): DatabaseSync {
  const [, ...lines] = readFileSync(file, "utf8").trimEnd().split("\n");
  const database = new DatabaseSync(":memory:");
  database.exec("CREATE TABLE country (country TEXT, continent TEXT, population REAL, area_km2 REAL, gdp_billion_usd REAL) STRICT");
  const insert = database.prepare("INSERT INTO country VALUES (?, ?, ?, ?, ?)");
  for (const line of lines) {
    const [country, continent, ...numbers] = line.split(",");
    insert.run(country!, continent!, ...numbers.map(Number));
  }
  return database;
}

export function runQuery(database: DatabaseSync, query: Query): { rows: Rows; sql: string } {
  const { sql, values } = sqlOf(query);
  return { sql, rows: database.prepare(sql).all(...values) as Rows };
}

/** The query's SQL with its parameters. */
export function sqlOf(query: Query): { sql: string; values: SQLInputValue[] } {
  const perContinent = query.show === "continents";
  const label = perContinent ? "continent" : "country";
  const conditions: string[] = [];
  const values: SQLInputValue[] = [];
  if (query.continents.length > 0) {
    conditions.push(`continent IN (${query.continents.map(() => "?").join(", ")})`);
    values.push(...query.continents);
  }
  for (const { measure, side, value } of query.bounds) {
    conditions.push(`${each(measure)} ${side === "above" ? ">" : "<"} ?`);
    values.push(value);
  }
  const where = conditions.length > 0 ? ` WHERE ${conditions.join(" AND ")}` : "";
  const group = perContinent ? " GROUP BY continent" : "";
  const order = query.order === "largest" ? "DESC" : "ASC";
  const value = perContinent ? together(query) : each(query.measure);
  values.push(query.limit);
  return { sql: `SELECT ${label} AS label, ${value} AS value FROM country${where}${group} ORDER BY value ${order}, label LIMIT ?`, values };
}

function each(measure: Measure): string {
  const [sum, per] = PARTS[measure];
  return per === undefined ? `(${sum})` : `(${sum} / ${per})`;
}

function together({ aggregate, measure }: Query): string {
  const [sum, per] = PARTS[measure];
  if (aggregate === "count") return "count(*)";
  if (per !== undefined) return `sum(${sum}) / sum(${per})`;
  return `${aggregate === "average" ? "avg" : "sum"}(${sum})`;
}
