import type { FromSchema } from "../../../engine/shared/from-schema.ts";
import type { JsonSchema } from "../../../engine/types.ts";
import type { Armed, Inverse } from "../../../providers/nodes/contract.ts";

/** Everything that is armed on a cluster, as plain data. */
export const ARMED = {
  type: "array",
  items: {
    type: "object",
    additionalProperties: false,
    required: ["id", "node", "run", "path", "inverse", "deadline", "state", "why"],
    properties: {
      id: { type: "string" },
      node: { type: "string" },
      run: { type: "string", description: "The run that has armed it" },
      path: { type: "string", description: "The step of that run" },
      inverse: { type: "string", description: "What takes it back, in a few words" },
      deadline: { type: "string", description: "When it is taken back at the latest" },
      state: {
        enum: ["armed", "healed", "failed", "lost"],
        description:
          "`armed`: the fault lasts until its deadline. `healed`: it ended by itself. `failed`, `lost`: nobody takes it back but `chaos/heal`",
      },
      why: { type: ["string", "null"] },
    },
  },
} as const satisfies JsonSchema;

export function shownArmed(all: readonly Armed[]): FromSchema<typeof ARMED> {
  return all.map(({ id, node, labels, inverse, deadline, state, why = null }) => ({
    id,
    node,
    run: labels.run,
    path: labels.path,
    inverse: inverseText(inverse),
    deadline,
    state,
    why,
  }));
}

function inverseText(inverse: Inverse): string {
  if ("thaw" in inverse) return `thaw ${inverse.thaw}`;
  if ("start" in inverse) return `start ${inverse.start}`;
  return inverse.repair ?? `run ${inverse.argv[0]} on ${inverse.on}`;
}

/** A fault that lasts, or that nobody ends. One that has ended by itself harms nobody. */
export const lasts = ({ state }: Pick<Armed, "state">): boolean => state !== "healed";
