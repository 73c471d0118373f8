import { PgdbaError } from "../../engine/errors.ts";
import { quoteIdent, quoteName } from "../../providers/planner/twin/names.ts";
import { relationName } from "../../providers/postgres/relation-name.ts";
import { defineStep } from "../define.ts";
import { milliseconds } from "../sql/session.ts";
import { PRIMARY_KEY } from "./primary-key.ts";

/** The keys of an index: what each is made of, and which rows it has. */
const INDEX = `SELECT i.indrelid::text AS relation, pg_get_expr(i.indpred, i.indrelid) AS predicate,
  coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) AS nulls_equal,
  (SELECT array_agg(pg_get_indexdef(i.indexrelid, g, false) ORDER BY g) FROM generate_series(1, i.indnkeyatts) g) AS keys
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relname = $2 AND CASE WHEN $1::text IS NULL THEN pg_table_is_visible(c.oid) ELSE n.nspname = $1 END`;

const TABLE = `SELECT n.nspname AS schema, c.relname AS name, c.relkind = 'p' AS partitioned, ${PRIMARY_KEY} AS primary_key,
  (SELECT coalesce(array_agg(u.name), '{}') FROM unnest($4::text[]) u(name)
   WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = u.name AND a.attnum > 0 AND NOT a.attisdropped)) AS unknown
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'm') AND CASE WHEN $3::text IS NOT NULL THEN c.oid = $3::oid
    ELSE c.relname = $2 AND CASE WHEN $1::text IS NULL THEN pg_table_is_visible(c.oid) ELSE n.nspname = $1 END END`;

interface Index {
  relation: string;
  predicate: string | null;
  nulls_equal: boolean;
  keys: string[];
}

interface Table {
  schema: string;
  name: string;
  partitioned: boolean;
  primary_key: string[] | null;
  unknown: string[];
}

interface Answer {
  groups: number;
  total: number;
  shown: { nr: number; n: number; key: (string | null)[] }[];
  places: { nr: number; place: (string | null)[] }[];
}

export default defineStep({
  type: "constraint.duplicates",
  summary: "Show the keys that a table has more than once, and the rows that have them",
  docs: `The keys are \`columns\` of \`table\`, or those of \`index\`, with its expressions and its WHERE, also while it is invalid. A key with a NULL
is never a duplicate, unless the index says NULLS NOT DISTINCT. Each row is named by its primary key, or by where it lies (\`ctid\`) where there is none, or where that is what is double.
Reads the table twice, without a lock that keeps others out, and without its indexes: a unique one that is damaged has let these rows in, and shows one of them.`,
  example: `- constraint.duplicates: {table: public.customers, columns: [email]}
`,
  effect: "read",
  idempotent: true,
  needs: ["postgres"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      table: { type: ["string", "null"], description: "As table or schema.table" },
      columns: { type: ["array", "null"], items: { type: "string" } },
      index: {
        type: ["string", "null"],
        description: "As index or schema.index, instead of table and columns",
      },
      limit: { type: "integer", minimum: 1, maximum: 100, default: 10, description: "Keys given" },
      rows: {
        type: "integer",
        minimum: 1,
        maximum: 20,
        default: 5,
        description: "Rows given of each key",
      },
      timeout: { type: ["string", "null"], format: "duration" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["table", "keys", "duplicates", "rows_in_the_way", "left_out", "sql", "found"],
    properties: {
      table: { type: "string" },
      keys: { type: "array", items: { type: "string" }, description: "What must be unique" },
      found: { type: "integer", description: "Keys that are there more than once" },
      rows_in_the_way: {
        type: "integer",
        description: "Rows beyond the first of each key: as many must change or go",
      },
      duplicates: {
        type: "array",
        description: "The most frequent first",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["key", "count", "rows"],
          properties: {
            key: { type: "object" },
            count: { type: "integer" },
            rows: { type: "array", items: { type: "object" } },
          },
        },
      },
      left_out: { type: "integer", description: "Keys beyond limit" },
      sql: { type: "string", description: "Finds all of these keys" },
    },
  },
  async run(ctx, input) {
    const postgres = await ctx.use("postgres");
    const ask = async <T>(sql: string, values: unknown[]): Promise<T | undefined> =>
      (await postgres.query(sql, values)).rows[0] as T | undefined;
    const named = input.index == null ? null : relationName(input.index, "index");
    const index = named === null ? null : await ask<Index>(INDEX, [named.schema, named.name]);
    if (index === undefined)
      throw new PgdbaError("step_refused", `There is no index ${input.index} in this database`, {
        hint: "pgdba index list shows them; --database chooses another database.",
      });
    const columns = (input.columns ?? []) as string[];
    if (index === null ? input.table == null || columns.length === 0 : input.table != null)
      throw new PgdbaError("invalid_param", "Say a table and its columns, or an index", {
        hint: "A table with the columns that must be unique together; or, without both, a unique index, as index/list and index/verify name it.",
      });
    const { schema, name } =
      input.table == null ? { schema: null, name: "" } : relationName(input.table, "table");
    const table = await ask<Table>(TABLE, [schema, name, index?.relation ?? null, columns]);
    if (table === undefined || table.unknown.length > 0)
      throw new PgdbaError(
        "step_refused",
        table === undefined
          ? `There is no table ${input.table} in this database`
          : `${input.table} has no column ${table.unknown.join(", ")}`,
        {
          hint: "Check the names, and the database (--database); pgdba maintenance tables shows the tables.",
        },
      );
    const keys = index?.keys ?? columns.map((one) => quoteIdent(one));
    const names = index === null ? columns : keys.map(bare);
    const nullsEqual = index?.nulls_equal ?? false;
    // An index of a table that others inherit from has only its own rows.
    const from = `${table.partitioned ? "" : "ONLY "}${quoteName(table.schema, table.name)}`;
    const where = [
      ...(index?.predicate == null ? [] : [`(${index.predicate})`]),
      ...(nullsEqual ? [] : keys.map((one) => `(${one}) IS NOT NULL`)),
    ];
    const filter = where.length === 0 ? "" : ` WHERE ${where.join(" AND ")}`;
    // A primary key that is double itself tells none of its rows from another.
    const key = table.primary_key ?? [];
    const place = key.every((one) => names.includes(one)) ? ["ctid"] : key;
    const { rows } = await postgres.query(
      statement(keys, place, `${from}${filter}`, nullsEqual),
      [input.limit ?? 10, input.rows ?? 5],
      { timeoutMs: milliseconds(input.timeout ?? undefined), indexes: false },
    );
    const { groups, total, shown, places } = rows[0] as unknown as Answer;
    const object = (columns: string[], values: (string | null)[]): Record<string, string | null> =>
      Object.fromEntries(columns.map((column, at) => [column, values[at] ?? null]));
    return {
      table: `${table.schema}.${table.name}`,
      keys: names,
      found: groups,
      rows_in_the_way: total - groups,
      duplicates: shown.map(({ nr, n, key }) => ({
        key: object(names, key),
        count: n,
        rows: places.filter((one) => one.nr === nr).map((one) => object(place, one.place)),
      })),
      left_out: groups - shown.length,
      sql: `SELECT ${keys.join(", ")}, count(*) FROM ${from}${filter} GROUP BY ${keys.map((_, at) => at + 1).join(", ")} HAVING count(*) > 1`,
    };
  },
});

/** A key as a name: without the quotes of a column that has some. */
function bare(key: string): string {
  return /^"(?:[^"]|"")+"$/.test(key) ? key.slice(1, -1).replaceAll('""', '"') : key;
}

/**
 * Keys that are there more than once, the most frequent $1 of them, and $2 rows of each, found by a second read of the table so that
 * no list of all rows of a key is ever held. Behind OFFSET the planner knows nothing of unique indexes, by which it would end each search at the
 * first row.
 */
function statement(keys: string[], place: string[], from: string, nullsEqual: boolean): string {
  const k = keys.map((_, at) => `k${at}`);
  const texts = (columns: string[]): string =>
    `json_build_array(${columns.map((one) => `left(${one}::text, 200)`).join(", ")})`;
  const equal = nullsEqual ? "IS NOT DISTINCT FROM" : "=";
  const placed = place.map((one, at) => `${quoteIdent(one)} AS p${at}`);
  return `WITH d AS NOT MATERIALIZED (SELECT ${keys.map((one, at) => `(${one}) AS k${at}`).join(", ")}, ${placed.join(", ")} FROM ${from} OFFSET 0),
  g AS MATERIALIZED (SELECT ${k.join(", ")}, count(*)::int AS n FROM d GROUP BY ${k.join(", ")} HAVING count(*) > 1),
  s AS MATERIALIZED (SELECT g.*, row_number() OVER (ORDER BY n DESC, ${k.join(", ")})::int AS nr FROM g ORDER BY nr LIMIT $1::int),
  r AS (SELECT s.nr, row_number() OVER (PARTITION BY s.nr ORDER BY ${place.map((_, at) => `d.p${at}`).join(", ")}) AS rn, ${texts(place.map((_, at) => `d.p${at}`))} AS place
    FROM s JOIN d ON ${k.map((one) => `s.${one} ${equal} d.${one}`).join(" AND ")})
  SELECT (SELECT count(*)::int FROM g) AS groups, (SELECT coalesce(sum(n), 0)::float8 FROM g) AS total,
    (SELECT coalesce(json_agg(json_build_object('nr', nr, 'n', n, 'key', ${texts(k.map((one) => `s.${one}`))}) ORDER BY nr), '[]') FROM s) AS shown,
    (SELECT coalesce(json_agg(json_build_object('nr', nr, 'place', place) ORDER BY nr, rn), '[]') FROM r WHERE rn <= $2::int) AS places`;
}
