import type { JsonSchema } from "../../../engine/types.ts";
import { SERVER_SCHEMA, SEVERITIES } from "./document.ts";

const STRINGS: JsonSchema = { type: "array", items: { type: "string" } };
const TEXT: JsonSchema = { type: ["string", "null"] };
const COUNT: JsonSchema = { type: "integer" };
const NOTE: Record<string, JsonSchema> = {
  check: { type: "string" },
  code: { type: "string" },
  reason: { type: "string" },
  hint: TEXT,
};

/** What the step `check` gives. */
export const CHECK_OUTPUT: JsonSchema = {
  type: "object",
  additionalProperties: false,
  required: ["summary", "server", "findings", "partial", "skipped", "errors", "passed"],
  properties: {
    summary: {
      type: "object",
      additionalProperties: false,
      required: ["worst", "critical", "warning", "info", "ok", "skipped", "errors", "checks"],
      properties: {
        worst: { type: "string", enum: ["ok", "info", "warning", "critical"] },
        critical: { ...COUNT, description: "Findings" },
        warning: { ...COUNT, description: "Findings" },
        info: { ...COUNT, description: "Findings" },
        ok: { ...COUNT, description: "Checks that ran and found nothing" },
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
        required: [
          "check",
          "title",
          "group",
          "severity",
          "object",
          "message",
          "evidence",
          "why",
          "remedy",
          "estimated",
          "partial",
          "total",
        ],
        properties: {
          check: { type: "string" },
          title: { type: "string" },
          group: { type: "string" },
          severity: { type: "string", enum: [...SEVERITIES] },
          object: TEXT,
          message: { type: "string" },
          evidence: { type: "object" },
          why: { type: "string" },
          remedy: {
            type: "object",
            additionalProperties: false,
            required: ["text", "sql", "runbook", "params", "command"],
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
            },
          },
          estimated: { type: "boolean" },
          partial: { type: "boolean" },
          total: {
            type: ["integer", "null"],
            description: "How many there are, when not all are listed",
          },
        },
      },
    },
    partial: {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["check", "code", "reason", "hint"],
        properties: NOTE,
      },
      description: "Checks that ran but could not see everything",
    },
    skipped: {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["check", "code", "reason", "hint"],
        properties: NOTE,
      },
    },
    errors: {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["check", "code", "sqlstate", "reason", "hint"],
        properties: { ...NOTE, sqlstate: TEXT },
      },
    },
    passed: STRINGS,
  },
};
