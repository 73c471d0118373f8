import { PgdbaError } from "../../../engine/errors.ts";
import { parseLsn } from "../../../engine/shared/units.ts";
import type { StepContext } from "../../../engine/types.ts";
import { type Missing, missingOf, type Position } from "../../../providers/backup/missing.ts";
import { type Slot, slotOf } from "../../../providers/backup/receive/slot.ts";
import { historyFile, segmentFile } from "../../../providers/backup/segments.ts";
import { parseHistory } from "../../../providers/backup/timelines.ts";
import { sqlstateOf } from "../../../providers/postgres/errors.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import { catalogueOf, walAge } from "../catalogue/read.ts";
import { onPrimary } from "./members.ts";

const POSITION = `SELECT pg_current_wal_lsn()::text AS lsn, pg_walfile_name(pg_current_wal_lsn()) AS file,
  (SELECT setting::bigint::int FROM pg_settings WHERE name = 'wal_segment_size') AS segment_bytes`;
const READY =
  "SELECT left(name, 24) AS file FROM pg_ls_archive_statusdir() WHERE name ~ '^[0-9A-F]{24}[.]ready$'";
const HISTORY = "SELECT pg_read_file('pg_wal/' || $1, 0, 1000000, true) AS text";
const ARCHIVER = `SELECT failed_count::int AS failed, last_failed_wal, last_failed_time, last_archived_wal, last_archived_time,
  coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS failing,
  round(extract(epoch FROM now() - last_archived_time))::int AS age_seconds FROM pg_stat_archiver`;

/** What the primary's archiver says of itself. */
export interface ArchiverState {
  failing: boolean;
  failed: number;
  last_failed_wal: string | null;
  last_failed_at: string | null;
  last_archived_wal: string | null;
  last_archived_at: string | null;
  age_seconds: number | null;
}

export interface ReceiverState {
  slot: string;
  active: boolean;
  /** WAL that the server keeps for it. */
  behind_bytes: number | null;
}

export interface ArchiveState {
  where: string;
  missing: Missing;
  /** Null when no server takes writes now, or the role may not see it: the end of WAL is not known then. */
  archiver: ArchiverState | null;
  /** Of a cluster whose WAL is streamed. */
  receiver: ReceiverState | null;
  /** Since the newest segment of any timeline was archived. */
  walAgeSeconds: number | null;
}

/** Reads the server first: a segment that arrives meanwhile is there, and none is missed. */
export async function archiveState(ctx: StepContext): Promise<ArchiveState> {
  const { repository, key, slot } = await ctx.use("repository");
  const asked = await askPrimary(ctx, slot);
  const catalogue = await catalogueOf(ctx, { repository, key }, asked?.position.segmentBytes);
  return {
    where: repository.where,
    missing: missingOf(catalogue, asked?.position ?? null),
    archiver: asked?.archiver ?? null,
    receiver: asked?.receiver ?? null,
    walAgeSeconds: walAge(catalogue, ctx.clock.now()),
  };
}

/** Null also for a role that may not see it. */
async function askPrimary(
  ctx: StepContext,
  slot: string | undefined,
): Promise<{ position: Position; archiver: ArchiverState; receiver: ReceiverState | null } | null> {
  const { capabilities } = await ctx.target.facts();
  if (!capabilities.includes("member") && !capabilities.includes("postgres")) return null;
  try {
    return await onPrimary(ctx, async (session) => {
      const position = await positionOf(session, ctx.signal);
      const archiver = await archiverOf(session, ctx.signal);
      if (slot === undefined) return { position, archiver, receiver: null };
      const found = await slotOf(session, slot);
      const receiver = {
        slot,
        active: found?.active === true,
        behind_bytes: found?.restart == null ? null : Number(position.lsn - found.restart),
      };
      // The server's own archiver, if it has one, brings it to another place.
      return { position: { ...position, ready: streamed(position, found) }, archiver, receiver };
    });
  } catch (error) {
    ctx.signal.throwIfAborted();
    if (error instanceof PgdbaError && error.code === "connection_failed") return null;
    if (sqlstateOf(error) === "42501") return null;
    throw error;
  }
}

/** The segments from where the slot stands: the server keeps them until they are in the repository. */
function streamed({ timeline, lsn, segmentBytes }: Position, slot: Slot | null): Set<string> {
  const files = new Set<string>();
  if (slot?.restart == null) return files;
  const size = BigInt(segmentBytes);
  for (let number = slot.restart / size; number <= lsn / size; number += 1n)
    files.add(segmentFile({ timeline, number }, segmentBytes));
  return files;
}

async function positionOf(session: PgSession, signal: AbortSignal): Promise<Position> {
  const now = (await session.ask(POSITION, [], { signal })).rows[0]!;
  const timeline = Number.parseInt(String(now["file"]).slice(0, 8), 16);
  const ready = await session.ask(READY, [], { signal });
  const text =
    timeline === 1
      ? null
      : (await session.ask(HISTORY, [historyFile(timeline)], { signal })).rows[0]?.["text"];
  return {
    timeline,
    lsn: parseLsn(String(now["lsn"])),
    segmentBytes: Number(now["segment_bytes"]),
    history: text == null ? null : parseHistory(timeline, String(text)),
    ready: new Set(ready.rows.map((row) => String(row["file"]))),
  };
}

async function archiverOf(session: PgSession, signal: AbortSignal): Promise<ArchiverState> {
  const row = (await session.ask(ARCHIVER, [], { signal })).rows[0]!;
  const text = (name: string) => (row[name] ?? null) as string | null;
  const time = (name: string) =>
    row[name] == null ? null : new Date(row[name] as string | Date).toISOString();
  return {
    failing: row["failing"] === true,
    failed: Number(row["failed"]),
    last_failed_wal: text("last_failed_wal"),
    last_failed_at: time("last_failed_time"),
    last_archived_wal: text("last_archived_wal"),
    last_archived_at: time("last_archived_time"),
    age_seconds: row["age_seconds"] == null ? null : Number(row["age_seconds"]),
  };
}
