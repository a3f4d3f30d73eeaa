/**
 * What a worker tells of itself that has nothing to do.
 */
import type { WorkerMetrics } from "../../src/run/metering.ts";

export const IDLE_WORKER: WorkerMetrics = {
  workflows: 0,
  runsInMemory: 0,
  runsActive: 0,
  runsActiveMax: 100,
  runsPending: 0,
  attemptsQueued: 0,
  attemptsParked: 0,
  attemptsRunning: 0,
  permitsHeld: 0,
  permitsMax: 100,
};
