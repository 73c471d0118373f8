import { PgdbaError } from "../../engine/errors.ts";
import { quoteIdent, quoteName } from "../../providers/planner/twin/names.ts";
import { defineStep } from "../define.ts";
import { milliseconds } from "../sql/session.ts";
import { PRIMARY_KEY } from "./primary-key.ts";

/** More than these are not counted. */
const COUNTED = 10_000;

const CONSTRAINT = `SELECT k.contype::text AS type, pg_get_expr(k.conbin, k.conrelid) AS condition, k.confmatchtype::text AS match,
  (SELECT array_agg(a.attname::text ORDER BY u.n) FROM unnest(k.conkey) WITH ORDINALITY u(attnum, n) JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum) AS columns,
  (SELECT array_agg(a.attname::text ORDER BY u.n) FROM unnest(k.confkey) WITH ORDINALITY u(attnum, n) JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum) AS referenced,
  rn.nspname AS other_schema, r.relname AS other, ${PRIMARY_KEY} AS primary_key
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_class r ON r.oid = k.confrelid LEFT JOIN pg_namespace rn ON rn.oid = r.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2 AND k.conname = $3`;

interface Constraint {
  type: string;
  condition: string | null;
  match: string;
  columns: string[] | null;
  referenced: string[] | null;
  other_schema: string | null;
  other: string | null;
  primary_key: string[] | null;
}

export default defineStep({
  type: "constraint.violations",
  summary: "Show rows that break a constraint: a check, a foreign key or NOT NULL",
  docs: `Reads the table from end to end, and the one that it refers to, without a lock that keeps others out and without indexes, which may be damaged. The first rows are given with their primary key (where they lie,
\`ctid\`, where there is none) and the columns that the constraint is about; more than ${COUNTED} are not counted.`,
  example: `- constraint.violations: {schema: public, table: orders, constraint: orders_total_check}
`,
  effect: "read",
  idempotent: true,
  needs: ["postgres"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["schema", "table", "constraint"],
    properties: {
      schema: { type: "string", minLength: 1 },
      table: { type: "string", minLength: 1 },
      constraint: { type: "string", minLength: 1 },
      limit: { type: "integer", minimum: 1, maximum: 100, default: 5, description: "Rows given" },
      timeout: { type: ["string", "null"], format: "duration" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["count", "more", "rows", "sql"],
    properties: {
      count: { type: "integer", description: `${COUNTED} at most` },
      more: { type: "boolean", description: "There may be more than were counted" },
      rows: { type: "array", items: { type: "object" } },
      sql: { type: "string", description: "Finds them all" },
    },
  },
  async run(ctx, input) {
    const { schema, table, constraint, limit = 5 } = input;
    const postgres = await ctx.use("postgres");
    const { rows } = await postgres.query(CONSTRAINT, [schema, table, constraint]);
    const [found] = rows as unknown as Constraint[];
    if (found === undefined)
      throw new PgdbaError(
        "step_refused",
        `${quoteName(schema, table)} has no constraint ${constraint}`,
        {
          hint: "Check the names, and the database (--database): pgdba constraint validate --plan lists those that are not valid.",
        },
      );
    const from = broken(found, quoteName(schema, table));
    const names = new Set([...(found.primary_key ?? ["ctid"]), ...(found.columns ?? [])]);
    const shown = [...names]
      .map((name) => `left(t.${quoteIdent(name)}::text, 200) AS ${quoteIdent(name)}`)
      .join(", ");
    const sql = `SELECT t.* FROM ${from}`;
    const timeoutMs = milliseconds(input.timeout ?? undefined);
    const options = { timeoutMs, indexes: false } as const;
    const first = await postgres.query(`SELECT ${shown} FROM ${from} LIMIT ${limit}`, [], options);
    const counted = await postgres.query(
      `SELECT count(*)::int AS count FROM (SELECT FROM ${from} LIMIT ${COUNTED}) broken`,
      [],
      options,
    );
    const count = Number(counted.rows[0]?.["count"] ?? 0);
    return { count, more: count >= COUNTED, rows: first.rows, sql };
  },
});

/** FROM and WHERE that select the rows of the table, as `t`, that break the constraint. */
function broken(
  { type, condition, match, columns, referenced, other_schema, other }: Constraint,
  table: string,
): string {
  const own = (columns ?? []).map((name) => `t.${quoteIdent(name)}`);
  if (type === "n") return `${table} t WHERE ${own.map((one) => `${one} IS NULL`).join(" OR ")}`;
  if (type === "c" && condition !== null)
    return `(SELECT ctid, * FROM ${table} WHERE NOT (${condition})) t`;
  if (type === "f" && other !== null) {
    const equal = (referenced ?? []).map((name, at) => `o.${quoteIdent(name)} = ${own[at]}`);
    const whole = own.map((one) => `${one} IS NOT NULL`).join(" AND ");
    const some = own.map((one) => `${one} IS NOT NULL`).join(" OR ");
    const missing = `${whole} AND NOT EXISTS (SELECT FROM ${quoteName(other_schema ?? "", other)} o WHERE ${equal.join(" AND ")})`;
    // MATCH FULL wants all of them null or none.
    return `${table} t WHERE ${match === "f" ? `(${some}) AND NOT (${whole}) OR ` : ""}${missing}`;
  }
  throw new PgdbaError(
    "unsupported",
    "Only rows that break a check, a foreign key or NOT NULL can be shown",
    {
      hint: "Let the server tell: ALTER TABLE … VALIDATE CONSTRAINT names the first one.",
    },
  );
}
