/**
 * How much work a function does: how often the blocks of its program's files are entered, counted by the engine itself. To be
 * imported before these files: blocks of what was compiled before are not counted.
 */
import { Session } from "node:inspector/promises";

const session = new Session();
session.connect();
await session.post("Profiler.enable");
await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });

/** Counts in files whose address has this in it. What the engine does natively, such as copying a list, is not counted. */
export async function countedWork(files: string, work: () => void): Promise<number> {
  await session.post("Profiler.takePreciseCoverage");
  work();
  const { result } = await session.post("Profiler.takePreciseCoverage");
  const ranges = result.filter(({ url }) => url.includes(files)).flatMap(({ functions }) => functions.flatMap((each) => each.ranges));
  return ranges.reduce((sum, { count }) => sum + count, 0);
}
