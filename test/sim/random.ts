/**
 * Randomness from a seed: the same that users test with.
 */
export { seededRandom } from "../../src/testing/seeded-random.ts";
