/**
 * Bugs that the tests with several processes found in this engine, each played again where it is repeatable.
 */
import { expect, test } from "vitest";
import { setup } from "xstate";
import { MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";
import { replacing } from "../sim/process.ts";

const echo = anyAgent("echo", (input) => input);

test("a client that was told that nobody is there is answered when somebody has come, however soon it asks again", async () => {
  const room = new MachineRoom();
  const machine = setup({ types: { events: {} as { type: "GO" } } }).createMachine({ id: "machine", on: { GO: {} } });
  const owner = await room.boot([machine]);
  await room.settled(owner.pawl.start(machine, { id: "r" }));
  owner.kill();
  const client = await room.boot([machine], { execute: false });
  await expect(room.settled(client.pawl.send("r", { type: "GO" }))).rejects.toMatchObject({ code: "PAWL_SEND_PENDING" });
  await room.boot([machine]);
  expect(await room.settled(client.pawl.send("r", { type: "GO" }))).toMatchObject({ handled: true });
});

test("a result that cannot be read for a moment sets no run aside", async () => {
  const room = new MachineRoom();
  let isUp = false;
  const gate = anyAgent("gate", (input) => (isUp ? input : never()));
  const flow = anyWorkflow("flow", (wf) => wf.node("second", gate, wf.node("first", echo, "kept").result).result);
  const first = await room.boot([flow]);
  await room.settled(first.pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(10);
  first.kill();
  isUp = true;
  let failures = 1;
  const { pawl } = await room.boot([flow], {
    wrap: (store) =>
      replacing(store, {
        readActors: async (run, keys) => (keys !== undefined && failures-- > 0 ? Promise.reject(new Error("passing")) : store.readActors(run, keys)),
      }),
  });
  await room.clock.advance(60_000);
  expect(await (await pawl.run("r")).status()).toMatchObject({ status: "completed", output: "kept" });
});
