import { marked } from "./own.ts";
import type { Run } from "./session.ts";

/** The rights with which other users of this database could make us run their code. */
export interface Exposure {
  /** We are as good as a superuser. */
  mighty: boolean;
  superuser: boolean;
  standby: boolean;
  /** True when such a user owns or may create something that a statement may call or read. */
  exposed: boolean;
}

/** Roles that are as good as a superuser: they may become one, or reach the server's files and programs. */
const MIGHTY = `(r.rolsuper OR EXISTS (SELECT FROM pg_roles s WHERE pg_has_role(r.oid, s.oid, 'MEMBER')
  AND (s.rolsuper OR s.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files'))))`;

/**
 * The rights that code of others would have when we run it, and whether there are such others: roles that are neither this user nor a
 * superuser, and that own something in this database or may create something there. The role pg_database_owner stands for the database's owner.
 */
const EXPOSURE = `WITH others AS (
  SELECT r.oid, r.rolname FROM pg_roles r WHERE NOT r.rolsuper AND r.rolname NOT IN (session_user, current_user)),
here AS (SELECT * FROM pg_database WHERE datname = current_database()),
grants AS (
  SELECT a.grantee FROM pg_namespace n CROSS JOIN LATERAL aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
  WHERE a.privilege_type = 'CREATE' AND n.nspname !~ '^pg_'
  UNION ALL
  SELECT a.grantee FROM here CROSS JOIN LATERAL aclexplode(coalesce(here.datacl, acldefault('d', here.datdba))) a WHERE a.privilege_type = 'CREATE'),
creators AS (
  SELECT CASE WHEN o.rolname = 'pg_database_owner' THEN (SELECT datdba FROM here) ELSE g.grantee END AS role FROM grants g LEFT JOIN pg_roles o ON o.oid = g.grantee)
SELECT (SELECT bool_or(${MIGHTY}) FROM pg_roles r WHERE r.rolname IN (session_user, current_user)) AS mighty,
  (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser, pg_is_in_recovery() AS standby,
  EXISTS (SELECT FROM pg_shdepend d JOIN others o ON o.oid = d.refobjid, here
    WHERE d.dbid = here.oid AND d.refclassid = 'pg_authid'::regclass AND d.deptype = 'o')
  OR EXISTS (SELECT FROM creators c JOIN others o ON o.oid = c.role)
  OR EXISTS (SELECT FROM creators WHERE role = 0) AND EXISTS (SELECT FROM others JOIN pg_roles USING (oid) WHERE rolcanlogin) AS exposed`;

/** @param run in a transaction whose search_path is pg_catalog */
export async function exposureOf(run: Run): Promise<Exposure> {
  return (await run(marked(EXPOSURE))).rows[0] as unknown as Exposure;
}
