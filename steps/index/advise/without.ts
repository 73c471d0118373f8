import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import type { Existing } from "../ddl/existing.ts";
import { openTwin, study } from "./open.ts";

/** A statement that would cost more without an index, by the planner's twin. */
export interface Dearer {
  query: string;
  calls: number;
  cost_before: number;
  cost_after: number;
}

export interface Effect {
  /** The cost of the statement that was given; null without one. */
  cost_before: number | null;
  cost_after: number | null;
  /** Statements of pg_stat_statements that would cost more, those that gain most from the index first; null when they are not known. */
  dearer: Dearer[] | null;
}

const STATEMENTS = 100;
const LISTED = 10;
/** Rounding in costs. */
const TOLERANCE = 1.001;

/**
 * Tells the effect of being without an index. Nothing is changed, and nothing is planned on the server. A warning names what is not known.
 */
export async function effectOf(
  ctx: StepContext,
  index: Existing,
  query: string | null,
): Promise<Effect> {
  try {
    const dearer = await costs(ctx, index, query);
    if (query === null) return { cost_before: null, cost_after: null, dearer };
    const [own] = dearer;
    return {
      cost_before: own?.cost_before ?? null,
      cost_after: own?.cost_after ?? null,
      dearer: null,
    };
  } catch (error) {
    if (!(error instanceof PgdbaError) || ctx.signal.aborted) throw error;
    ctx.warn(`What it costs without the index is not known: ${error.message}`);
    return { cost_before: null, cost_after: null, dearer: null };
  }
}

async function costs(ctx: StepContext, index: Existing, query: string | null): Promise<Dearer[]> {
  const [schema = "", name = ""] = [index.schema, index.table.slice(index.schema.length + 1)];
  const workload =
    query === null ? undefined : [{ sql: query, calls: 1, rows: null, queryid: null }];
  const { planner, parsed, refused, blocked } = await study(
    ctx,
    {
      workload,
      workloadFile: undefined,
      queryid: undefined,
      tables: query === null ? [{ schema, name }] : [],
      limit: STATEMENTS,
    },
    openTwin,
  );
  try {
    const without = [`${index.schema}.${index.name}`];
    const found: Dearer[] = [];
    for (const { sql, calls } of parsed) {
      const [before, after] = [await planner.explain(sql), await planner.explain(sql, { without })];
      found.push({
        query: sql.slice(0, 200),
        calls,
        cost_before: before["Total Cost"],
        cost_after: after["Total Cost"],
      });
    }
    // Statements that nobody can look at now may be those that need the index.
    const [first] = query === null ? blocked : refused;
    if ((query === null || found.length === 0) && first !== undefined)
      throw new PgdbaError("step_failed", first.reason);
    const saved = (one: Dearer): number => one.calls * (one.cost_after - one.cost_before);
    return query === null
      ? found
          .filter((one) => one.cost_after > one.cost_before * TOLERANCE)
          .toSorted((a, b) => saved(b) - saved(a))
          .slice(0, LISTED)
      : found;
  } finally {
    await planner.close();
  }
}

/** Foreign keys of the table whose checks only this index makes fast. */
const SERVED = `SELECT k.conname::text AS name, 'foreign key' AS type, k.confrelid::regclass::text AS referenced
  FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_index i ON i.indrelid = k.conrelid
  WHERE i.indexrelid = format('%I.%I', $1::text, $2::text)::regclass AND k.contype = 'f' AND i.indpred IS NULL AND i.indisvalid
    AND (i.indkey::int2[])[0:array_length(k.conkey, 1) - 1] @> k.conkey
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_index o WHERE o.indrelid = k.conrelid AND o.indexrelid <> i.indexrelid AND o.indisvalid
      AND o.indpred IS NULL AND (o.indkey::int2[])[0:array_length(k.conkey, 1) - 1] @> k.conkey)
  ORDER BY 1`;

export async function foreignKeysServed(
  pg: PgSession,
  { schema, name }: Existing,
): Promise<{ name: string; type: string; referenced: string }[]> {
  const { rows } = await pg.ask(SERVED, [schema, name]);
  return rows as unknown as { name: string; type: string; referenced: string }[];
}
