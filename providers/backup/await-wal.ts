import { PgdbaError } from "../../engine/errors.ts";
import { sleep } from "../../engine/shared/sleep.ts";
import { sqlstateOf } from "../postgres/errors.ts";
import type { PgSession } from "../postgres/session.ts";
import type { Repository } from "../repository/contract.ts";
import { type ClusterKey, walName, walPrefix } from "../repository/layout.ts";
import { timelineText } from "./segments.ts";
import { slotOf } from "./receive/slot.ts";
import type { Told } from "./work.ts";

/** Asked sooner at first: most segments come within a moment. */
const FIRST_POLL_MS = 50;
const POLL_MS = 500;
/** How often the archiver is asked, and how long what it says it has archived may be under way. */
const LOOK_MS = 2_000;
const PASSED_MS = 8_000;

interface World {
  repository: Repository;
  primary: () => Promise<PgSession>;
  tell: (told: Told) => void;
  signal: AbortSignal;
}

interface Wanted {
  key: ClusterKey;
  /** The position that the backup is consistent from. */
  end: bigint;
  segmentBytes: number;
  segments: readonly string[];
  /** WAL comes by this slot, and not by the server's archiver. */
  slot: string | null;
  timeoutMs: number;
}

/** Before hours are spent: no WAL comes where nothing is archived, and none of this timeline has ever come. */
export async function refuseWithoutArchive(
  world: Pick<World, "repository" | "primary" | "signal">,
  key: ClusterKey,
  { timeline, slot }: { timeline: number; slot: string | null },
): Promise<void> {
  const pg = await world.primary();
  if (slot !== null) {
    if ((await slotOf(pg, slot))?.active === true) return;
    throw new PgdbaError(
      "step_refused",
      `Nobody streams WAL by the slot ${slot}; a base backup can't be restored without`,
      {
        hint: "`pgdba backup receive` does it, for as long as it runs: have it started again when it ends.",
        nothingDone: true,
      },
    );
  }
  const { rows } = await pg.ask("SELECT current_setting('archive_mode') AS mode", [], {
    signal: world.signal,
  });
  if (rows[0]?.["mode"] !== "off") return;
  const prefix = walPrefix(key, timelineText(timeline));
  for await (const _ of world.repository.list(prefix, { signal: world.signal })) return;
  throw new PgdbaError(
    "step_refused",
    `The server archives no WAL (archive_mode is off), and ${world.repository.where} has none of it; a base backup can't be restored without`,
    {
      hint: "Run `pgdba backup setup` first; `--type logical` needs no archive.",
      nothingDone: true,
    },
  );
}

/**
 * Waits until all segments are in the repository. The last one is ended on the primary: a standby can't, and a primary's own backup has
 * done it already.
 * @throws PgdbaError timeout, with what the archiver says
 */
export async function awaitWal(world: World, wanted: Wanted): Promise<void> {
  const { repository, tell, signal } = world;
  await endSegment(world, wanted);
  const missing = [...wanted.segments];
  const deadline = performance.now() + wanted.timeoutMs;
  let look = performance.now();
  const passed = { file: "", since: 0 };
  for (let pause = FIRST_POLL_MS; ; pause = Math.min(2 * pause, POLL_MS)) {
    while (missing.length > 0) {
      const found = await repository.stat(walName(wanted.key, missing[0]!), { signal });
      if (found === null) break;
      missing.shift();
    }
    if (missing.length === 0) return;
    const now = performance.now();
    if (now >= deadline) throw await late(world, wanted, missing);
    if (now >= look) {
      look = now + LOOK_MS;
      // What the archiver has been through does not come any more, however long one waits.
      const [file = ""] = missing;
      if (wanted.slot !== null || !(await isPassed(world, file))) passed.file = "";
      else if (passed.file !== file) Object.assign(passed, { file, since: now });
      else if (now - passed.since >= PASSED_MS) throw await late(world, wanted, missing);
    }
    tell({ text: `waiting for the archive to bring ${missing[0]!}` });
    await sleep(pause, signal);
  }
}

async function endSegment(world: World, { end, segmentBytes }: Wanted): Promise<void> {
  const pg = await world.primary();
  const { rows } = await pg.ask(
    "SELECT CASE WHEN NOT pg_is_in_recovery() THEN (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::text END AS at",
    [],
    { signal: world.signal },
  );
  // A standby that is all we know of the cluster: its primary ends the segment in its own time.
  if (rows[0]?.["at"] === null) return;
  const at = BigInt(String(rows[0]?.["at"]));
  if (at / BigInt(segmentBytes) > (end - 1n) / BigInt(segmentBytes)) return;
  try {
    await pg.query("SELECT pg_catalog.pg_switch_wal()", [], { signal: world.signal });
  } catch (error) {
    if (sqlstateOf(error) !== "42501") throw error;
    throw new PgdbaError(
      "insufficient_privilege",
      `${pg.info.user} may not end a WAL segment on the primary, so that the end of the backup would not be archived`,
      {
        hint: `As a superuser: GRANT EXECUTE ON FUNCTION pg_catalog.pg_switch_wal() TO "${pg.info.user}";`,
        cause: error,
      },
    );
  }
}

async function isPassed({ primary, signal }: World, file: string): Promise<boolean> {
  const { rows } = await (await primary()).ask(ARCHIVER, [], { signal });
  const last = rows[0]?.["last_archived_wal"];
  return (
    typeof last === "string" && last.slice(0, 8) === file.slice(0, 8) && last.slice(0, 24) >= file
  );
}

const ARCHIVER = `SELECT current_setting('archive_mode') AS mode, last_archived_wal, last_failed_wal,
  last_failed_time IS NOT NULL AND last_failed_time > coalesce(last_archived_time, '-infinity') AS failing FROM pg_stat_archiver`;

async function late(world: World, wanted: Wanted, missing: string[]): Promise<PgdbaError> {
  const [first] = missing;
  const rows = await world
    .primary()
    .then((pg) => pg.ask(ARCHIVER, [], { signal: world.signal }))
    .then((answer) => answer.rows)
    .catch(() => []);
  const { mode, last_archived_wal, last_failed_wal, failing } = (rows[0] ?? {}) as Record<
    string,
    unknown
  >;
  const said =
    mode === undefined
      ? "and the primary does not answer"
      : wanted.slot !== null
        ? `which \`pgdba backup receive\` brings by the slot ${wanted.slot}`
        : mode === "off"
          ? "and archive_mode is off on the primary"
          : failing === true
            ? `and the archiver of the primary fails at ${String(last_failed_wal)}`
            : `and the archiver of the primary is at ${last_archived_wal === null ? "nothing so far" : String(last_archived_wal)}`;
  return new PgdbaError(
    "timeout",
    `${missing.length} of ${wanted.segments.length} WAL segments of the backup did not come into ${world.repository.where} in time: ${first} is missing, ${said}`,
    {
      hint:
        wanted.slot !== null
          ? "Look whether it runs, and what it says; or wait longer (--wal-timeout)."
          : failing === true || mode === "off"
            ? "Archiving is broken: the primary's log says why archive_command failed. Mend it, then take the backup again."
            : "The archive is slow, or writes elsewhere: compare archive_command with the repository, or wait longer (--wal-timeout).",
      retryable: true,
      data: { missing: missing.slice(0, 100), archiver: (rows[0] ?? null) as never },
    },
  );
}
