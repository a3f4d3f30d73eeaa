/**
 * One fan in a process of its own: `fan-child.ts pawl|live|bare WIDTH`. Says as JSON how long it took, its memory, and
 * how long the loop stood still at most: the larger of what two probes saw.
 * After a warm-up.
 * NOT measured: the loop while the definition is made and the file is opened.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { bareMs, record } from "./bare.ts";
import { durableMs, runAll, withPawl, workflowOf } from "./durable.ts";
import type { FanAnswer } from "./fan.ts";
import { fan } from "./graphs.ts";
import { timed } from "./harness.ts";
import { liveMs } from "./live.ts";

const [contender, width] = process.argv.slice(2);
const graph = fan(Number(width));
/** Runs before the one that counts, so that its code is compiled at every width. */
const WARM_UP_RUNS = 5;
const warmUp = fan(Math.min(1_000, Number(width)));
const peakMb = (): number => process.resourceUsage().maxRSS / 1_024;

if (contender === "pawl") console.log(JSON.stringify(await durable()));
else {
  await liveMs(warmUp, WARM_UP_RUNS, 1);
  console.log(JSON.stringify({ tookMs: contender === "live" ? await liveMs(graph, 1, 1) : await bareMs(await record(graph, 1, 1)) }));
}

async function durable(): Promise<FanAnswer> {
  await durableMs(workflowOf(warmUp), WARM_UP_RUNS, 1);
  globalThis.gc?.();
  const rssBeforeMb = process.memoryUsage.rss() / 1_048_576;
  const definedAt = performance.now();
  const definition = workflowOf(graph);
  const definitionMs = performance.now() - definedAt;
  const rssDefinedMb = peakMb();
  return withPawl(async (pawl) => {
    globalThis.gc?.();
    const stop = watchLoop();
    const tookMs = await timed(() => runAll(pawl, definition, 1, 1));
    return { tookMs, loopDelayMaxMs: await stop(), definitionMs, rssBeforeMb, rssDefinedMb, rssPeakMb: peakMb() };
  });
}

/** Watches from now on; what it gives back ends it and answers the longest delay in ms. */
function watchLoop(): () => Promise<number> {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  histogram.enable();
  let watching = true;
  let gapMaxMs = 0;
  let lastAt = performance.now();
  const probe = (): void => {
    const now = performance.now();
    gapMaxMs = Math.max(gapMaxMs, now - lastAt);
    lastAt = now;
    if (watching) setImmediate(probe);
  };
  setImmediate(probe);
  return async () => {
    watching = false;
    await new Promise((resolve) => setTimeout(resolve, 5));
    histogram.disable();
    return Math.max(gapMaxMs, histogram.max / 1e6);
  };
}
