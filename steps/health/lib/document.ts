import { PgdbaError } from "../../../engine/errors.ts";
import type { Doc, DocumentKind, JsonObject, JsonSchema } from "../../../engine/types.ts";

export const GROUPS = [
  "availability",
  "connections",
  "replication",
  "wal",
  "vacuum",
  "bloat",
  "indexes",
  "statistics",
  "locks",
  "checkpoints",
  "memory",
  "configuration",
  "security",
  "sequences",
  "extensions",
];

export type Severity = "critical" | "warning" | "info";
/** Worst first. */
export const SEVERITIES: readonly Severity[] = ["critical", "warning", "info"];

/** One health check as written; see `CHECK_SCHEMA` for what each key means. */
export interface Check {
  /** Last part of the document's name. */
  name: string;
  title: string;
  group: string;
  why: string;
  source?: string;
  versions?: string;
  roles?: string[];
  privilege?: string;
  privilege_mode?: "required" | "partial";
  grant?: string;
  extension?: string;
  params?: Record<
    string,
    { type: string; default: number | string | boolean; description?: string }
  >;
  sql: string;
  variants?: { versions: string; sql: string }[];
  critical?: string;
  warning?: string;
  info?: string;
  object?: string;
  message: string;
  remedy?: { text?: string; settings?: string; sql?: string; runbook?: string; params?: string };
  estimated?: boolean;
}

const VERSIONS: JsonSchema = {
  type: "string",
  pattern: "^(>=|<=|<|>|=)\\d+( (>=|<=|<|>|=)\\d+)*$",
  description: 'Major versions it applies to, e.g. ">=14 <18"; all of them without it',
};
const SQL: JsonSchema = {
  type: "string",
  minLength: 1,
  "x-lang": "static",
  description:
    "One SELECT on the catalogues, one row per thing to judge. Compared columns must not be null. Put the worst rows first, LIMIT them, and give count(*) over () as total. Only pg_catalog (and the schema of `extension`) is on the search path",
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

const CHECK_SCHEMA: JsonSchema = {
  type: "object",
  additionalProperties: false,
  required: ["kind", "title", "group", "why", "sql", "message"],
  anyOf: [{ required: ["critical"] }, { required: ["warning"] }, { required: ["info"] }],
  properties: {
    kind: { const: "check" },
    name: { type: "string", description: "Must equal the path; may be left out" },
    title: { type: "string", minLength: 1, description: "What is wrong, in a few words" },
    group: { type: "string", enum: GROUPS },
    why: {
      type: "string",
      minLength: 1,
      description: "What it leads to, for a DBA at three in the morning",
    },
    source: { type: "string", description: "Where the thresholds come from" },
    versions: VERSIONS,
    roles: {
      type: "array",
      items: { type: "string", enum: ["primary", "standby"] },
      minItems: 1,
      description: "Roles of the server it applies to; both without it",
    },
    privilege: {
      type: "string",
      pattern: "^(superuser|pg_[a-z_]+|select on [a-z_]+)$",
      description:
        "What it takes to see everything: `superuser`, a predefined role, or `select on` a relation of pg_catalog",
    },
    privilege_mode: {
      type: "string",
      enum: ["required", "partial"],
      description:
        "`partial` runs it without the privilege too and marks what it finds; otherwise it is skipped",
    },
    grant: text("The statement that gives the privilege, where it is not plain; sees server"),
    extension: {
      type: "string",
      pattern: "^[A-Za-z0-9_-]+$",
      description: "Extension that must be installed",
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
        required: ["versions", "sql"],
        properties: { versions: VERSIONS, sql: SQL },
      },
      description: "SQL for certain versions; the first that applies is used instead of `sql`",
    },
    critical: condition("critical"),
    warning: condition("worth a warning"),
    info: condition("worth mentioning"),
    object: text("Names what was found"),
    message: text("What was found, with its figures"),
    remedy: {
      type: "object",
      additionalProperties: false,
      minProperties: 1,
      properties: {
        text: text("What to do"),
        settings: map(
          "Settings that make the finding go away and their values, as a map: `{'fsync': 'on'}`. The statements that set them come from it: ALTER SYSTEM and a reload, a word on the restart that they need, or ALTER DATABASE or ROLE where such a value wins; none where Patroni runs the server. They are the params of `runbook` too",
        ),
        sql: text(
          "The statements to run, each ended by a semicolon; names must come quoted from the SQL, by format('%I') or ::regclass. They must make the finding go away as they stand, and harm nothing",
        ),
        runbook: { type: "string", description: "The runbook to run" },
        params: map("Values for the runbook's params, as a map"),
      },
    },
    estimated: { type: "boolean", description: "The figures are estimates" },
  },
};

/** What `server` is in a check's expressions. */
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

export const CHECK_DOCUMENT: DocumentKind = {
  kind: "check",
  schema: CHECK_SCHEMA,
  variables: (doc) => ({
    row: { type: "object" },
    params: {
      type: "object",
      additionalProperties: false,
      properties: Object.fromEntries(
        Object.entries((doc.data["params"] ?? {}) as JsonObject).map(([name, spec]) => [
          name,
          { type: String((spec as JsonObject)["type"]) },
        ]),
      ),
    },
    server: {
      ...SERVER_SCHEMA,
      properties: {
        ...SERVER_SCHEMA.properties,
        database_quoted: { type: "string" },
        user_quoted: { type: "string" },
        patroni: { type: "boolean" },
        roles: { type: "array", items: { type: "string" } },
        extensions: { type: "object" },
        settings: { type: "object" },
      },
    },
  }),
};

/**
 * A document as a check. `pgdba lint` says all that is wrong with one; here only what a run can't do without is looked at.
 * @throws PgdbaError invalid_runbook
 */
export function readCheck(doc: Doc): Check {
  const check = {
    ...(doc.data as unknown as Check),
    name: doc.name.slice(doc.name.lastIndexOf("/") + 1),
  };
  const missing = ["title", "group", "why", "sql", "message"].filter(
    (key) => typeof (check as unknown as JsonObject)[key] !== "string",
  );
  if (!SEVERITIES.some((severity) => typeof check[severity] === "string"))
    missing.push("critical, warning or info");
  const versions = [check.versions, ...(check.variants ?? []).map((variant) => variant.versions)];
  const bad = versions.find(
    (range) => range !== undefined && !new RegExp(VERSIONS.pattern ?? "").test(range),
  );
  if (missing.length === 0 && bad === undefined) return check;
  const { file, line, column } = doc.at(bad === undefined ? [] : ["versions"]);
  throw new PgdbaError(
    "invalid_runbook",
    bad === undefined
      ? `The check ${doc.name} lacks ${missing.join(", ")}`
      : `${bad} is no range of versions`,
    { hint: "`pgdba lint` shows all that is wrong with it.", where: { file, line, column } },
  );
}
