/**
 * Nobody waits for ever for a limit: not who needs several, each of which is there at another moment, and not behind a
 * worker that can start nothing.
 */
import { expect, test } from "vitest";
import { held, start, wide } from "../sim/held-agent.ts";
import { MachineRoom } from "../sim/machine-room.ts";

/** Scenes that are played by one worker, and by two. */
const scene = test.each([1, 2]);

scene("who needs two limits is not passed by for ever by those who need one of them (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const [a, b, both] = [held({ uses: { a: 1 } }, "a"), held({ uses: { b: 1 } }, "b"), held({ uses: { a: 1, b: 1 } }, "both")];
  const crew = await room.bootAll(workers, [], { limits: { a: { max: 1 }, b: { max: 1 } } });
  for (const process of crew.processes)
    for (const { agent } of [a, b]) await start(room, process, wide(agent, 40, agent.name), `${agent.name}${crew.processes.indexOf(process)}`);
  await room.clock.until(() => a.running() === 1 && b.running() === 1);
  await start(room, crew.next, wide(both.agent, 1, "both"), "both");
  let rounds = 0;
  for (; rounds < 20 && both.calls().length === 0; rounds++)
    for (const { endOne } of [a, b]) {
      endOne();
      await room.clock.advance(500);
    }
  console.log(rounds, a.calls().length, b.calls().length, room.clock.mono());
  expect(both.calls()).toHaveLength(1);
  expect(rounds).toBeLessThan(10);
});
