/**
 * References in TypeScript: `plan.result.questions[0]` is a typed stand-in for a value that will exist when the run
 * gets there. It turns into the text `${plan.result.questions[0]}`, the one stored form. Used as if it were the value
 * it throws and says what to do instead.
 */
import { PawlError } from "../errors.ts";

declare const REFERS_TO: unique symbol;

/** A reference to a value of type `T` that a run will have. */
export interface RefOf<out T> {
  readonly [REFERS_TO]: T;
}

type Leaf = string | number | boolean | bigint | symbol | null | undefined | Date | ((...args: never) => unknown);
export type IsAny<T> = 0 extends 1 & T ? true : false;

/**
 * A reference whose fields are references to the fields of `T`. Of a list nobody knows how long it will be: so with
 * `noUncheckedIndexedAccess` an item of it is to be asserted, `list[0]!`, as everywhere; of a tuple it is not.
 */
export type Ref<T> = RefOf<T> & Fields<T, NonNullable<T>>;

type Lost<T> = undefined extends T ? undefined : never;
type Fields<T, Present> =
  IsAny<T> extends true
    ? { readonly [field: string]: any }
    : Present extends Leaf
      ? unknown
      : Present extends readonly (infer Item)[]
        ? number extends Present["length"]
          ? { readonly [index: number]: Ref<Item | Lost<T>> }
          : { readonly [I in Extract<keyof Present, `${number}`>]: Ref<Present[I] | Lost<T>> }
        : Present extends object
          ? { readonly [K in keyof Present]-?: Ref<Present[K] | Lost<T>> }
          : unknown;

/** What may stand where a `T` is wanted: the value, a reference to one, or data with references in it. */
export type Arg<T> = IsAny<T> extends true ? any : RefOf<T> | ArgValue<T>;
type ArgValue<T> = T extends Leaf
  ? T
  : T extends readonly (infer Item)[]
    ? readonly Arg<Item>[]
    : T extends object
      ? { readonly [K in keyof T]: Arg<T[K]> }
      : T;

/**
 * The input of a node: its fields, each a value or a reference. A reference to a whole object fits, too, since its
 * fields are references to the fields; not being a union keeps the compiler's messages short.
 */
export type ArgsOf<T> = IsAny<T> extends true ? any : T extends Leaf | readonly unknown[] ? Arg<T> : { readonly [K in keyof T]: Arg<T[K]> };

/** The value that data with references in it will have. */
export type Unref<T> =
  IsAny<T> extends true
    ? any
    : T extends RefOf<infer V>
      ? V
      : T extends Leaf
        ? T
        : T extends readonly unknown[]
          ? { -readonly [I in keyof T]: Unref<T[I]> }
          : T extends object
            ? { -readonly [K in keyof T]: Unref<T[K]> }
            : T;

/** Plain names come as `.name`, all others as `["na me"]`. */
const PLAIN = /^[A-Za-z0-9_$-]+$/;
const texts = new WeakMap<object, string>();

/** The `${…}` text of a reference, or undefined for anything else. */
export function referenceText(value: unknown): string | undefined {
  return typeof value === "object" && value !== null ? texts.get(value) : undefined;
}

/** A reference with this path, for example `plan.result`. */
export function makeReference(path: string): any {
  const target = {};
  const proxy: object = new Proxy(target, {
    get(_, key) {
      if (key === Symbol.toPrimitive) return (hint: string) => textOf(path, hint);
      if (key === "toString") return () => `\${${path}}`;
      if (key === "toJSON") return () => `\${${path}}`;
      if (key === Symbol.iterator) throw misuse(path, "spread or iterated");
      if (typeof key === "symbol" || key === "then") return undefined;
      return makeReference(/^\d+$/.test(key) ? `${path}[${key}]` : PLAIN.test(key) ? `${path}.${key}` : `${path}["${key}"]`);
    },
    ownKeys: () => {
      throw misuse(path, "spread or listed");
    },
    has: () => {
      throw misuse(path, "searched with `in`");
    },
    set: () => {
      throw misuse(path, "assigned to");
    },
  });
  texts.set(proxy, `\${${path}}`);
  return proxy;
}

/** In a template string a reference is its text; adding or comparing asks for a number or "default". */
function textOf(path: string, hint: string): string {
  if (hint === "string") return `\${${path}}`;
  throw misuse(path, "compared, added or calculated with");
}

function misuse(path: string, how: string): PawlError {
  return new PawlError("PAWL_REFERENCE_MISUSE", {
    message: `\${${path}} was ${how}, but it is only a reference: its value exists when the run gets there`,
    next: "pass the reference to an agent and compute inside its run(); in text write `about ${ref}`",
  });
}

/** Replaces the reference objects in definition data by their text. */
export function withReferenceTexts(data: unknown): unknown {
  const text = referenceText(data);
  if (text !== undefined) return text;
  if (Array.isArray(data)) return data.map(withReferenceTexts);
  if (typeof data !== "object" || data === null) return data;
  const prototype: unknown = Object.getPrototypeOf(data);
  if (prototype !== Object.prototype && prototype !== null) return data;
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, withReferenceTexts(value)]));
}
