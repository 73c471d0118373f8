export const ORDERS = ["total", "mean", "io", "temp"] as const;
export type Order = (typeof ORDERS)[number];

const ORDER_BY: Record<Order, string> = {
  total: "total_ms",
  mean: "mean_ms",
  io: "coalesce(io_ms, 0) DESC, io_bytes",
  temp: "temp_bytes",
};

/**
 * Names of pg_stat_statements' columns by the extension's version (1.10 is 110), which may be older than its server: 1.8 (13) told
 * planning from execution and counted WAL, 1.9 (14) brought pg_stat_statements_info, 1.10 (15) the time of temporary files, 1.11 (17)
 * told shared from local blocks. Source: the contrib module's own SQL files.
 */
function columns(version: number) {
  const temp = version >= 110 ? " + temp_blk_read_time + temp_blk_write_time" : "";
  return {
    total: version >= 108 ? "total_exec_time" : "total_time",
    max: version >= 108 ? "max_exec_time" : "max_time",
    wal: version >= 108 ? "wal_bytes" : "NULL::numeric",
    io:
      version >= 111
        ? `shared_blk_read_time + shared_blk_write_time + local_blk_read_time + local_blk_write_time${temp}`
        : `blk_read_time + blk_write_time${temp}`,
  };
}

/**
 * The most expensive statements: $1 the least mean time in ms, $2 how many. Those of others that the role may not see have no
 * queryid; they count in the shares only. Without the texts, one of which may not be valid here. Made of constants.
 */
export function topSql(version: number, order: Order): string {
  const { total, max, wal, io } = columns(version);
  return `WITH settings AS (SELECT current_setting('block_size')::int8 AS block, current_setting('track_io_timing')::bool AS timed),
  grouped AS (
    SELECT queryid, dbid, sum(calls) AS calls, sum(${total}) AS total, max(${max}) AS max, sum(rows) AS rows,
      sum(shared_blks_hit) AS hit, sum(shared_blks_read) AS read, sum(${io}) AS io, sum(${wal}) AS wal,
      sum(shared_blks_read + local_blks_read + temp_blks_read + temp_blks_written) AS blocks, sum(temp_blks_written) AS temp
    FROM :"schema".pg_stat_statements(false) GROUP BY queryid, dbid),
  figures AS (
    SELECT dbid || '/' || queryid AS id, queryid::text AS queryid, d.datname AS database, calls::int8 AS calls, round(total::numeric, 3) AS total_ms,
      round((total / greatest(calls, 1))::numeric, 3) AS mean_ms, round(max::numeric, 3) AS max_ms, rows::int8 AS rows,
      CASE WHEN hit + read > 0 THEN round(100 * hit / (hit + read), 2) END AS hit_percent,
      CASE WHEN timed OR io > 0 THEN round(io::numeric, 3) END AS io_ms, (blocks * block)::int8 AS io_bytes, (temp * block)::int8 AS temp_bytes,
      wal::int8 AS wal_bytes
    FROM grouped CROSS JOIN settings LEFT JOIN pg_database d ON d.oid = dbid)
SELECT * FROM figures WHERE queryid IS NOT NULL AND mean_ms >= $1 ORDER BY ${ORDER_BY[order]} DESC, total_ms DESC, queryid LIMIT $2`;
}

function info(version: number): string {
  return version >= 109
    ? `(SELECT dealloc, stats_reset FROM :"schema".pg_stat_statements_info)`
    : "(SELECT NULL::int8, NULL::timestamptz)";
}

/** Since when the figures count, how often statements were dropped; of all statements the execution time and how many are hidden. */
export function infoSql(version: number): string {
  return `SELECT dealloc, stats_reset, coalesce(round(sum(${columns(version).total})::numeric, 3), 0) AS all_ms, count(*) FILTER (WHERE queryid IS NULL AND calls IS NOT NULL) AS hidden
FROM ${info(version)} AS info (dealloc, stats_reset) LEFT JOIN :"schema".pg_stat_statements(false) ON true GROUP BY dealloc, stats_reset`;
}

/**
 * The counters of each entry (at most $1, the most time first) under a key of database, role and statement. Without the texts, which the
 * server would read from a file.
 */
export function countersSql(version: number): string {
  const { total, wal, io } = columns(version);
  return `SELECT concat_ws('/', dbid, userid, queryid${version >= 109 ? ", toplevel" : ""}) AS key, calls::int8 AS calls, round(${total}::numeric, 3) AS total_ms,
  rows::int8 AS rows, shared_blks_hit::int8 AS hit, shared_blks_read::int8 AS read, round((${io})::numeric, 3) AS io_ms,
  ((shared_blks_read + local_blks_read + temp_blks_read + temp_blks_written) * block)::int8 AS io_bytes, (temp_blks_written * block)::int8 AS temp_bytes,
  coalesce(${wal}, 0)::int8 AS wal_bytes, ${version >= 111 ? "stats_since" : "NULL::timestamptz"} AS since
FROM :"schema".pg_stat_statements(false), (SELECT current_setting('block_size')::int8 AS block) AS size
WHERE queryid IS NOT NULL ORDER BY ${total} DESC LIMIT $1`;
}

/** Adds up the counters of all entries, and of those that this role may not see. */
export function originSql(version: number): string {
  return `SELECT to_char(clock_timestamp() AT TIME ZONE 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS taken_at,
  CASE WHEN inet_server_addr() IS NULL OR inet_server_addr() <<= '127.0.0.0/8' OR inet_server_addr() = '::1' THEN 'local'
    ELSE host(inet_server_addr()) END || ':' || current_setting('port') AS node,
  (SELECT oid::int8 FROM pg_roles WHERE rolname = current_user) AS role, current_setting('track_io_timing')::bool AS timed, dealloc, stats_reset,
  (SELECT count(*) FROM :"schema".pg_stat_statements(false) WHERE queryid IS NULL) AS hidden,
  (SELECT coalesce(round(sum(${columns(version).total})::numeric, 3), 0) FROM :"schema".pg_stat_statements(false) WHERE queryid IS NULL) AS hidden_ms
FROM ${info(version)} AS info (dealloc, stats_reset)`;
}
