import { PgdbaError } from "../../../engine/errors.ts";
import type { QueryResult } from "../../../providers/postgres/session.ts";
import on from "../sql/rights-on.sql" with { type: "text" };
import kept from "../sql/rights-kept.sql" with { type: "text" };
import later from "../sql/rights-later.sql" with { type: "text" };
import lost from "../sql/rights-lost.sql" with { type: "text" };
import still from "../sql/rights-still.sql" with { type: "text" };
import taken from "../sql/rights-taken.sql" with { type: "text" };

/** Rights in one revoke; what is more is done schema by schema or table by table. */
const MOST = 50_000;

export interface Wanted {
  from: string;
  schema: string | null;
  on: readonly string[];
  tables: readonly string[];
  sequences: readonly string[];
  functions: readonly string[];
  rights: readonly string[];
  makers: readonly string[];
  keep: readonly string[];
  /** Accounts of the cluster. */
  own: readonly string[];
}

/** A right on one thing, as the catalogue has it. */
export interface Right {
  kind: "table" | "sequence" | "function" | "schema" | "database";
  oid: number;
  sub: number;
  /** As SQL writes it. */
  name: string;
  /** Of a column's right. */
  col: string | null;
  right: string;
}

export interface Taken extends Right {
  owner: string;
  grantor: string;
  grantable: boolean;
}

export interface Kept extends Right {
  role: string;
}

/** Default privileges of one role that makes things. */
export interface Later {
  maker: string;
  schema: string | null;
  kind: "tables" | "sequences" | "functions" | "schemas";
  rights: string;
  grantable: boolean;
}

export interface Lost {
  role: string;
  login: boolean;
  sessions: number;
  kind: Right["kind"];
  rights: string;
  count: number;
  names: string[];
}

export interface Still {
  through: string;
  kind: Right["kind"];
  right: string;
  count: number;
  names: string[];
}

export interface Found {
  /** Who keeps it, by name. */
  keep: readonly string[];
  taken: Taken[];
  kept: Kept[];
  later: Later[];
  lost: Lost[];
  still: Still[];
}

/** Asks one question, in a session or inside of a transaction. */
export type Ask = (
  sql: string,
  values: readonly unknown[],
  options?: { maxRows?: number },
) => Promise<QueryResult>;

/** In `keep`: all that would lose it. */
const ALL = "*";

export const isPublic = (role: string): boolean => role.toLowerCase() === "public";

/** @throws PgdbaError step_refused for what is not there, and for a role that is to keep what it does not have by this */
export async function find(ask: Ask, wanted: Wanted): Promise<Found> {
  if (wanted.keep.includes(ALL)) {
    const named = wanted.keep.filter((role) => role !== ALL);
    const found = await find(ask, { ...wanted, keep: named });
    const keep = new Set([...named, ...found.lost.map(({ role }) => role)]);
    return keep.size === named.length ? found : find(ask, { ...wanted, keep: [...keep] });
  }
  const { from, rows } = await asking(ask, wanted);
  await refuseUnknown(ask, wanted);
  const { schema, on: kinds, rights, keep } = wanted;
  if (from !== 0 && keep.length > 0) await refuseStrangers(ask, from, wanted);
  const ofKinds = kinds.filter((kind) => ["tables", "sequences", "functions"].includes(kind));
  const laterValues = [from, wanted.makers, schema, ofKinds, rights];
  return {
    keep,
    taken: (await rows(taken)) as Taken[],
    kept: await bare(ask, wanted),
    later: (await ask(later, laterValues, { maxRows: MOST })).rows as unknown as Later[],
    lost: ((await rows(lost)) as Lost[]).filter((one) => !ownAnyhow(one, wanted)),
    still: (await rows(still)) as Still[],
  };
}

/** What those who are to keep it have by this grant, and by nothing else yet. */
export async function bare(ask: Ask, wanted: Wanted): Promise<Kept[]> {
  if (wanted.keep.length === 0) return [];
  const { rows } = await asking(ask, wanted);
  return (await rows(kept)) as Kept[];
}

/** The cluster's accounts need to connect and to call the server's own functions; on anybody's tables they have nothing to do. */
function ownAnyhow({ role, kind }: Lost, { own, schema }: Wanted): boolean {
  return own.includes(role) && kind !== "database" && schema !== "pg_catalog";
}

async function asking(
  ask: Ask,
  wanted: Wanted,
): Promise<{ from: number; rows(sql: string): Promise<unknown[]> }> {
  const ids = await rolesOf(ask, [wanted.from, ...wanted.keep, ...wanted.makers]);
  const from = ids.get(wanted.from) ?? 0;
  const { schema, on: kinds, tables, sequences, functions, rights } = wanted;
  const keep = wanted.keep.map((role) => ids.get(role) ?? 0);
  const values = [from, kinds, schema, tables, sequences, functions, rights, keep];
  return {
    from,
    async rows(sql) {
      const answer = await ask(on + sql, values, { maxRows: MOST });
      if (!answer.truncated) return answer.rows;
      throw new PgdbaError("limit_exceeded", `These are more than ${MOST} rights`, {
        hint: "Where many roles are to keep it, give it to one role that they are members of (role grant) and name that; or name tables or functions, or only some rights, and do it in parts.",
      });
    },
  };
}

async function rolesOf(ask: Ask, names: readonly string[]): Promise<Map<string, number>> {
  const { rows } = await ask(
    "SELECT rolname::text AS name, oid::bigint AS oid FROM pg_catalog.pg_roles WHERE rolname = ANY ($1::text[])",
    [names],
  );
  const ids = new Map(rows.map(({ name, oid }) => [String(name), Number(oid)]));
  const [from] = names;
  const missing = names.filter((name) => !ids.has(name) && !(name === from && isPublic(name)));
  if (missing.length === 0) return ids;
  throw new PgdbaError("step_refused", `There is no role ${missing.join(", ")}`, {
    hint: "pgdba role list shows those there are; PUBLIC is everybody.",
  });
}

const UNKNOWN = `SELECT 'schema ' || $1 AS what WHERE $1::text IS NOT NULL AND to_regnamespace(quote_ident($1)) IS NULL
  UNION ALL
  SELECT CASE w.kind WHEN 'S' THEN 'sequence ' ELSE 'table ' END || w.name
  FROM (SELECT 'r' AS kind, unnest($2::text[]) AS name UNION ALL SELECT 'S', unnest($3::text[])) w
  WHERE NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname = $1 AND c.relname = w.name AND (c.relkind = 'S') = (w.kind = 'S') AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S'))
  UNION ALL
  SELECT 'function ' || w.name FROM unnest($4::text[]) w(name)
  WHERE NOT EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = $1
    AND w.name IN (p.proname, p.oid::regprocedure::text, substr(p.oid::regprocedure::text, length(quote_ident(n.nspname)) + 2)))`;

async function refuseUnknown(ask: Ask, wanted: Wanted): Promise<void> {
  const { schema, tables, sequences, functions } = wanted;
  const { rows } = await ask(UNKNOWN, [schema, tables, sequences, functions]);
  if (rows.length === 0) return;
  throw new PgdbaError(
    "step_refused",
    `In this database there is no ${rows.map(({ what }) => what).join(", ")}`,
    {
      hint: "Tables and sequences are named without their schema, functions as f or f(integer,text); --database chooses another database.",
    },
  );
}

/** A role that has nothing by this grant would get something new. */
async function refuseStrangers(ask: Ask, from: number, { keep }: Wanted): Promise<void> {
  const { rows } = await ask(
    "SELECT rolname::text AS name FROM pg_roles WHERE rolname = ANY ($1::text[]) AND NOT pg_has_role(oid, $2::oid, 'USAGE')",
    [keep, from],
  );
  if (rows.length === 0) return;
  throw new PgdbaError(
    "step_refused",
    `${rows.map(({ name }) => name).join(", ")} has nothing by this grant that it could keep`,
    { hint: "Name those in keep that --plan shows; pgdba role grant gives rights to others." },
  );
}
