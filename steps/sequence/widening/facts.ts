import COLUMN from "../sql/widening-column.sql" with { type: "text" };
import FOREIGN_KEYS from "../sql/widening-foreign-keys.sql" with { type: "text" };
import INDEXES from "../sql/widening-indexes.sql" with { type: "text" };
import { PgdbaError } from "../../../engine/errors.ts";
import { type Ask, type Column, columnName, tableName } from "./find.ts";

/** What has to go over to the new column, and how far that one is. */
export interface Detail {
  column: Column;
  statistics: number | null;
  /** As `"n_distinct" = '5'`. */
  options: string | null;
  comment: string | null;
  not_null_name: string | null;
  added: boolean;
  kept_in_step: boolean;
  proven: boolean;
  not_null_proven: boolean;
  owned: { schema: string; name: string; identity: boolean }[];
}

export interface Index {
  /** Of the table, quoted. */
  table: string;
  oid: number;
  schema: string;
  name: string;
  unique: boolean;
  method: string;
  keys: { attnum: number; text: string; included: boolean; rest: string; order: string }[];
  nulls_not_distinct: boolean;
  predicate: string | null;
  options: string | null;
  tablespace: string | null;
  clustered: boolean;
  replica_identity: boolean;
  comment: string | null;
  constraint_name: string | null;
  constraint_type: "p" | "u" | null;
  constraint_comment: string | null;
  /** Null where the new one is not there, false where it is not valid. */
  built: boolean | null;
}

export interface ForeignKey {
  schema: string;
  table: string;
  name: string;
  other_schema: string;
  other: string;
  validated: boolean;
  definition: string;
  comment: string | null;
}

export interface Facts {
  details: Detail[];
  indexes: Index[];
  foreignKeys: ForeignKey[];
}

/** @param columns those that are too narrow */
export async function factsOf(ask: Ask, columns: readonly Column[]): Promise<Facts> {
  const details: Detail[] = [];
  for (const column of columns) {
    const [row] = (await ask(COLUMN, [column.relid, column.attnum])).rows;
    if (row === undefined)
      throw new PgdbaError("step_refused", `${columnName(column)} is gone`, {
        hint: "Somebody has dropped it meanwhile; `pgdba sequence list` tells what there is.",
      });
    details.push({ ...(row as unknown as Detail), column });
  }
  const indexes: Index[] = [];
  for (const [relid, own] of Map.groupBy(columns, (column) => column.relid)) {
    const [first] = own;
    if (first === undefined) continue;
    const { rows } = await ask(INDEXES, [relid, own.map(({ attnum }) => attnum)]);
    for (const row of rows) indexes.push({ ...(row as unknown as Index), table: tableName(first) });
  }
  const { rows } = await ask(FOREIGN_KEYS, [
    columns.map(({ relid }) => relid),
    columns.map(({ attnum }) => attnum),
  ]);
  return { details, indexes, foreignKeys: rows as unknown as ForeignKey[] };
}
