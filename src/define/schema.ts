/**
 * What pawl asks of a schema: the Standard Schema interface, which zod implements. Nothing here runs zod.
 */

interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

export type Validated<T> = { readonly value: T; readonly issues?: undefined } | { readonly issues: readonly Issue[] };

/** A schema that checks a value of type `In` and gives one of type `Out`; any zod schema is one. */
export interface Schema<In = any, Out = In> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => Validated<Out> | Promise<Validated<Out>>;
    readonly types?: { readonly input: In; readonly output: Out } | undefined;
  };
}

/** What one gives to the schema. */
export type InputOf<S extends Schema> = NonNullable<S["~standard"]["types"]>["input"];
/** What the schema gives back. */
export type OutputOf<S extends Schema> = NonNullable<S["~standard"]["types"]>["output"];

/** Checks a value; a promise only if the schema itself is asynchronous. */
export function validate<Out>(schema: Schema<any, Out>, value: unknown): Validated<Out> | Promise<Validated<Out>> {
  return schema["~standard"].validate(value);
}

/** The issues in one line each: `expected string, received number → at question`. */
export function describeIssues(issues: readonly Issue[]): string {
  return issues
    .slice(0, 5)
    .map((issue) => {
      const path = (issue.path ?? []).map((part) => String(typeof part === "object" ? part.key : part)).join(".");
      return path === "" ? issue.message : `${issue.message} → at ${path}`;
    })
    .join("; ");
}

/** What it takes, as JSON Schema; undefined where the schema cannot say that. */
export function jsonSchemaOf(schema: Schema): unknown {
  const { jsonSchema } = schema["~standard"] as { readonly jsonSchema?: { input(options: { target: string }): unknown } };
  try {
    return jsonSchema?.input({ target: "draft-2020-12" });
  } catch {
    return undefined;
  }
}
