/**
 * An order whose machine charges a card when it is confirmed.
 */
import { actionKey } from "pawl";
import { setup } from "xstate";

/** A card service as a test needs it: it charges one key once, as real ones do, and each call without a key anew. */
export class Cards {
  readonly charges: string[] = [];

  charge(cents: number, key: string = `charge ${this.charges.length + 1}`): void {
    if (!this.charges.includes(key)) this.charges.push(key);
  }
}

const CENTS = 1_999;

/** Charges anew each time that it is done. */
export const carelessly = (cards: Cards): void => cards.charge(CENTS);

/** Charges once: an action that is done again after a crash has the same key. */
export const carefully = (cards: Cards): void => cards.charge(CENTS, actionKey());

export const orderMachine = (cards: Cards, charge: (cards: Cards) => void) =>
  setup({
    types: { events: {} as { type: "CONFIRM" } | { type: "CANCEL" } },
    actions: { charge: () => charge(cards) },
  }).createMachine({
    id: "order",
    initial: "cart",
    states: {
      cart: { on: { CONFIRM: "ordered", CANCEL: "dropped" }, after: { 20_000: "dropped" } },
      ordered: { entry: "charge", type: "final" },
      dropped: { type: "final" },
    },
  });
