import type { JsonObject, StepContext } from "../../../engine/types.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import type { Change } from "./interval.ts";
import { statementsExtension } from "./recorded.ts";
import { withTexts } from "./texts.ts";
import type { Order } from "./top-sql.ts";

function meanOf({ total_ms, calls }: Change): number {
  return total_ms / Math.max(1, calls);
}

/** The figures by which a statement is expensive; later ones decide between equals. */
function weights(change: Change, order: Order): number[] {
  const { total_ms, io_ms, io_bytes, temp_bytes } = change;
  const first = { total: [], mean: [meanOf(change)], io: [io_ms, io_bytes], temp: [temp_bytes] };
  return [...first[order], total_ms];
}

/** The most expensive statements of the interval, whose calls took `least` ms or more on average. */
export function rank(
  changes: readonly Change[],
  { order, least, limit }: { order: Order; least: number; limit: number },
): Change[] {
  return changes
    .filter((one) => meanOf(one) >= least)
    .map((one) => ({ one, by: weights(one, order) }))
    .toSorted((a, b) => {
      const at = a.by.findIndex((value, n) => value !== b.by[n]);
      return at === -1 ? (a.one.id < b.one.id ? -1 : 1) : (b.by[at] ?? 0) - (a.by[at] ?? 0);
    })
    .slice(0, limit)
    .map(({ one }) => one);
}

/** With texts and what follows from the figures; our own are left out. `total_ms` is that of all statements. */
export async function rowsOf(
  ctx: StepContext,
  pg: PgSession,
  top: readonly Change[],
  { total_ms: all_ms, timed, limit }: { total_ms: number; timed: boolean; limit: number },
): Promise<{ statements: JsonObject[]; total_ms: number }> {
  const { schema } = await statementsExtension(pg);
  const { listed, own_ms } = await withTexts(ctx, { pg, schema, statements: top, limit });
  const total_ms = Math.round(1000 * Math.max(0, all_ms - own_ms)) / 1000;
  const statements = listed.map((change) => {
    const { id, hit, read, io_ms, calls, rows, io_bytes, temp_bytes, wal_bytes, basis } = change;
    return {
      queryid: id.split("/")[1] ?? "",
      query: change.query,
      database: change.database,
      calls,
      total_ms: change.total_ms,
      mean_ms: Math.round(1000 * meanOf(change)) / 1000,
      rows,
      hit_percent: hit + read > 0 ? hundredths(hit / (hit + read)) : null,
      io_ms: timed || io_ms > 0 ? io_ms : null,
      io_bytes,
      temp_bytes,
      wal_bytes,
      share_percent: shareOf(change, total_ms),
      basis,
    };
  });
  return { statements, total_ms };
}

/** The share in the execution time of all statements but our own. */
export function shareOf(one: { total_ms: number }, total_ms: number): number {
  return total_ms > 0 ? hundredths(one.total_ms / total_ms) : 0;
}

function hundredths(share: number): number {
  return Math.round(share * 10_000) / 100;
}
