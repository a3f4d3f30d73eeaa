/**
 * What is looked at of an opened pawl to tell how it is, and who is told.
 */
import type { HealthSources } from "./health.ts";
import type { Home } from "./home.ts";
import { healthNotice } from "./notice.ts";
import type { Notices } from "./notices.ts";
import type { Worker } from "./worker.ts";

export function healthSources(home: Home, worker: Worker | undefined, notices: Notices | undefined): HealthSources {
  let told = 0;
  return {
    isExecuting: worker !== undefined,
    worker: () => home.workerMetrics,
    readStore: () => home.store.readLastChange(),
    disagreeing: () => home.consistency?.disagreeing ?? [],
    changed: async (report, was) => {
      const { status, recommendations } = report;
      if (status === "HEALTHY") home.log.info({ status, was }, "health");
      else home.log.warn({ status, was, recommendations }, "health");
      if (notices !== undefined && worker !== undefined) await notices.store.addNotice(healthNotice(worker.epoch, ++told, report, was));
    },
  };
}
