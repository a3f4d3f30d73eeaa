import { findMachines } from "./machines/definition.ts";
import { findPaths, FINDER } from "./machines/paths.ts";
import { SCRIPTS } from "./machines/scripts.ts";
const machines = (await findMachines()).map(({ machine }) => machine);
for (const how of ["getShortestPaths", "getSimplePaths"] as const)
  for (const m of machines) {
    const s = SCRIPTS[m.id]!;
    for (const [n, input] of Object.entries(s.inputs)) {
      const t = process.cpuUsage().user;
      const p = findPaths(how, m, s, input, FINDER);
      const ms = (process.cpuUsage().user - t) / 1000;
      const keys = p.map(({ events }) => events.map((e) => JSON.stringify(e)).join("|") + "|");
      const sorted = [...keys].sort();
      let max = 0,
        steps = 0,
        all = 0;
      const len = new Map(keys.map((k, i) => [k, p[i]!.events.length]));
      sorted.forEach((k, i) => {
        all += len.get(k)!;
        if (!(sorted[i + 1] ?? "").startsWith(k)) {
          max++;
          steps += len.get(k)!;
        }
      });
      if (p.length > 100) console.log(how, m.id, n, "paths", p.length, "steps", all, "maximal", max, "steps", steps, "find ms", ms.toFixed(0));
    }
  }
