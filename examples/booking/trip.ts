/**
 * A trip: a flight, a bed and a car, with what undoes them. When the hotel is full a guesthouse takes over; when there is
 * no car nobody wants the rest, and it is undone, the last first.
 */
import { AgentError, agent, workflow } from "pawl";
import { z } from "zod";

const city = z.object({ to: z.string() });
const booking = z.object({ booked: z.string() });

/** Books; throws what trying again cannot help. The key makes sure that a crash does not book twice. */
const books = (name: string, isFree: (to: string) => boolean) =>
  agent({
    name,
    input: city,
    output: booking,
    run: ({ to }, { idempotencyKey }) => {
      if (!isFree(to)) throw new AgentError(`no ${name} is free in ${to}`, { kind: "critical" });
      console.log(`  booked ${name} in ${to} (${idempotencyKey})`);
      return { booked: `${name} in ${to}` };
    },
  });

/** Undoes a booking. Without a result it is not known whether there is one: a real service is asked by the key of the node. */
const cancel = agent({
  name: "cancel",
  input: z.object({ input: city, result: booking.optional(), error: z.object({ node: z.string(), message: z.string() }).optional() }),
  output: z.void(),
  run: ({ input, result, error }) => console.log(`  cancelled ${result?.booked ?? `what may be booked in ${input.to}`}: ${error?.message ?? "on request"}`),
});

const flight = books("flight", () => true);
const hotel = books("hotel", () => false);
const guesthouse = books("guesthouse", () => true);
const car = books("car", (to) => to !== "Venice");

export const trip = workflow({ name: "trip", input: city }, (wf) => {
  const { to } = wf.input;
  const there = wf.node("flight", flight, { to }, { compensate: cancel });
  const bed = wf.node("bed", hotel, { to }, { after: [there], compensate: cancel, onFail: { use: guesthouse, onFail: "compensate" } });
  const wheels = wf.node("car", car, { to }, { after: [bed], onFail: "compensate" });
  return [there.result.booked, bed.result.booked, wheels.result.booked];
});
