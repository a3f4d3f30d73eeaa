/**
 * What a node costs on the disk: rows and bytes that stay, writes, commits and transactions, read from the file itself.
 * NOT measured: time; the WAL; pages freed again.
 */
import { DatabaseSync } from "node:sqlite";
import { runAll, watchGroups, withPawl, workflowOf } from "./durable.ts";
import { type Graph, chain, fan } from "./graphs.ts";
import type { Benchmark, Row } from "./harness.ts";

export const rows: Benchmark = {
  name: "rows",
  title: "rows: what a node costs on the disk",
  async run(settings) {
    const runs = settings.quick ? 20 : 1_000;
    const width = settings.quick ? 100 : 10_000;
    return [...(await countRows(chain(10), runs, 100)), ...(await countRows(fan(width), 1, 1))];
  },
};

function countRows(graph: Graph, runs: number, inFlight: number): Promise<Row[]> {
  return withPawl(async (pawl, file) => {
    const watch = watchGroups(pawl);
    await runAll(pawl, workflowOf(graph), runs, inFlight);
    watch.stop();
    const database = new DatabaseSync(file, { readOnly: true });
    const number = (sql: string): number => Number(database.prepare(sql).get()!["value"]);
    const [runRows, actorRows, historyRows] = ["run", "actor", "history"].map((table) => number(`SELECT count(*) AS value FROM ${table}`)) as [
      number,
      number,
      number,
    ];
    const commits = number("SELECT sum(commit_no) AS value FROM run");
    const pageBytes = (tables: string): number => number(`SELECT coalesce(sum(pgsize), 0) AS value FROM dbstat WHERE name IN (${tables})`);
    const all = number("SELECT sum(pgsize) AS value FROM dbstat");
    const perNode = (count: number, unit: string, what: string): Row => ({
      measurement: `${graph.name} x ${runs}: ${what}`,
      unit,
      median: count / (runs * graph.nodes.length),
    });
    const answer = [
      perNode(runRows + actorRows + historyRows, "rows/node", "rows that stay"),
      perNode(actorRows, "rows/node", "of these, actors"),
      perNode(historyRows, "rows/node", "of these, history"),
      perNode(commits + actorRows + historyRows, "writes/node", "row writes (run, actors, history)"),
      perNode(all, "bytes/node", "bytes of the file"),
      perNode(pageBytes("'actor'"), "bytes/node", "of these, actors"),
      perNode(pageBytes("'history'"), "bytes/node", "of these, history"),
      perNode(pageBytes("'run', 'run_created', 'run_unfinished', 'run_wake'"), "bytes/node", "of these, runs and their indexes"),
      perNode(pageBytes("'definition'"), "bytes/node", "of these, the definition"),
      perNode(commits, "commits/node", "commits"),
      perNode(watch.groups.length, "fsyncs/node", "transactions"),
    ];
    database.close();
    return answer;
  });
}
