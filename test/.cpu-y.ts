import { findMachines, transitionsOf } from "./machines/definition.ts";
import { findPaths, FINDER, timerEvents } from "./machines/paths.ts";
import { agreedMoments, driversOf, tell } from "./machines/drivers.ts";
import { SCRIPTS } from "./machines/scripts.ts";
const machines = (await findMachines()).map(({ machine }) => machine);
const m = machines.find(({ id }) => id === "node")!;
const s = SCRIPTS[m.id]!;
const t0 = process.cpuUsage().user;
let n = 0,
  sends = 0;
for (const [, input] of Object.entries(s.inputs))
  for (const p of findPaths("getShortestPaths", m, s, input, FINDER)) {
    agreedMoments(m, input, p.events);
    n++;
  }
const t1 = process.cpuUsage().user;
console.log("follow", n, (t1 - t0) / 1000);
const told = [...s.events, ...timerEvents(m)];
for (const [, input] of Object.entries(s.inputs))
  for (const path of findPaths("getShortestPaths", m, s, input))
    for (const make of Object.values(driversOf(m))) {
      const driver = make(m, input);
      tell(driver, path.events);
      const before = driver.moment();
      const taken = new Set(transitionsOf(m).flatMap(({ state, event }) => (state === before.value ? [event] : [])));
      for (const event of told.filter(({ type }) => !taken.has(type))) {
        driver.send(event);
        driver.moment();
        sends++;
      }
    }
console.log("left", sends, (process.cpuUsage().user - t1) / 1000);
