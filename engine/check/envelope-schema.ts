import type { JsonSchema } from "../types.ts";

/** What an envelope's `data` holds after a run that ended well: the output of its runbook, and what is said of the run. */
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
          "The run itself: id, status, warnings, steps with status, changed, attempts, and in a plan their preview.",
      },
    },
    required: [...(output.required ?? []), "run"],
  };
}
