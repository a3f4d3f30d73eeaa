/**
 * Two lines make any xstate machine durable: kill this at any instant and start it again, and the pizza still comes.
 *
 *   node --conditions=pawl-source examples/any-machine/main.ts
 */
import { open } from "pawl";
import { pizza } from "./machine.ts";

const [store = ".pawl/any-machine.db", id = "pizza"] = process.argv.slice(2);

await using pawl = await open(store);
const actor = await pawl.start(pizza, { id }); // instead of createActor(pizza).start()

console.log(`it begins with ${(await actor.snapshot()).value}`);
actor.subscribe(({ value }) => console.log(value));
if (await actor.can({ type: "ORDER" })) await actor.send({ type: "ORDER" });
const { context } = await actor.waitFor(({ status }) => status === "done");
console.log(`it was ${context.crust}`);
