import type { JsonSchema } from "../../../engine/types.ts";
import { SERVER_SCHEMA } from "../check/server-schema.ts";
import { SEVERITIES } from "../check/words.ts";

const STRINGS: JsonSchema = { type: "array", items: { type: "string" } };
const TEXT: JsonSchema = { type: ["string", "null"] };
const COUNT: JsonSchema = { type: "integer" };
const MAYBE_COUNT: JsonSchema = { type: ["integer", "null"] };
const NOTE: Record<string, JsonSchema> = {
  check: { type: "string" },
  code: { type: "string" },
  database: TEXT,
  object: { ...TEXT, description: "Null when it is the check as a whole" },
  reason: { type: "string" },
  hint: TEXT,
  total: { ...MAYBE_COUNT, description: "The number in all, when not all are listed" },
};
const NOTES: JsonSchema = {
  type: "array",
  items: {
    type: "object",
    additionalProperties: false,
    required: Object.keys(NOTE),
    properties: NOTE,
  },
};
const FINDING: Record<string, JsonSchema> = {
  check: { type: "string" },
  title: { type: "string" },
  group: { type: "string" },
  severity: {
    type: "string",
    enum: [...SEVERITIES],
    description: "The worst severity of itself and its consequences",
  },
  database: { ...TEXT, description: "Of a check that looks at one database" },
  object: TEXT,
  message: { type: "string" },
  evidence: { type: "object" },
  why: { type: "string" },
  remedy: {
    type: "object",
    additionalProperties: false,
    required: ["text", "sql", "runbook", "params", "command", "also", "by_hand"],
    properties: {
      text: TEXT,
      sql: {
        ...TEXT,
        description:
          "Statements for this database, unless a comment among them names another place",
      },
      runbook: TEXT,
      params: { type: ["object", "null"], description: "The runbook's" },
      command: { ...TEXT, description: "Runs the runbook with its params, in a shell" },
      by_hand: {
        ...TEXT,
        description: "What a person runs on the server's machine, where pgdba can't",
      },
      also: {
        type: "array",
        description: "More commands that mend it, in the order in which they are worth trying",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["text", "runbook", "params", "command"],
          properties: {
            text: { type: "string", description: "What it does" },
            runbook: { type: "string" },
            params: { type: "object" },
            command: TEXT,
          },
        },
      },
    },
  },
  estimated: { type: "boolean" },
  partial: { type: "boolean" },
  total: { ...MAYBE_COUNT, description: "The number in all, when not all are listed" },
  count: {
    ...COUNT,
    description: "The number of like findings that were merged; the worst of them is shown",
  },
  alike: {
    type: "array",
    description: "The others",
    items: {
      type: "object",
      additionalProperties: false,
      required: ["object", "severity", "message"],
      properties: { object: TEXT, severity: { type: "string" }, message: { type: "string" } },
    },
  },
  caused_by: {
    type: "array",
    description: "All causes that it may have; it stands below the first",
    items: {
      type: "object",
      additionalProperties: false,
      required: ["check", "object"],
      properties: { check: { type: "string" }, object: TEXT },
    },
  },
  consequences: {
    type: "array",
    items: { type: "object" },
    description: "Findings of the same shape, which go away with it",
  },
};

/** The output of the step `check`. */
export const CHECK_OUTPUT: JsonSchema = {
  type: "object",
  additionalProperties: false,
  required: [
    "summary",
    "server",
    "findings",
    "partial",
    "skipped",
    "unexamined_databases",
    "errors",
    "passed",
  ],
  properties: {
    summary: {
      type: "object",
      additionalProperties: false,
      required: [
        "worst",
        "critical",
        "warning",
        "info",
        "consequences",
        "ok",
        "partial",
        "skipped",
        "errors",
        "checks",
      ],
      properties: {
        worst: {
          type: "string",
          enum: ["ok", "info", "warning", "critical", "unknown"],
          description: "`unknown` when nothing could be examined",
        },
        critical: { ...COUNT, description: "Findings" },
        warning: { ...COUNT, description: "Findings" },
        info: { ...COUNT, description: "Findings" },
        consequences: { ...COUNT, description: "Findings that stand below others" },
        ok: { ...COUNT, description: "Checks that looked at everything and found nothing" },
        partial: { ...COUNT, description: "Checks that could not look at everything" },
        skipped: { ...COUNT, description: "Checks" },
        errors: { ...COUNT, description: "Checks" },
        checks: { ...COUNT, description: "Checks asked for" },
      },
    },
    server: SERVER_SCHEMA,
    findings: {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        required: Object.keys(FINDING),
        properties: FINDING,
      },
    },
    partial: { ...NOTES, description: "What checks that ran could not examine" },
    skipped: { ...NOTES, description: "Checks that did not run, or could judge nothing" },
    unexamined_databases: {
      type: "array",
      description: "Databases that the checks of one database did not look at",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["database", "checks", "reason", "hint"],
        properties: {
          database: { type: "string" },
          checks: COUNT,
          reason: { type: "string" },
          hint: TEXT,
        },
      },
    },
    errors: {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["check", "code", "database", "sqlstate", "reason", "hint"],
        properties: {
          check: { type: "string" },
          code: { type: "string" },
          database: TEXT,
          sqlstate: TEXT,
          reason: { type: "string" },
          hint: TEXT,
        },
      },
    },
    passed: STRINGS,
  },
};
