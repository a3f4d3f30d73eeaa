/**
 * Simulated processes: the same that users test with.
 */
export { type Fault, type ProcessOptions, SimProcess, replacing } from "../../src/testing/simulated-process.ts";
