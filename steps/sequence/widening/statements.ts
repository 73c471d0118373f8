import { quoteIdent, quoteName } from "../../../providers/planner/twin/names.ts";
import { isNarrow, type Sequence, tableName, type Widening } from "./find.ts";

/** The statements that make all of it bigint at once, each table rewritten once, after all that needs a lock. Names are quoted. */
export function alterStatements({ columns, sequences }: Widening): string[] {
  const tables = Map.groupBy(columns.filter(isNarrow), tableName);
  return [
    ...sequenceStatements(sequences),
    ...[...tables].map(
      ([table, own]) =>
        `ALTER TABLE ${table} ${own.map(({ name }) => `ALTER COLUMN ${quoteIdent(name)} TYPE bigint`).join(", ")}`,
    ),
  ];
}

/** The old type's own bound goes with it; one that was asked for would stay, so that it is said. */
export function sequenceStatements(sequences: readonly Sequence[]): string[] {
  return sequences
    .filter(({ wide }) => !wide)
    .map(
      ({ schema, name, ascending }) =>
        `ALTER SEQUENCE ${quoteName(schema, name)} AS bigint ${ascending ? "NO MAXVALUE" : "NO MINVALUE"}`,
    );
}

/** Its partitions, and what inherits from it, are locked one by one as well. @param table its name, quoted */
export function lockStatement(table: string): string {
  return `LOCK TABLE ONLY ${table} IN ACCESS EXCLUSIVE MODE`;
}
