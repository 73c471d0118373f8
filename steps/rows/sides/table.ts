import { PgdbaError } from "../../../engine/errors.ts";
import { quoteName } from "../../../providers/planner/twin/names.ts";
import { quoted } from "../../../providers/postgres/guard/names.ts";
import { marked } from "../../../providers/postgres/own.ts";
import { relationName } from "../../../providers/postgres/relation-name.ts";
import type { Run } from "../../../providers/postgres/session.ts";
import TABLE from "./sql/table.sql" with { type: "text" };

export interface Column {
  name: string;
  /** Of a fixed width. */
  short: boolean;
  /** An integer, which every server sorts alike. */
  whole: boolean;
  /** As SQL, in its schema and without its modifiers, which a cast would apply by cutting. */
  type: string;
  generated: boolean;
  /** `a`: always, `d`: by default; empty for none. */
  identity: string;
}

export interface Trigger {
  name: string;
  function: string;
  insert: boolean;
  update: boolean;
}

export interface Table {
  schema: string;
  name: string;
  kind: string;
  /** Row security would hide rows. */
  hidden: boolean;
  /** By its statistics. */
  rows: number;
  columns: Column[];
  /** Unique and never null, the primary key first. */
  keys: string[][];
  triggers: Trigger[];
}

/** @throws PgdbaError invalid_param | unsupported | insufficient_privilege */
export async function tableOn(run: Run, text: string, side: string): Promise<Table> {
  const name = quoted(relationName(text, "table"));
  const [found] = (await run(marked(TABLE), [name])).rows as unknown as Table[];
  if (found === undefined)
    throw new PgdbaError("invalid_param", `There is no table ${text} ${side}`, {
      hint: "Write it as table or schema.table, in double quotes where it has capitals; --database and --other-database choose the databases.",
    });
  if (!["r", "p"].includes(found.kind))
    throw new PgdbaError("unsupported", `${text} is no table ${side}`, {
      hint: "Name a table or a partitioned table: the rows of others lie elsewhere.",
    });
  if (found.hidden)
    throw new PgdbaError("insufficient_privilege", `Row security hides rows of ${text} ${side}`, {
      hint: "Connect as a role that sees all rows: a superuser, or one with BYPASSRLS.",
    });
  return {
    ...found,
    columns: found.columns ?? [],
    keys: found.keys ?? [],
    triggers: found.triggers ?? [],
  };
}

export const nameOf = ({ schema, name }: Table): string => quoteName(schema, name);

/** Children of a table that is not partitioned are tables of their own. */
export const fromClause = (table: Table): string =>
  `${table.kind === "r" ? "ONLY " : ""}${nameOf(table)}`;

export interface Pair {
  here: Table;
  there: Table;
  key: string[];
  /** Of these, those whose values are integers on both sides. */
  whole: boolean[];
  /** Columns that both have, in the order that they have here. */
  columns: string[];
  onlyHere: string[];
  onlyThere: string[];
}

/** @throws PgdbaError unsupported without a key that both have */
export function pairOf(here: Table, there: Table): Pair {
  const names = (table: Table): string[] => table.columns.map(({ name }) => name);
  const sorted = (key: string[]): string => JSON.stringify(key.toSorted());
  const theirs = new Set(there.keys.map(sorted));
  const key = here.keys.find((one) => theirs.has(sorted(one)));
  if (key === undefined)
    throw new PgdbaError(
      "unsupported",
      `${here.schema}.${here.name} has no primary key on both sides, nor another unique key that is never null`,
      {
        hint: "Rows are told apart by a key. Make the same one on both sides: a unique index on columns that are NOT NULL.",
        data: { here: here.keys, there: there.keys },
      },
    );
  const whole = (table: Table, column: string): boolean =>
    table.columns.find(({ name }) => name === column)?.whole === true;
  const [own, other] = [names(here), names(there)];
  return {
    here,
    there,
    key,
    whole: key.map((column) => whole(here, column) && whole(there, column)),
    columns: own.filter((name) => other.includes(name)),
    onlyHere: own.filter((name) => !other.includes(name)),
    onlyThere: other.filter((name) => !own.includes(name)),
  };
}
