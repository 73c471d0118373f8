import type { PgSession, QueryResult } from "../session.ts";
import { assertReads } from "./acting.ts";
import { readReading } from "./reading.ts";

export interface ReadOptions {
  values?: readonly unknown[] | undefined;
  timeoutMs?: number | undefined;
  maxRows?: number | undefined;
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
  { values = [], timeoutMs, maxRows, signal }: ReadOptions = {},
): Promise<QueryResult> {
  const reading = await readReading(sql);
  return pg.transaction({ readOnly: true, jit: false, timeoutMs, signal }, async (run) => {
    // Each time: what a name stands for may have been replaced since, by this very run too.
    await assertReads(run, reading);
    return run(sql, values, { maxRows });
  });
}
