import VIEWS from "../sql/widening-views.sql" with { type: "text" };
import { PgdbaError } from "../../../engine/errors.ts";
import { quoteIdent, quoteLiteral, quoteName } from "../../../providers/planner/twin/names.ts";
import type { Run } from "../../../providers/postgres/session.ts";
import { type Ask, type Column, shown } from "./find.ts";

/** A view that reads a column whose type changes, or another such view: PostgreSQL changes no type under it. */
export interface View {
  oid: number;
  schema: string;
  name: string;
  owner: string;
  definition: string;
  comment: string | null;
  /** As `"security_barrier" = 'true'`. */
  options: string | null;
  columns: { name: string; comment: string | null; default: string | null }[];
  rights: { right: string; column: string | null; to: string | null; option: boolean }[];
  granted: boolean;
  /** Why it can't be made again as it is. */
  refused: string | null;
}

export const viewName = ({ schema, name }: View): string => shown(schema, name);

/** Those that read others come last. */
export async function viewsOf(ask: Ask, columns: readonly Column[]): Promise<View[]> {
  const of = [columns.map(({ relid }) => relid), columns.map(({ attnum }) => attnum)];
  return (await ask(VIEWS, of)).rows as unknown as View[];
}

/** @throws PgdbaError step_refused when one can't be made again as it is */
export function mayGo(views: readonly View[]): readonly View[] {
  const refused = [...new Set(views.flatMap((view) => view.refused ?? []))];
  if (refused.length === 0) return views;
  throw new PgdbaError("step_refused", `PostgreSQL changes no type under ${refused.join(", ")}`, {
    hint: "Drop these, run this again, and make them again.",
  });
}

export function dropStatements(views: readonly View[]): string[] {
  return views.toReversed().map(({ schema, name }) => `DROP VIEW ${quoteName(schema, name)}`);
}

/** What makes them again, with all but their rights. */
export function createStatements(views: readonly View[]): string[] {
  return views.flatMap((view) => {
    const name = quoteName(view.schema, view.name);
    const columns = view.columns.map((one) => quoteIdent(one.name)).join(", ");
    return [
      `CREATE VIEW ${name} (${columns})${view.options === null ? "" : ` WITH (${view.options})`} AS ${view.definition}`,
      ...view.columns.flatMap((one) => [
        ...(one.default === null
          ? []
          : [`ALTER VIEW ${name} ALTER COLUMN ${quoteIdent(one.name)} SET DEFAULT ${one.default}`]),
        ...(one.comment === null
          ? []
          : [`COMMENT ON COLUMN ${name}.${quoteIdent(one.name)} IS ${quoteLiteral(one.comment)}`]),
      ]),
      ...(view.comment === null
        ? []
        : [`COMMENT ON VIEW ${name} IS ${quoteLiteral(view.comment)}`]),
      `ALTER VIEW ${name} OWNER TO ${quoteIdent(view.owner)}`,
      ...view.rights.map(grantOf(name)),
    ];
  });
}

const grantOf =
  (name: string) =>
  ({ right, column, to, option }: View["rights"][number]): string =>
    `GRANT ${right}${column === null ? "" : ` (${quoteIdent(column)})`} ON ${name} TO ${to === null ? "PUBLIC" : quoteIdent(to)}${option ? " WITH GRANT OPTION" : ""}`;

/** Takes what default privileges have given to views that were made again, before what they had is granted. */
export async function makeAgain(run: Run, views: readonly View[]): Promise<void> {
  for (const view of views) {
    const grants = createStatements([view]);
    const first = grants.findIndex((sql) => sql.startsWith("GRANT "));
    const made = first === -1 ? grants : grants.slice(0, first);
    for (const sql of made) await run(sql);
    const name = quoteName(view.schema, view.name);
    const { rows } = await run(
      `SELECT DISTINCT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END AS who
       FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) x WHERE c.oid = $1::regclass AND (x.grantee <> c.relowner OR $2)`,
      [name, view.granted],
    );
    for (const { who } of rows) await run(`REVOKE ALL ON ${name} FROM ${String(who)}`);
    if (first !== -1) for (const sql of grants.slice(first)) await run(sql);
  }
}
