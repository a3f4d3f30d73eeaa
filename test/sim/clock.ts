/**
 * Simulated time, by the name that these tests have for it.
 */
export { StepClock as SimClock } from "../../src/testing/step-clock.ts";
