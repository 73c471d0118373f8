import type {
  Effect,
  Json,
  JsonSchema,
  ProbeResult,
  StepContext,
  StepType,
} from "../engine/types.ts";

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

type Schemaless = "effect" | "idempotent" | "input" | "output" | "run" | "plan" | "probe" | "undo";

/** A step type whose functions get the types of input and output from its schemas. The same object at run time. */
export function defineStep<const I extends JsonSchema, const O extends JsonSchema>(
  step: Omit<StepType, Schemaless> & {
    effect: Effect | ((input: FromSchema<I>) => Effect);
    idempotent: boolean | ((input: FromSchema<I>) => boolean);
    input: I;
    output: O;
    run(ctx: StepContext, input: FromSchema<I>): Promise<Json | object>;
    plan?(ctx: StepContext, input: FromSchema<I>): Promise<Json>;
    probe?(ctx: StepContext, input: FromSchema<I>): Promise<ProbeResult>;
    undo?(ctx: StepContext, input: FromSchema<I>, output: FromSchema<O> | undefined): Promise<void>;
  },
): StepType {
  return step as unknown as StepType;
}
