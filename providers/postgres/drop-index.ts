import { quoteName } from "../planner/twin/names.ts";
import type { PgSession } from "./session.ts";

/** Drops an index while others write, where it is there. @throws PgdbaError timeout | query_failed | insufficient_privilege */
export async function dropIndex(
  pg: PgSession,
  schema: string,
  index: string,
  options: { lockTimeoutMs: number | undefined; signal?: AbortSignal },
): Promise<void> {
  const sql = `DROP INDEX CONCURRENTLY IF EXISTS ${quoteName(schema, index)}`;
  await pg.query(sql, [], { ...options, changes: true });
}
