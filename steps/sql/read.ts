import type { PgSession, QueryResult } from "../../providers/postgres/session.ts";
import type { StepContext } from "../../engine/types.ts";
import { assertReads } from "./guard/acting.ts";
import { readReading } from "./guard/reading.ts";

/** Texts that were judged, so that a step which is repeated is judged once. */
const judged = new WeakMap<PgSession, Set<string>>();

interface Options {
  values?: readonly unknown[] | undefined;
  timeoutMs?: number | undefined;
  maxRows?: number | undefined;
}

/**
 * Runs one statement that only reads, in a READ ONLY transaction that is rolled back.
 * @throws PgdbaError step_refused when it may do more, and what the server says
 */
export async function readOnly(
  ctx: StepContext,
  pg: PgSession,
  sql: string,
  { values = [], timeoutMs, maxRows }: Options = {},
): Promise<QueryResult> {
  const reading = await readReading(sql);
  return pg.transaction({ readOnly: true, timeoutMs, signal: ctx.signal }, async (run) => {
    const known = judged.get(pg) ?? new Set();
    if (!known.has(sql)) await assertReads(run, reading);
    judged.set(pg, known.add(sql));
    return run(sql, values, { maxRows });
  });
}
