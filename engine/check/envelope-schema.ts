import type { JsonSchema } from "../types.ts";

/** The schema of `data` in the envelope of a run that ended well: the output of its runbook, and facts about the run. */
export function dataSchema(output: JsonSchema): JsonSchema {
  return {
    ...output,
    description:
      "The envelope's `data` of a run that ended well. A plan and a run that failed give what of it is known; what a failed run did is in `error.run`.",
    properties: {
      ...output.properties,
      run: {
        type: "object",
        description:
          "The run itself: id, status, warnings, audit (the last entry of the audit and its hash, which `pgdba runs verify` finds again), steps with status, changed, attempts, and in a plan their preview.",
      },
    },
    required: [...(output.required ?? []), "run"],
  };
}
