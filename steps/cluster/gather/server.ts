import { type ErrorCode, PgdbaError, toPgdbaError } from "../../../engine/errors.ts";
import { identityOf } from "../../../providers/postgres/identity.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";

/** What one server says of itself now. Positions are text; what its role may not read is null. */
export interface ServerNow {
  identity: string | null;
  version: string;
  standby: boolean;
  /** Of a primary: the end of its WAL. Of a standby: what it has received, and what it has replayed. */
  lsn: string | null;
  receive_lsn: string | null;
  replay_lsn: string | null;
  timeline: number | null;
  replay_paused: boolean;
  receiver: string | null;
  sender_host: string | null;
  sender_port: number | null;
  streams: StreamNow[];
  slots: SlotNow[];
  pending_restart: string[];
  archive: ArchiveNow;
  tls: boolean;
  connections: number;
  max_connections: number;
  started_at: string;
}

export interface StreamNow {
  name: string;
  state: string;
  sync_state: string;
  replay_lag_ms: number | null;
}

export interface SlotNow {
  name: string;
  type: string;
  active: boolean;
  wal_status: string | null;
  retained_bytes: number | null;
  [key: string]: string | number | boolean | null;
}

export interface ArchiveNow {
  mode: string;
  command: string | null;
  library: string | null;
  archived: number | null;
  failed: number | null;
  last_archived_at: string | null;
  last_failed_at: string | null;
}

/** In one round trip. Functions that a role may not call are asked for elsewhere. */
const NOW = `
WITH it AS MATERIALIZED (SELECT pg_is_in_recovery() AS standby),
  here AS MATERIALIZED (
    SELECT standby, CASE WHEN standby THEN NULL ELSE pg_current_wal_lsn() END AS lsn,
      CASE WHEN standby THEN pg_last_wal_receive_lsn() END AS receive_lsn,
      CASE WHEN standby THEN pg_last_wal_replay_lsn() END AS replay_lsn,
      CASE WHEN standby THEN pg_is_wal_replay_paused() ELSE false END AS replay_paused
    FROM it)
SELECT standby, lsn::text AS lsn, receive_lsn::text AS receive_lsn, replay_lsn::text AS replay_lsn, replay_paused,
  CASE WHEN standby THEN (SELECT received_tli FROM pg_stat_wal_receiver)
    ELSE ('x' || left(pg_walfile_name(lsn), 8))::bit(32)::int END AS timeline,
  (SELECT status FROM pg_stat_wal_receiver) AS receiver,
  (SELECT sender_host FROM pg_stat_wal_receiver) AS sender_host,
  (SELECT sender_port FROM pg_stat_wal_receiver) AS sender_port,
  (SELECT coalesce(json_agg(json_build_object('name', application_name, 'state', coalesce(state, 'unknown'), 'sync_state', coalesce(sync_state, 'unknown'),
      'replay_lag_ms', round(extract(epoch FROM replay_lag) * 1000)) ORDER BY application_name), '[]')
    FROM pg_stat_replication) AS streams,
  (SELECT coalesce(json_agg(json_build_object('name', slot_name, 'type', slot_type, 'active', active, 'wal_status', wal_status,
      'retained_bytes', pg_wal_lsn_diff(coalesce(lsn, replay_lsn), restart_lsn)) ORDER BY slot_name), '[]')
    FROM pg_replication_slots) AS slots,
  (SELECT coalesce(json_agg(name ORDER BY name), '[]') FROM pg_settings WHERE pending_restart) AS pending_restart,
  (SELECT json_build_object('mode', current_setting('archive_mode'),
      'command', (SELECT setting FROM pg_settings WHERE name = 'archive_command'),
      'library', (SELECT setting FROM pg_settings WHERE name = 'archive_library'),
      'archived', archived_count, 'failed', failed_count,
      'last_archived_at', last_archived_time, 'last_failed_at', last_failed_time)
    FROM pg_stat_archiver) AS archive,
  current_setting('ssl') = 'on' AS tls,
  (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
  current_setting('max_connections')::int AS max_connections,
  pg_postmaster_start_time() AS started_at
FROM here`;

/** What a session tells of its server. @throws PgdbaError query_failed | connection_failed */
export async function serverNow(session: PgSession): Promise<ServerNow> {
  const { rows } = await session.ask(NOW);
  const [row] = rows;
  if (row === undefined)
    throw new PgdbaError("internal", "The server described itself with no row");
  return {
    ...(row as unknown as ServerNow),
    identity: await identityOf(session),
    version: session.info.version,
  };
}

/** The answer of one place, or why there is none. */
export type Answer<T> =
  | { value: T; why: null; code: null }
  | { value: null; why: string; code: ErrorCode };

/** The value, or why it can't be had within the time. @throws PgdbaError missing_secret: nobody was asked, so that it says nothing of the cluster */
export async function answerOf<T>(
  work: Promise<T>,
  limitMs: number,
  signal?: AbortSignal,
): Promise<Answer<T>> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(
      new PgdbaError("timeout", `no answer within ${limitMs / 1000} s`, {
        hint: "Look at it there.",
      }),
    );
  }, limitMs);
  try {
    return { value: await Promise.race([work, late.promise]), why: null, code: null };
  } catch (thrown) {
    if (signal?.aborted) throw signal.reason;
    const error = toPgdbaError(thrown);
    if (error.code === "missing_secret") throw error;
    return { value: null, why: error.message, code: error.code };
  } finally {
    clearTimeout(timer);
  }
}
