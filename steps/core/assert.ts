import { PgdbaError } from "../../engine/errors.ts";
import type { Json, JsonSchema, StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";

interface Assertion {
  that: string;
  message: string;
  hint?: string | null;
}

/** Beside the first; more is no help to whoever reads them. */
const MAX_TOLD = 5;
const DEFAULT_HINT =
  "Mend what the message names, then run again; with --format json, `error.data.trace` holds the values that decided.";

const properties: Record<string, JsonSchema> = {
  that: {
    type: "string",
    "x-lang": "cel",
    format: "condition",
    description: "The condition that must hold",
  },
  message: {
    type: "string",
    "x-lang": "text",
    description: "The message when it does not hold",
  },
  hint: {
    type: ["string", "null"],
    "x-lang": "text",
    description: "The advice when it does not hold",
  },
};

export default defineStep({
  type: "assert",
  pure: true,
  refuses: true,
  summary: "Fail unless every condition holds",
  docs: `One assertion or a list of them. All are checked, so that a person sees everything that is wrong at once: the error tells the messages of all
that do not hold, and the hint of the first. The error carries the value of every sub-expression.

The condition must be \`true\` or \`false\`: a text or a number is an error, not a yes. Assertions have no side effect,
so a plan checks them too.`,
  example: `- assert:
    - that: 2 + 2 == 4
      message: Arithmetic is broken on this machine
`,
  effect: "read",
  idempotent: true,
  input: {
    // One assertion or a list; each keyword below applies to the one or to the other.
    type: ["array", "object"],
    minItems: 1,
    items: {
      type: "object",
      properties,
      required: ["that", "message"],
      additionalProperties: false,
    },
    properties,
    required: ["that", "message"],
    additionalProperties: false,
  },
  output: {
    type: "object",
    properties: { checked: { type: "integer", description: "The number of assertions that held" } },
    required: ["checked"],
    additionalProperties: false,
  },
  async run(ctx: StepContext, input) {
    const assertions = [input].flat() as unknown as Assertion[];
    const failed: { that: string; message: string; trace: string }[] = [];
    let hint: string | undefined;
    for (const { that, message, hint: own } of assertions) {
      if (holds(ctx, that)) continue;
      if (failed.length === 0 && own != null) hint = rendered(ctx, own);
      failed.push({ that, message: rendered(ctx, message), trace: ctx.explain(that).text });
    }
    const first = failed[0];
    if (first === undefined) return { checked: assertions.length };
    const others = failed.slice(1);
    const told = others.slice(0, MAX_TOLD).map(({ message }) => message);
    const rest = others.length - told.length;
    const more = [...told, ...(rest > 0 ? [`${rest} more in \`error.data.failed\``] : [])];
    const also = more.length === 0 ? "" : `; also: ${more.join("; ")}`;
    throw new PgdbaError("assertion_failed", first.message + also, {
      hint: hint ?? DEFAULT_HINT,
      data: {
        trace: failed.map(({ trace }) => trace).join("\n\n"),
        ...(others.length === 0 ? {} : { failed }),
      },
    });
  },
});

function holds(ctx: StepContext, that: string): boolean {
  const value: Json = ctx.evaluate(that);
  if (typeof value === "boolean") return value;
  throw new PgdbaError("expression_failed", `assertion is neither true nor false: ${that}`, {
    hint: "Compare the value with something, e.g. `size(list) > 0`.",
    data: { value },
  });
}

/** A message that can't be rendered must not hide what it was to explain. */
function rendered(ctx: StepContext, message: string): string {
  try {
    return ctx.render(message);
  } catch {
    return message;
  }
}
