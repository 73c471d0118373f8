/** The policy as runbooks say it. */
import { PgdbaError } from "../../../engine/errors.ts";
import type { FromSchema } from "../../../engine/shared/from-schema.ts";
import type { JsonSchema } from "../../../engine/types.ts";
import type { Policy } from "./policy.ts";
import type { Retained } from "./retain.ts";

const count = (description: string) =>
  ({ type: ["integer", "null"], minimum: 0, description }) as const;

export const POLICY = {
  type: "object",
  additionalProperties: false,
  properties: {
    keep_full: {
      ...count("The newest so many verified full backups, and all that is newer"),
      minimum: 1,
    },
    keep_days: count("Every moment of so many days can be restored"),
    keep_daily: count("The last verified backup of each of so many days"),
    keep_weekly: count("The same of weeks, which begin on Monday"),
    keep_monthly: count("The same of months"),
    keep_yearly: count("The same of years"),
    timezone: {
      type: ["string", "null"],
      description: "Where days begin, such as Europe/Berlin; UTC without it",
    },
    more_than_half: {
      type: ["boolean", "null"],
      description: "More than half of all backups may go",
    },
  },
} as const satisfies JsonSchema;

export type PolicyInput = FromSchema<typeof POLICY>;

/** @throws PgdbaError invalid_param for a time zone that there is not */
export function policyOf(input: PolicyInput): Policy {
  const zone = input.timezone ?? "UTC";
  try {
    new Intl.DateTimeFormat("en-US", { timeZone: zone });
  } catch (cause) {
    throw new PgdbaError("invalid_param", `There is no time zone ${zone}`, {
      cause,
      hint: "Write it like Europe/Berlin or UTC.",
    });
  }
  const given = (value: number | null | undefined) => value ?? undefined;
  return {
    zone,
    keepFull: given(input.keep_full),
    keepDays: given(input.keep_days),
    gfs: {
      daily: input.keep_daily ?? 0,
      weekly: input.keep_weekly ?? 0,
      monthly: input.keep_monthly ?? 0,
      yearly: input.keep_yearly ?? 0,
    },
  };
}

export const DECISION = {
  type: "object",
  additionalProperties: false,
  required: ["backups", "remove", "wal", "refused"],
  properties: {
    backups: {
      type: "array",
      description: "The oldest first",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["id", "stays", "why"],
        properties: { id: { type: "string" }, stays: { type: "boolean" }, why: { type: "string" } },
      },
    },
    remove: {
      type: "array",
      items: { type: "string" },
      description: "The backups that go, in this order",
    },
    wal: { type: "integer", description: "Segments of WAL that go" },
    refused: {
      type: "array",
      description: "Why nothing goes, or nothing of a kind",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["reason", "why", "hint"],
        properties: {
          reason: { type: "string" },
          why: { type: "string" },
          hint: { type: "string" },
        },
      },
    },
  },
} as const satisfies JsonSchema;

export function told({ backups, remove, wal, refused }: Retained) {
  return {
    backups: backups.map(({ why, ...one }) => ({ ...one, why: why.join("; ") })),
    remove,
    wal: wal.length,
    refused: refused.map((one) => ({ ...one })),
  };
}
