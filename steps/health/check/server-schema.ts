import type { JsonSchema } from "../../../engine/types.ts";

/** The variable `server` in a check's expressions. */
export const SERVER_SCHEMA = {
  type: "object",
  additionalProperties: false,
  required: [
    "version",
    "version_num",
    "release",
    "role",
    "database",
    "user",
    "superuser",
    "started_at",
    "stats_days",
  ],
  properties: {
    version: { type: "integer", description: "Major version" },
    version_num: { type: "integer" },
    release: { type: "string" },
    role: { type: "string", enum: ["primary", "standby"] },
    database: { type: "string" },
    user: { type: "string" },
    superuser: { type: "boolean" },
    started_at: { type: "string" },
    stats_days: {
      type: "number",
      description: "Age of the database's statistics; at least that, when never reset",
    },
  },
} as const satisfies JsonSchema;

/** The variable `server.machine`, for a check that asks for it. Figures are 0 where they are not known. */
export const MACHINE_SCHEMA = {
  type: "object",
  additionalProperties: false,
  required: ["memory", "memory_bytes", "huge_page_bytes", "huge_pages", "huge_pages_free"],
  properties: {
    memory: {
      type: "string",
      description: "As `config tune --memory` takes it; empty when not known",
    },
    memory_bytes: { type: "integer", description: "What the server may use" },
    huge_page_bytes: { type: "integer", description: "Size of one huge page" },
    huge_pages: { type: "integer", description: "Huge pages that the kernel keeps" },
    huge_pages_free: { type: "integer", description: "Those that nobody has taken or reserved" },
  },
} as const satisfies JsonSchema;

/** The variable `server.primary`, for a check that asks for it, on a standby: settings of which it must not have less than its primary. */
export const PRIMARY_SCHEMA = {
  type: "object",
  additionalProperties: false,
  required: ["known", "more", "words", "set", "next_known", "next", "next_words"],
  properties: {
    known: { type: "boolean", description: "Whether this user may know it" },
    more: {
      type: "object",
      additionalProperties: { type: "integer" },
      description: "The primary's values of those of which it has more",
    },
    words: { type: "string", description: "The same in words; empty when there are none" },
    set: {
      type: "boolean",
      description: "The standby's files give all of them, so that its next start has them",
    },
    next_known: {
      type: "boolean",
      description: "Whether this user may know what the next start of the standby has",
    },
    next: {
      type: "object",
      additionalProperties: { type: "integer" },
      description:
        "The primary's values of those that are enough now and would be too low at the standby's next start",
    },
    next_words: { type: "string", description: "The same in words; empty when there are none" },
  },
} as const satisfies JsonSchema;
