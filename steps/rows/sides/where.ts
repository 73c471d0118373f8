import { PgdbaError } from "../../../engine/errors.ts";
import { assertReads } from "../../../providers/postgres/guard/acting.ts";
import { readReading, type Reading } from "../../../providers/postgres/guard/reading.ts";
import type { Run } from "../../../providers/postgres/session.ts";
import { refuseSecrets } from "../../query/secret.ts";
import { fromClause, type Table } from "./table.ts";

/** Within both it is one expression: what closes the one and opens another would have to close the other as well. */
const WITHIN = [
  (where: string): string => `SELECT (${where}\n)`,
  (where: string): string => `SELECT CASE WHEN (${where}\n) THEN 1 END`,
];

/** @throws PgdbaError step_refused when it is not one condition */
export async function assertCondition(where: string | null): Promise<void> {
  if (where === null) return;
  for (const within of WITHIN) refuseSecrets((await reading(within(where))).names);
}

/** The condition may call nothing that acts, on either server. @throws PgdbaError step_refused */
export async function guard(run: Run, table: Table, where: string | null): Promise<void> {
  if (where === null) return;
  await assertReads(run, await reading(`SELECT FROM ${fromClause(table)} WHERE (${where}\n)`));
}

async function reading(sql: string): Promise<Reading> {
  try {
    return await readReading(sql, true);
  } catch (cause) {
    if (!(cause instanceof PgdbaError) || cause.code !== "step_refused") throw cause;
    throw new PgdbaError("step_refused", `--where is not taken: ${cause.message}`, {
      cause,
      hint: "Give one condition on the columns of the table that only reads, such as id < 1000.",
      data: cause.data,
      nothingDone: true,
    });
  }
}
