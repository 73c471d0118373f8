import type { PgSession, QueryResult } from "../session.ts";
import { assertReads } from "./acting.ts";
import { readReading } from "./reading.ts";

export interface ReadOptions {
  values?: readonly unknown[] | undefined;
  timeoutMs?: number | undefined;
  maxRows?: number | undefined;
  /** False where an index may be damaged: tables are read from end to end. */
  indexes?: false | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Runs one statement that only reads, in a READ ONLY transaction that is rolled back. It is not compiled (JIT): the
 * costs that catalogues' functions are given would have it take seconds for a question of milliseconds.
 * @throws PgdbaError step_refused when it may do more, and what the server says
 */
export async function readOnly(
  pg: PgSession,
  sql: string,
  { values = [], timeoutMs, maxRows, indexes, signal }: ReadOptions = {},
): Promise<QueryResult> {
  const reading = await readReading(sql);
  const manner = { readOnly: true, jit: false, indexes, timeoutMs, signal } as const;
  return pg.transaction(manner, async (run) => {
    // Each time: what a name stands for may have been replaced since, by this very run too.
    await assertReads(run, reading);
    return run(sql, values, { maxRows });
  });
}
