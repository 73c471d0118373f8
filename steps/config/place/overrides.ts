import type { PgSession } from "../../../providers/postgres/session.ts";
import { type Given, textOf } from "../../settings-file.ts";
import type { Setting } from "../../../providers/postgres/settings.ts";
import { humanValue, sameValue } from "../../../providers/postgres/setting-value.ts";

/** A value of ALTER ROLE or ALTER DATABASE, which wins over the server's configuration in the sessions of that role or database. */
export interface Override {
  name: string;
  /** Null is every database, or every role. */
  database: string | null;
  role: string | null;
  value: string;
  /** The statement that takes it out. */
  reset: string;
}

const OVERRIDES = `SELECT d.datname::text AS database, r.rolname::text AS role, split_part(c, '=', 1) AS name, substr(c, strpos(c, '=') + 1) AS value,
  CASE WHEN s.setrole = 0 AND s.setdatabase <> 0 THEN format('ALTER DATABASE %I', d.datname)
       ELSE 'ALTER ROLE ' || CASE WHEN s.setrole = 0 THEN 'ALL' ELSE quote_ident(r.rolname) END
            || CASE WHEN s.setdatabase = 0 THEN '' ELSE format(' IN DATABASE %I', d.datname) END END
    || ' RESET ' || (SELECT string_agg(quote_ident(part), '.' ORDER BY n) FROM unnest(string_to_array(split_part(c, '=', 1), '.')) WITH ORDINALITY AS p (part, n))
    || ';' AS reset
  FROM pg_catalog.pg_db_role_setting s LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
    LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) AS c
  WHERE lower(split_part(c, '=', 1)) = ANY ($1)
  ORDER BY 3, 1 NULLS FIRST, 2 NULLS FIRST`;

/** Finds roles and databases whose own value wins over the wanted one. For a setting to be taken out (null) any value wins. */
export async function overridesOf(
  pg: PgSession,
  values: ReadonlyMap<string, Given>,
  settings: ReadonlyMap<string, Setting>,
  signal?: AbortSignal,
): Promise<Override[]> {
  const wanted = new Map([...values].map(([name, value]) => [name.toLowerCase(), value]));
  const { rows } = await pg.ask(OVERRIDES, [[...wanted.keys()]], { signal });
  return (rows as unknown as Override[]).flatMap((row) => {
    const key = row.name.toLowerCase();
    const setting = settings.get(key);
    const value = wanted.get(key) ?? null;
    if (setting !== undefined && value !== null && sameValue(setting, row.value, textOf(value)))
      return [];
    return [{ ...row, value: setting === undefined ? row.value : humanValue(setting, row.value) }];
  });
}

/** Says which sessions keep which value. */
export function overrideText({ name, database, role, value, reset }: Override): string {
  const whose = [
    ...(role === null ? [] : [`role ${role}`]),
    ...(database === null ? [] : [`database ${database}`]),
  ];
  return `sessions of ${whose.join(" in ") || "all roles"} keep ${name} = ${value}: ${reset}`;
}
