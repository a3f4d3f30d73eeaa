/**
 * pawl/testing: simulated time, processes that die, scripted agents, and `explore`, which kills a machine or a workflow
 * at every commit and tells what does not survive it. Needs no test runner. Everything public is named here.
 */
export type { Clock } from "../clock.ts";
export { ExploreError } from "./story.ts";
export { type ExploreOptions, type ExploreResult, type Invariant, type Subject, explore } from "./explore.ts";
export { type ScriptedAgent, type ScriptedCall, hang, scripted } from "./scripted.ts";
export { type BootOptions, Simulation, type SimulationOptions } from "./simulation.ts";
export type { Fault } from "./simulated-process.ts";
export { StepClock } from "./step-clock.ts";
