/**
 * Shows one thing: a test of six lines finds out that an order charges a card twice when its process dies at the wrong
 * moment, tells how, and passes once the charge has a key. Run it with `node examples/recovery-test/main.ts`.
 */
import { explore } from "pawl/testing";
import { Cards, carefully, carelessly, orderMachine } from "./order.ts";

const isChargedOnce = (charge: (cards: Cards) => void) =>
  explore((cards: Cards) => orderMachine(cards, charge), {
    world: () => new Cards(),
    events: [{ type: "CONFIRM" }, { type: "CANCEL" }],
    invariants: { "a card is charged once": (_order, cards) => cards.charges.length <= 1 },
  });

await isChargedOnce(carelessly).catch((error: Error) => console.log(`${error.message}\n`));

const { paths, crashes } = await isChargedOnce(carefully);
console.log(`With a key it is charged once on each of ${paths} paths, whichever of ${crashes} crashes strikes.`);
