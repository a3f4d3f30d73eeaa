/**
 * What is looked at of an opened pawl to tell how it is, and who is told.
 */
import { HEALTH_STATUSES } from "../define/health-check.ts";
import type { CheckedHealth, HealthReport, HealthSources } from "./health.ts";
import type { Home } from "./home.ts";
import { healthNotice } from "./notice.ts";
import type { Notices } from "./notices.ts";
import type { Worker } from "./worker.ts";

/** Others are told so often while nothing changes. */
const SAID_EVERY_MS = 60_000;
/** What others are told of a report: so many checks, the worst first, and pieces of advice; details and advice that are not longer. */
const CHECKS_MAX = 50;
const ADVICE_MAX = 10;
const TEXT_MAX = 300;

export function healthSources(home: Home, worker: Worker | undefined, notices: Notices | undefined): HealthSources {
  let told = 0;
  let said: HealthReport | undefined;
  return {
    isExecuting: worker !== undefined,
    worker: () => home.workerMetrics,
    readStore: () => home.store.readLastChange(),
    disagreeing: () => home.consistency?.disagreeing ?? [],
    looked: (report) => {
      const isNew = said === undefined || said.status !== report.status || Math.abs(report.at - said.at) >= SAID_EVERY_MS;
      if (worker === undefined || !isNew) return;
      said = report;
      home.starts.tell({ health: inShort(report) });
    },
    changed: async (report, was) => {
      const { status, recommendations } = report;
      if (status === "HEALTHY") home.log.info({ status, was }, "health");
      else home.log.warn({ status, was, recommendations }, "health");
      if (notices !== undefined && worker !== undefined) await notices.store.addNotice(healthNotice(worker.epoch, ++told, report, was));
    },
  };
}

/** What fits into the row of a worker. */
export function inShort({ at, status, checks, recommendations }: HealthReport): HealthReport {
  const rank = ([, found]: [string, CheckedHealth]): number => -HEALTH_STATUSES.indexOf(found.status);
  const shown = Object.entries(checks)
    .toSorted((a, b) => rank(a) - rank(b))
    .slice(0, CHECKS_MAX)
    .map(([name, found]) => [name, { ...found, details: shortDetails(found.details), recommendations: shortAdvice(found.recommendations) }] as const);
  return { at, status, checks: Object.fromEntries(shown), recommendations: shortAdvice(recommendations) };
}

function shortAdvice(recommendations: readonly string[]): string[] {
  return recommendations.slice(0, ADVICE_MAX).map((text) => text.slice(0, TEXT_MAX));
}

/** Somebody's check may give anything. */
function shortDetails(details: CheckedHealth["details"]): CheckedHealth["details"] {
  try {
    const text = JSON.stringify(details);
    return text.length > TEXT_MAX ? {} : (JSON.parse(text) as CheckedHealth["details"]);
  } catch {
    return {};
  }
}
