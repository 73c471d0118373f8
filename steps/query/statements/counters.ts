import type { PgSession } from "../../../providers/postgres/session.ts";
import { placeIdentifiers } from "../../sql/input.ts";
import { statementsExtension } from "./recorded.ts";
import { countersSql, originSql } from "./top-sql.ts";

/** The counters of an entry, in the order in which they are kept. Times in ms, `hit` and `read` in blocks. */
export const COUNTED = [
  "calls",
  "total_ms",
  "rows",
  "hit",
  "read",
  "io_ms",
  "io_bytes",
  "temp_bytes",
  "wal_bytes",
] as const;
export type Figures = Record<(typeof COUNTED)[number], number>;

/** The counters of pg_stat_statements at one time, as they lie in the state folder: no texts, which are the user's. */
export interface Counters {
  format: 1;
  /** By the server's clock, ISO in UTC, as are the others. */
  taken_at: string;
  /** The server that was counted: each member of a cluster counts for itself. */
  node: string;
  /** The OID of the role that looked. */
  role: number;
  /** True when `io_ms` was measured. */
  timed: boolean;
  /** The reset of all statements at once; null before 14, and so is `dealloc`. */
  stats_reset: string | null;
  /** The number of evictions of statements for want of room. */
  dealloc: number | null;
  /** Entries that the role may not see, and their time. */
  hidden: number;
  hidden_ms: number;
  /** False when there were more than are kept. */
  complete: boolean;
  /** By `database/role/queryid` (and, since 14, `/toplevel`): the figures of COUNTED. */
  entries: Record<string, number[]>;
}

/** Counters with what only the server now can tell. */
export interface Live {
  counters: Counters;
  /** When an entry began to count, ISO; 17 brought it. */
  since: Map<string, string>;
}

/** Entries of a snapshot, which with them has less than 2 MB; twice what pg_stat_statements keeps if it is not told otherwise. */
const MOST = 10_000;

/** @throws PgdbaError capability_missing | query_failed */
export async function readCounters(session: PgSession, signal: AbortSignal): Promise<Live> {
  const { schema, version } = await statementsExtension(session);
  const { rows } = await session.ask(
    placeIdentifiers(countersSql(version), { schema }),
    [MOST + 1],
    { signal },
  );
  // Afterwards, so that what began to count later than it was taken is certainly not in it.
  const origin = await session.ask(placeIdentifiers(originSql(version), { schema }), [], {
    signal,
  });
  const kept = rows.slice(0, MOST);
  return {
    counters: {
      format: 1,
      ...(origin.rows[0] as unknown as Omit<Counters, "format" | "complete" | "entries">),
      complete: rows.length <= MOST,
      entries: Object.fromEntries(
        kept.map((row) => [String(row["key"]), COUNTED.map((name) => Number(row[name]))]),
      ),
    },
    since: new Map(
      kept.flatMap(({ key, since }) => (since === null ? [] : [[String(key), String(since)]])),
    ),
  };
}
