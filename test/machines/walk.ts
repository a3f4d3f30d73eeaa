/**
 * Walks the shortest paths of all machines, checks them, and prints what was seen with the build of xstate that was loaded.
 * A program of its own, so that Node can be told which build to load; see test/run/xstate.test.ts.
 */
import { findMachines } from "./definition.ts";
import { agreedMoments } from "./drivers.ts";
import { checkInvariants } from "./invariants.ts";
import { findPaths } from "./paths.ts";
import { SCRIPTS } from "./scripts.ts";

const seen: Record<string, unknown[]> = {};
for (const { machine } of await findMachines()) {
  const script = SCRIPTS[machine.id]!;
  seen[machine.id] = Object.values(script.inputs).flatMap((input) =>
    findPaths("getShortestPaths", machine, script, input).map(({ events }) => {
      const moments = agreedMoments(machine, input, events);
      checkInvariants(machine.id, moments);
      return moments;
    }),
  );
}
process.stdout.write(JSON.stringify({ build: import.meta.resolve("xstate"), seen }));
