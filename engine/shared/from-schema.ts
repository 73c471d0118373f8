import type { Json, JsonSchema } from "../types.ts";

interface Named {
  string: string;
  number: number;
  integer: number;
  boolean: boolean;
  null: null;
  array: Json[];
  object: { [key: string]: Json };
}

/** The type of the values that a schema written as a literal accepts; what it does not understand is Json. */
export type FromSchema<S> = S extends { const: infer C }
  ? C
  : S extends { enum: readonly (infer E)[] }
    ? E
    : S extends { anyOf: readonly (infer B)[] } | { oneOf: readonly (infer B)[] }
      ? FromSchema<B>
      : S extends { type: "object"; properties: infer P }
        ? FromProperties<P, S extends { required: readonly (infer R)[] } ? R : never>
        : S extends { type: "object"; additionalProperties: infer V extends JsonSchema }
          ? { [key: string]: FromSchema<V> }
          : S extends { type: "array"; items: infer I }
            ? FromSchema<I>[]
            : S extends { type: readonly (infer T)[] }
              ? Named[T & keyof Named]
              : S extends { type: infer T }
                ? Named[T & keyof Named]
                : Json;

type FromProperties<P, R> = { [K in keyof P as K extends R ? K : never]: FromSchema<P[K]> } & {
  [K in keyof P as K extends R ? never : K]?: FromSchema<P[K]>;
};
