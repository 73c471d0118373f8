import type { JsonSchema } from "../../../engine/types.ts";
import { GROUPS } from "./words.ts";

export const VERSIONS: JsonSchema = {
  type: "string",
  pattern: "^(>=|<=|<|>|=)\\d+( (>=|<=|<|>|=)\\d+)*$",
  description: 'Major versions it applies to, e.g. ">=14 <18"; by default all',
};
const SQL: JsonSchema = {
  type: "string",
  minLength: 1,
  "x-lang": "static",
  description:
    'One SELECT on the catalogues that only reads, as `sql.query` does: one row per thing to judge or to name as `unseen`. Compared columns must not be null. In a column `comment` stands what the comment of the object says: where there is one, the finding gives nothing to run that changes anything. Put the rows first that are judged worst, LIMIT them, and give count(*) over () as total; where rows are ordered by something else, LIMIT 2000. Only pg_catalog is on the search path; `:"extension"` stands for the schema of `extension`, which is searched too where it is not named so',
};
const condition = (word: string): JsonSchema => ({
  type: "string",
  format: "condition",
  "x-lang": "cel",
  description: `True when \`row\` is ${word}; sees row, params and server`,
});
const text = (description: string): JsonSchema => ({
  type: "string",
  "x-lang": "text",
  description,
});
const map = (description: string): JsonSchema => ({
  type: "string",
  "x-lang": "cel",
  description: `${description}. Sees row, params and server`,
});

/** The schema of a check as written. */
export const CHECK_SCHEMA: JsonSchema = {
  type: "object",
  additionalProperties: false,
  required: ["kind", "title", "group", "why", "sql", "message"],
  anyOf: [{ required: ["critical"] }, { required: ["warning"] }, { required: ["info"] }],
  properties: {
    kind: { const: "check" },
    name: { type: "string", description: "Must equal the path; may be left out" },
    title: { type: "string", minLength: 1, description: "The fault, in a few words" },
    group: { type: "string", enum: GROUPS },
    why: {
      type: "string",
      minLength: 1,
      description: "Its consequences, for a DBA at three in the morning",
    },
    source: { type: "string", description: "The source of the thresholds" },
    versions: VERSIONS,
    roles: {
      type: "array",
      items: { type: "string", enum: ["primary", "standby"] },
      minItems: 1,
      description: "Roles of the server it applies to; by default both",
    },
    privilege: {
      type: "string",
      pattern: "^(superuser|pg_[a-z_]+|select on [a-z_]+)$",
      description:
        "The privilege that lets it see everything: `superuser`, a predefined role, or `select on` a relation of pg_catalog",
    },
    privilege_mode: {
      type: "string",
      enum: ["required", "partial"],
      description:
        "`partial` runs it without the privilege too and marks its findings; otherwise it is skipped",
    },
    grant: text("The statement that gives the privilege, where it is not plain; sees server"),
    extension: {
      type: "string",
      pattern: "^[A-Za-z0-9_-]+$",
      description: "Extension that must be installed",
    },
    requires: {
      type: "object",
      additionalProperties: { type: "string" },
      minProperties: 1,
      description:
        "Settings and the values that they must have, or the server does not know the figures that this judges; otherwise it is skipped",
    },
    scope: {
      type: "string",
      enum: ["server", "database"],
      default: "server",
      description:
        "`database`: it sees only the database it is connected to; the others are named as not examined, and `databases` has it run in them too",
    },
    machine: {
      type: "boolean",
      description: "It asks for the server's machine, in server.machine: memory and huge pages",
    },
    primary: {
      type: "boolean",
      description:
        "It asks, on a standby, of which settings its primary has more, in server.primary",
    },
    params: {
      type: "object",
      additionalProperties: {
        type: "object",
        additionalProperties: false,
        required: ["type", "default"],
        properties: {
          type: { type: "string", enum: ["number", "integer", "string", "boolean"] },
          default: { type: ["number", "string", "boolean"] },
          description: { type: "string" },
        },
      },
      description: "Thresholds",
    },
    sql: SQL,
    variants: {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["sql"],
        minProperties: 2,
        properties: {
          versions: VERSIONS,
          lacking: {
            type: "string",
            description: "For a role that lacks this: written as `privilege` is",
          },
          sql: SQL,
        },
      },
      description:
        "SQL for certain `versions`, or for a role that is `lacking` a privilege; the first that applies is used instead of `sql`",
    },
    critical: condition("critical"),
    warning: condition("worth a warning"),
    info: condition("worth mentioning"),
    object: text("Names the object"),
    message: text("The finding in a sentence, with its figures"),
    remedy: {
      type: "object",
      additionalProperties: false,
      minProperties: 1,
      properties: {
        text: text("The advice"),
        settings: map(
          "Settings that make the finding go away and their values, as a map: `{'fsync': 'on'}`. The statements that set them come from it: ALTER SYSTEM and a reload, a word on the restart that they need, or ALTER DATABASE or ROLE where such a value wins; none where Patroni runs the server. They are the params of `runbook` too",
        ),
        sql: text(
          "The statements to run, each ended by a semicolon; names must come quoted from the SQL, by format('%I') or ::regclass. They must make the finding go away as they stand, and harm nothing",
        ),
        runbook: { type: "string", description: "The runbook to run" },
        params: map(
          "Values for the runbook's params, as a map; the runbook is left out when it comes to null",
        ),
        runbooks: {
          type: "object",
          minProperties: 1,
          additionalProperties: map("Values for the params of this runbook, as a map, or null"),
          description:
            "Where the runbook depends on the row: runbooks by name, each with its params; the first that does not come to null is the one to run",
        },
        database: text("The database that the command is for, where that is not the examined one"),
        by_hand: map(
          "What a person runs on the server's machine, where pgdba can't, as a text or null",
        ),
        also: {
          type: "array",
          minItems: 1,
          items: {
            type: "object",
            additionalProperties: false,
            required: ["text", "runbook", "params"],
            properties: {
              text: text("What it does"),
              runbook: { type: "string", description: "The runbook to run" },
              params: map("Values for its params, as a map; it is left out when it comes to null"),
            },
          },
          description: "More commands that mend it, in the order in which they are worth trying",
        },
      },
    },
    estimated: { type: "boolean", description: "The figures are estimates" },
    unseen: {
      type: "object",
      additionalProperties: false,
      required: ["when", "reason"],
      description:
        "Rows that can't be judged. Each is listed under `partial` with its reason and the check does not pass; without an object the whole check is under `skipped`. Columns whose names begin with unseen are no evidence",
      properties: {
        when: condition("one that can't be judged"),
        object: text("Names the part that was not examined; by default as `object` does"),
        reason: text("Why not"),
        hint: text("The action that would let it be examined"),
      },
    },
    merge: text(
      "Findings for which this comes to the same are one: the worst is shown, the others are counted and named",
    ),
    explains: {
      type: "object",
      additionalProperties: {
        type: "string",
        format: "condition",
        "x-lang": "cel",
        description:
          "True when `row` is the cause of `effect`, a row that the other check has found; sees row, params, server and effect",
      },
      description:
        "Checks whose findings this one may be the cause of. Such a finding stands under its cause, and a row that is below all thresholds is found when it is one",
    },
  },
};
