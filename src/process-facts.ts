/**
 * What the process and the machine say of themselves, read here and nowhere else: CPU, memory, event loop and disk.
 */
import { stat, statfs } from "node:fs/promises";
import { availableParallelism, totalmem } from "node:os";
import { dirname } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";
import type { ProcessFacts } from "./run/metering.ts";

/** How often the event loop is looked at, in ms. */
const LOOK_EVERY_MS = 20;

/** Of this process, and of the disk with the store at `path`. */
export function systemFacts(path: string, isMeasuring: boolean): ProcessFacts {
  const file = path === ":memory:" ? undefined : path;
  const delays = isMeasuring ? { metrics: new LoopDelay(), health: new LoopDelay() } : undefined;
  return {
    cores: availableParallelism(),
    cpuMs: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1_000;
    },
    memory: () => {
      const { rss, heapUsed } = process.memoryUsage();
      // a container may have less than the machine
      const totalBytes = Math.min(totalmem(), process.constrainedMemory() || Infinity);
      return { residentBytes: rss, heapUsedBytes: heapUsed, heapLimitBytes: getHeapStatistics().heap_size_limit, totalBytes };
    },
    loopDelay: (asker) => delays?.[asker].take(),
    disk: async () => {
      if (file === undefined) return undefined;
      const { bavail, blocks, bsize } = await statfs(dirname(file));
      return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
    },
    storeBytes: async () => {
      if (file === undefined) return undefined;
      const sizes = await Promise.all(
        ["", "-wal", "-shm"].map((suffix) =>
          stat(`${file}${suffix}`).then(
            ({ size }) => size,
            () => 0,
          ),
        ),
      );
      return sizes.reduce((sum, size) => sum + size, 0);
    },
    stop: () => Object.values(delays ?? {}).forEach((delay) => delay.stop()),
  };
}

/** Of a process that says nothing of itself. */
export const noFacts: ProcessFacts = {
  cores: 1,
  cpuMs: () => 0,
  memory: () => ({ residentBytes: 0, heapUsedBytes: 0, heapLimitBytes: 1, totalBytes: 1 }),
  loopDelay: () => undefined,
  disk: () => Promise.resolve(undefined),
  storeBytes: () => Promise.resolve(undefined),
  stop: () => {},
};

/** Delays beyond the interval in which it is looked; who asks has a histogram of its own, which begins anew each time. */
class LoopDelay {
  readonly #histogram = monitorEventLoopDelay({ resolution: LOOK_EVERY_MS });

  constructor() {
    this.#histogram.enable();
  }

  take(): { readonly meanMs: number; readonly p99Ms: number; readonly maxMs: number } {
    const { mean, max, count } = this.#histogram;
    const ms = (nanoseconds: number): number => (count === 0 ? 0 : Math.max(0, nanoseconds / 1e6 - LOOK_EVERY_MS));
    const delay = { meanMs: ms(mean), p99Ms: ms(this.#histogram.percentile(99)), maxMs: ms(max) };
    this.#histogram.reset();
    return delay;
  }

  stop(): void {
    this.#histogram.disable();
  }
}
