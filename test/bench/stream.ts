/**
 * What streaming costs those who do not stream: chains of nodes that commit as fast as they can, in silence and beside an agent
 * that streams 10,000 chunks a second to 10 readers; and chains all of whose agents stream. NOT measured: what readers do with
 * chunks, chunks between processes (there are none), how late a chunk is heard.
 */
import { type AgentContext, type Pawl, agent, workflow } from "pawl";
import { z } from "zod";
import { SEED, step, withPawl, workflowOf } from "./durable.ts";
import { chain } from "./graphs.ts";
import { type Benchmark, type Contender, type Row, type Settings, inLanes, judged, medianRatio, race, rowOf, timed } from "./harness.ts";

const NODES = 10;
const CHUNKS_PER_MS = 10;
const READERS = 10;
/** As DESIGN says: at most a tenth slower. */
const SLOWER_MOST = 1.1;
const CHUNK = " token";

const graph = chain(NODES);
const silent = workflowOf(graph);
const chatty = workflowOf(
  graph,
  agent({
    name: "chatty",
    input: z.object({ values: z.array(z.number()) }),
    output: z.object({ value: z.number() }),
    run: (input, ctx) => (ctx.stream(CHUNK), step(input)),
  }),
);
const talk = agent({ name: "talk", input: z.object({}), output: z.any(), timeout: "1h", run: (_, ctx) => talkUntilAborted(ctx) });
const talks = workflow({ name: "talks", input: z.object({}) }, (wf) => wf.node("talk", talk, {}).result);

export const stream: Benchmark = {
  name: "stream",
  title: "stream: chains in flight beside agents that stream",
  async run(settings) {
    const [runs, inFlight] = settings.quick ? [20, 10] : [1_000, 100];
    const heard: number[] = [];
    const contenders: Contender[] = [
      { name: "silent", run: () => withPawl((pawl) => chainsMs(pawl, runs, inFlight, silent)) },
      { name: "beside", run: () => withPawl((pawl) => besideTalk(pawl, heard, () => chainsMs(pawl, runs, inFlight, silent))) },
      { name: "unheard", run: () => withPawl((pawl) => chainsMs(pawl, runs, inFlight, chatty)) },
      { name: "heard", run: () => withPawl((pawl) => chainsMs(pawl, runs, inFlight, chatty, true)) },
    ];
    return rowsOf(await race(contenders, settings), runs, heard, settings);
  },
};

function rowsOf(times: ReadonlyMap<string, readonly number[]>, runs: number, heard: readonly number[], settings: Settings): Row[] {
  const silentMs = times.get("silent")!;
  const row = (name: string, what: string): Row => rowOf(`${graph.name} x ${runs}: ${what}`, "µs/node", times.get(name)!, 1_000 / (runs * NODES));
  const compared = (name: string, what: string): Row => judged(row(name, what), medianRatio(times.get(name)!, silentMs), { atMost: SLOWER_MOST, of: "silent" });
  const perSecond = heard.slice(-settings.rounds);
  return [
    row("silent", "nobody streams"),
    compared("beside", `beside an agent that streams to ${READERS} readers`),
    rowOf(`${graph.name} x ${runs}: info: chunks heard, by all readers`, "1/s", perSecond),
    { ...row("unheard", "info: each agent streams a chunk, nobody listens"), ratio: medianRatio(times.get("unheard")!, silentMs) },
    { ...row("heard", "info: each agent streams a chunk, one reader a run"), ratio: medianRatio(times.get("heard")!, silentMs) },
  ];
}

function chainsMs(pawl: Pawl, runs: number, inFlight: number, definition: typeof silent, isHeard = false): Promise<number> {
  return timed(() =>
    inLanes(runs, inFlight, async () => {
      const run = await pawl.start(definition, { input: { seed: SEED } });
      if (!isHeard) return run.result();
      for await (const { chunk } of run.stream()) if (chunk !== CHUNK) throw new Error("another chunk");
    }),
  );
}

/** Notes the chunks that all readers heard in a second. */
async function besideTalk(pawl: Pawl, heard: number[], work: () => Promise<number>): Promise<number> {
  const run = await pawl.start(talks, { input: {} });
  const streams = Array.from({ length: READERS }, () => run.stream<string>());
  let [chunks, isOver] = [0, false];
  const readers = streams.map(async (stream) => {
    for await (const { chunk } of stream) if (chunk === CHUNK && !isOver) chunks++;
  });
  await streams[0]!.next();
  const [before, tookMs] = [chunks, await work()];
  isOver = true;
  heard.push(((chunks - before) / tookMs) * 1_000);
  await run.cancel();
  await Promise.all(readers);
  return tookMs;
}

/** So many chunks a ms, however late the timers are. */
async function talkUntilAborted(ctx: AgentContext): Promise<void> {
  const startedAt = performance.now();
  for (let said = 0; !ctx.signal.aborted; await new Promise((resolve) => setTimeout(resolve, 1))) {
    for (const due = (performance.now() - startedAt) * CHUNKS_PER_MS; said < due; said++) ctx.stream(CHUNK);
  }
}
