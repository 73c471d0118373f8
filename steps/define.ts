import type { FromSchema } from "../engine/shared/from-schema.ts";
import type {
  Effect,
  Json,
  JsonSchema,
  ProbeResult,
  StepContext,
  StepType,
} from "../engine/types.ts";

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
