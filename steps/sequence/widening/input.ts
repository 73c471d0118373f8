import type { FromSchema } from "../../../engine/shared/from-schema.ts";

/** What is widened, in the inputs of all its steps. */
export const WANTED = {
  sequence: {
    type: ["string", "null"],
    description: "A sequence, as name or schema.name, with the columns that it feeds",
  },
  table: { type: ["string", "null"], description: "Or a table, as name or schema.name" },
  column: { type: ["string", "null"], description: "And its column" },
} as const;

export const LOCK_TIMEOUT = {
  type: ["string", "null"],
  format: "duration",
  description: "How long to wait for the locks of all tables, each time; by default 2s",
} as const;

export const DEFAULT_LOCK_TIMEOUT = "2s";

export const WIDENED = {
  type: "object",
  additionalProperties: false,
  required: ["columns", "sequences"],
  properties: {
    columns: {
      type: "array",
      items: { type: "string" },
      description: "Columns that are bigint now and were not",
    },
    sequences: {
      type: "array",
      items: { type: "string" },
      description: "Sequences that are bigint now and were not",
    },
  },
} as const;

export type Widened = FromSchema<typeof WIDENED>;
