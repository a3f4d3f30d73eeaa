import { afterAll, expect } from "vitest";
import { appendFileSync, readFileSync } from "node:fs";
const start = performance.now();
const cpu = () => {
  const f = readFileSync("/proc/self/stat", "utf8").split(") ")[1]!.split(" ");
  return [11, 12, 13, 14].map((i) => Number(f[i]) / 100);
};
const at = cpu();
afterAll(() => {
  const c = cpu();
  appendFileSync(
    process.env.T_LOG ?? "/tmp/t-cpu.log",
    JSON.stringify({
      file: expect.getState().testPath,
      pid: process.pid,
      load: +(at[0]! + at[1]!).toFixed(2),
      own: +(c[0]! + c[1]! - at[0]! - at[1]!).toFixed(2),
      children: +(c[2]! + c[3]! - at[2]! - at[3]!).toFixed(2),
      wall: +((performance.now() - start) / 1000).toFixed(2),
    }) + "\n",
  );
});
