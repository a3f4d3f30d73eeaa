/**
 * The codec: exact or refused, never silently changed.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { VALUE_DEPTH_MAX, VALUE_KEYS_MAX, VALUE_LENGTH_MAX, decode, encode } from "../../src/run/codec.ts";
import { failureOf } from "../../src/run/failure.ts";
import { cases } from "../sim/cases.ts";

const leaf = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.double(),
  fc.integer(),
  fc.boolean(),
  fc.bigInt(),
  fc.constantFrom(null, undefined, Number.NaN, -0, Number.POSITIVE_INFINITY, "$", "${x}", "__proto__"),
  fc.date({ noInvalidDate: false }),
  fc.string().map((message) => Object.assign(new Error(message, { cause: new Error("inner") }), { code: "E", details: { at: 1n } })),
);
const key = fc.oneof(fc.string(), fc.constantFrom("$", "v", "constructor", "toString", "length", "0")).filter((name) => name !== "__proto__");
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    leaf,
    fc.array(tie("value")),
    fc.dictionary(key, tie("value"), { noNullPrototype: true }),
    fc.array(fc.tuple(tie("value"), tie("value"))).map((entries) => new Map(entries)),
    fc.array(leaf).map((items) => new Set(items)),
  ),
}));

/** Equal to the last detail, maps and sets in their order. */
function isSame(a: unknown, b: unknown): boolean {
  if (typeof a !== "object" || a === null || typeof b !== "object" || b === null) return Object.is(a, b);
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (a instanceof Date) return Object.is(a.getTime(), (b as Date).getTime());
  if (a instanceof Map || a instanceof Set) return isSame([...a], [...(b as Set<unknown>)]);
  if (a instanceof Error && b instanceof Error && (a.name !== b.name || a.message !== b.message || !isSame(a.cause, b.cause))) return false;
  const [entriesA, entriesB] = [Object.entries(a), Object.entries(b)];
  return entriesA.length === entriesB.length && entriesA.every(([key, value_], i) => key === entriesB[i]![0] && isSame(value_, entriesB[i]![1]));
}

test("any value that can be stored comes back exactly, and the text stays the same", () => {
  fc.assert(
    fc.property(value, (given) => {
      const text = encode(given);
      const back = decode(text);
      expect(isSame(back, given)).toBe(true);
      expect(encode(back)).toBe(text);
    }),
    cases({ short: 300, long: 10_000 }),
  );
}, 900_000);

test("an error of a subclass comes back as an error with its name", () => {
  const back = decode(encode(new TypeError("wrong", { cause: new RangeError("inner") }))) as Error;
  expect([back instanceof Error, back.name, back.message, String(back.cause)]).toEqual([true, "TypeError", "wrong", "RangeError: inner"]);
});

test("a sparse list, a null prototype and a long list survive as what they mean", () => {
  expect(decode(encode([undefined, 1]))).toEqual([undefined, 1]);
  // eslint-disable-next-line no-sparse-arrays
  expect(decode(encode([, 1]))).toEqual([undefined, 1]);
  expect(decode(encode(Object.assign(Object.create(null), { a: 1 })))).toEqual({ a: 1 });
  expect(decode(encode(Array.from({ length: 50_000 }, (_, i) => i)))).toHaveLength(50_000);
});

class Money {
  readonly cents = 5;
}
const circle: Record<string, unknown> = { list: [] };
(circle["list"] as unknown[]).push({ back: circle });
const deep = (levels: number): unknown => (levels === 0 ? 1 : { in: deep(levels - 1) });

test.each([
  ["a function", { a: { run: () => 1 } }, "PAWL_VALUE_NOT_STORABLE", "a.run"],
  ["a symbol", [1, Symbol("s")], "PAWL_VALUE_NOT_STORABLE", "[1]"],
  ["an instance of a class", { price: new Money() }, "PAWL_VALUE_NOT_STORABLE", "price"],
  ["bytes", { raw: new Uint8Array(4) }, "PAWL_VALUE_NOT_STORABLE", "raw"],
  ["a promise", Promise.resolve(1), "PAWL_VALUE_NOT_STORABLE", "the top"],
  ["a cycle", circle, "PAWL_VALUE_NOT_STORABLE", "list[0].back"],
  ["a key __proto__", JSON.parse('{"a":{"__proto__":{"admin":1}}}'), "PAWL_VALUE_NOT_STORABLE", "a"],
  ["a function in a map", new Map([["k", () => 1]]), "PAWL_VALUE_NOT_STORABLE", "<0>"],
  ["too deep a nesting", deep(VALUE_DEPTH_MAX + 1), "PAWL_VALUE_TOO_LARGE", "deeper"],
  ["too many keys", Object.fromEntries(Array.from({ length: VALUE_KEYS_MAX + 1 }, (_, i) => [`k${i}`, 1])), "PAWL_VALUE_TOO_LARGE", "keys"],
  ["too long a text", "x".repeat(VALUE_LENGTH_MAX), "PAWL_VALUE_TOO_LARGE", "characters"],
])("%s is refused, and says where", (_, given, code, where) => {
  expect(() => encode(given)).toThrow(expect.objectContaining({ code, message: expect.stringContaining(where) }));
});

test("a value just within the bounds is taken", () => {
  expect(decode(encode(deep(VALUE_DEPTH_MAX - 1)))).toEqual(deep(VALUE_DEPTH_MAX - 1));
  expect(decode(encode("x".repeat(VALUE_LENGTH_MAX - 2)))).toHaveLength(VALUE_LENGTH_MAX - 2);
});

test("decoding never pollutes a prototype, and a damaged text is an error", () => {
  expect(() => decode('{"a":')).toThrow(expect.objectContaining({ code: "PAWL_ROW_CORRUPT" }));
  expect(() => decode('{"$":"strange"}')).toThrow(expect.objectContaining({ code: "PAWL_ROW_CORRUPT" }));
  decode('{"__proto__":{"polluted":1},"x":{"$":"escaped","v":{"__proto__":{"polluted":1}}}}');
  expect(({} as { polluted?: number }).polluted).toBeUndefined();
});

test("a getter that throws is refused by whoever wanted to store it, and becomes a failure", () => {
  const trap = Object.defineProperty({}, "x", {
    enumerable: true,
    get: () => {
      throw new Error("trap");
    },
  });
  expect(() => encode(trap)).toThrow("trap");
});

test("recording a failure never fails, whatever was thrown", () => {
  const hostile = [
    undefined,
    null,
    0,
    "",
    "text",
    Symbol("s"),
    1n,
    circle,
    () => 1,
    new Proxy(
      {},
      {
        get: () => {
          throw new Error("no");
        },
        getPrototypeOf: () => {
          throw new Error("no");
        },
      },
    ),
    Object.defineProperty(new Error("x"), "message", {
      get: () => {
        throw new Error("no");
      },
    }),
    Object.assign(new Error("y".repeat(10_000)), { code: "spaces are not a code" }),
  ];
  for (const thrown of hostile) {
    const failure = failureOf(thrown, []);
    expect(failure).toMatchObject({ kind: "transient", code: "PAWL_AGENT_FAILED", retryable: true });
    expect(failure.message.length).toBeLessThanOrEqual(2_000);
    expect(decode(encode(failure))).toEqual(failure);
  }
});
