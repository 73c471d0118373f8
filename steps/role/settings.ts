import { PgdbaError } from "../../engine/errors.ts";
import { quoteIdent, quoteLiteral } from "../../providers/planner/twin/names.ts";
import type { PgSession } from "../../providers/postgres/session.ts";
import { isList, listElements } from "../../providers/postgres/setting-value.ts";

/** Whose settings: a role's, a database's, or a role's in a database. */
export interface Scope {
  role: string | null;
  database: string | null;
}

export interface Wanted {
  /** Values by name, as texts; null takes one out. */
  settings: Record<string, string | null>;
  connection_limit?: number;
  /** A time as the server reads it, or `infinity`. */
  valid_until?: string;
  login?: boolean;
}

/** What was there, for all that is wanted, so that it can be set again. */
export interface Kept extends Wanted {
  /** The time that was there is another than the one that is wanted. */
  valid_until_differs: boolean;
}

const ROLE = `SELECT oid::bigint::float8 AS oid, rolcanlogin AS login, rolconnlimit AS connection_limit,
  coalesce(rolvaliduntil::text, 'infinity') AS valid_until,
  coalesce(rolvaliduntil, 'infinity') IS DISTINCT FROM coalesce($2, 'infinity')::timestamptz AS differs
  FROM pg_catalog.pg_roles WHERE rolname = $1`;
const DATABASE = `SELECT oid::bigint::float8 AS oid, datconnlimit AS connection_limit FROM pg_catalog.pg_database WHERE datname = $1`;
const SETTINGS = `SELECT setconfig FROM pg_catalog.pg_db_role_setting WHERE setrole = $1 AND setdatabase = $2`;

/** @throws PgdbaError step_refused when there is no such role or database */
export async function readKept(pg: PgSession, scope: Scope, wanted: Wanted): Promise<Kept> {
  const role =
    scope.role === null
      ? null
      : only(
          (await pg.query(ROLE, [scope.role, wanted.valid_until ?? null])).rows,
          `There is no role ${scope.role}`,
          "psql's \\du lists the roles.",
        );
  const database =
    scope.database === null
      ? null
      : only(
          (await pg.query(DATABASE, [scope.database])).rows,
          `There is no database ${scope.database}`,
          "psql's \\l lists the databases.",
        );
  const { rows } = await pg.query(SETTINGS, [role?.["oid"] ?? 0, database?.["oid"] ?? 0]);
  const there = new Map(
    ((rows[0]?.["setconfig"] ?? []) as string[]).map((entry) => {
      const at = entry.indexOf("=");
      return [entry.slice(0, at).toLowerCase(), entry.slice(at + 1)];
    }),
  );
  const limit = (role ?? database)?.["connection_limit"];
  return {
    settings: Object.fromEntries(
      Object.keys(wanted.settings).map((name) => [
        name,
        sameList(name, there.get(name.toLowerCase()) ?? null, wanted.settings[name] ?? null),
      ]),
    ),
    ...(wanted.connection_limit === undefined ? {} : { connection_limit: Number(limit) }),
    ...(wanted.valid_until === undefined || role === null
      ? {}
      : { valid_until: String(role["valid_until"]) }),
    ...(wanted.login === undefined || role === null ? {} : { login: role["login"] === true }),
    valid_until_differs: wanted.valid_until !== undefined && role?.["differs"] === true,
  };
}

/** A list is kept as the server quotes it; it counts as written where its names are the same. */
function sameList(name: string, is: string | null, wanted: string | null): string | null {
  if (is === null || wanted === null || !isList(name)) return is;
  const same = JSON.stringify(listElements(is)) === JSON.stringify(listElements(wanted));
  return same ? wanted : is;
}

function only<T>(rows: readonly T[], message: string, hint: string): T {
  const [row] = rows;
  if (row !== undefined) return row;
  throw new PgdbaError("step_refused", message, { hint });
}

/** The statements that set it, names quoted, texts as literals: these commands take no $1. */
export function statementsFor({ role, database }: Scope, wanted: Wanted): string[] {
  const attributes = [
    ...(wanted.login === undefined ? [] : [wanted.login ? "LOGIN" : "NOLOGIN"]),
    ...(wanted.connection_limit === undefined
      ? []
      : [`CONNECTION LIMIT ${wanted.connection_limit}`]),
    ...(wanted.valid_until === undefined
      ? []
      : [`VALID UNTIL ${quoteLiteral(wanted.valid_until)}`]),
  ].join(" ");
  const owner =
    role === null
      ? `DATABASE ${quoteIdent(database ?? "")}`
      : `ROLE ${quoteIdent(role)}${database === null ? "" : ` IN DATABASE ${quoteIdent(database)}`}`;
  return [
    ...(attributes === "" ? [] : [`ALTER ${owner} ${role === null ? "WITH " : ""}${attributes}`]),
    ...Object.entries(wanted.settings).map(([name, value]) =>
      value === null
        ? `ALTER ${owner} RESET ${quoteIdent(name)}`
        : `ALTER ${owner} SET ${quoteIdent(name)} TO ${valueOf(name, value)}`,
    ),
  ];
}

/** A list is written name by name, or it would become one name. */
function valueOf(name: string, value: string): string {
  const elements = isList(name) ? listElements(value) : [];
  return elements.length === 0 ? quoteLiteral(value) : elements.map(quoteLiteral).join(", ");
}
