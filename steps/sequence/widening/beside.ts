import { quoteIdent, quoteName } from "../../../providers/planner/twin/names.ts";
import type { Detail, Index } from "./facts.ts";
import { type Column, tableName } from "./find.ts";

type Placed = Pick<Column, "relid" | "attnum" | "schema" | "table">;

/** The new column beside the old one, until it takes its name. */
export const besideName = ({ attnum }: Pick<Column, "attnum">): string => `pgdba_wide_${attnum}`;
export const besideIndex = ({ oid }: Index): string => `pgdba_wide_${oid}`;
export const sameCheck = ({ attnum }: Column): string => `pgdba_wide_same_${attnum}`;
export const setCheck = ({ attnum }: Column): string => `pgdba_wide_set_${attnum}`;
/** Triggers fire in the order of their names, and this one must see what the others have made of the row. */
const triggerName = ({ attnum }: Placed): string => `zzzz_pgdba_wide_${attnum}`;
const functionName = ({ schema, relid, attnum }: Placed): string =>
  quoteName(schema, `pgdba_wide_${relid}_${attnum}`);

/**
 * Adds the column, a trigger that writes it whenever the old one is written, whoever writes (ALWAYS), and checks that nobody can get
 * around. The checks hold for new rows at once and are validated when the old ones are filled.
 */
export function addStatements({ column, statistics, options }: Detail): string[] {
  const table = tableName(column);
  const beside = besideName(column);
  const old = quoteIdent(column.name);
  const alter = `ALTER TABLE ${table}`;
  return [
    `${alter} ADD COLUMN ${beside} bigint`,
    `CREATE OR REPLACE FUNCTION ${functionName(column)}() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS ` +
      `$pgdba$BEGIN NEW.${beside} := NEW.${old}; RETURN NEW; END$pgdba$`,
    `CREATE TRIGGER ${triggerName(column)} BEFORE INSERT OR UPDATE ON ${table} FOR EACH ROW EXECUTE FUNCTION ${functionName(column)}()`,
    `${alter} ENABLE ALWAYS TRIGGER ${triggerName(column)}`,
    `${alter} ADD CONSTRAINT ${sameCheck(column)} CHECK (${beside} IS NOT DISTINCT FROM ${old}) NOT VALID`,
    ...(column.not_null
      ? [`${alter} ADD CONSTRAINT ${setCheck(column)} CHECK (${beside} IS NOT NULL) NOT VALID`]
      : []),
    ...(statistics === null
      ? []
      : [`${alter} ALTER COLUMN ${beside} SET STATISTICS ${statistics}`]),
    ...(options === null ? [] : [`${alter} ALTER COLUMN ${beside} SET (${options})`]),
  ];
}

export function validateStatements({ column, proven, not_null_proven }: Detail): string[] {
  const alter = `ALTER TABLE ${tableName(column)} VALIDATE CONSTRAINT`;
  return [
    ...(proven ? [] : [`${alter} ${sameCheck(column)}`]),
    ...(not_null_proven ? [] : [`${alter} ${setCheck(column)}`]),
  ];
}

/** The trigger and what belongs to it; the column, its checks and its indexes stay. */
export function releaseStatements(column: Placed): string[] {
  return [
    `DROP TRIGGER IF EXISTS ${triggerName(column)} ON ${tableName(column)}`,
    `DROP FUNCTION IF EXISTS ${functionName(column)}()`,
  ];
}

/** Takes all of it away, with the indexes and checks. */
export function removeStatements(column: Placed): string[] {
  return [
    ...releaseStatements(column),
    `ALTER TABLE ${tableName(column)} DROP COLUMN IF EXISTS ${besideName(column)}`,
  ];
}

/** @param wide numbers of the table's columns that have one beside them */
export function indexStatement(index: Index, wide: ReadonlySet<number>): string {
  const part = ({ attnum, text, rest, order }: Index["keys"][number]): string =>
    wide.has(attnum) ? `${besideName({ attnum })}${order}` : `${text}${rest}${order}`;
  const keys = index.keys.filter(({ included }) => !included).map(part);
  const included = index.keys.filter((key) => key.included).map(part);
  return [
    `CREATE ${index.unique ? "UNIQUE " : ""}INDEX CONCURRENTLY ${besideIndex(index)} ON ${index.table}`,
    `USING ${quoteIdent(index.method)} (${keys.join(", ")})`,
    ...(included.length > 0 ? [`INCLUDE (${included.join(", ")})`] : []),
    ...(index.nulls_not_distinct ? ["NULLS NOT DISTINCT"] : []),
    ...(index.options === null ? [] : [`WITH (${index.options})`]),
    ...(index.tablespace === null ? [] : [`TABLESPACE ${quoteIdent(index.tablespace)}`]),
    ...(index.predicate === null ? [] : [`WHERE ${index.predicate}`]),
  ].join(" ");
}
