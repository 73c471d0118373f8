/** Brings a fetched backup to where it is wanted, looks at it there, and ends it: stopped as it is, or as a server with a timeline of its own. */
import { chown, copyFile, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import { parseLsn } from "../../../engine/shared/units.ts";
import { readControl } from "../../postgres/control-file.ts";
import { readControlState } from "../../postgres/control-state.ts";
import { lsnText } from "../../postgres/lsn.ts";
import type { PgSession } from "../../postgres/session.ts";
import { giveAccounts, type RestoredAccount } from "./accounts.ts";
import { assertStillRoom } from "../space.ts";
import { removeAhead } from "../wal/ahead.ts";
import type { Told } from "../work.ts";
import type { Stop } from "../when.ts";
import { type Check, type Look, lookAt } from "./look.ts";
import { ScratchServer, type ServerPlace } from "./scratch-server.ts";
import { heldSettings, recoverySettings } from "./settings.ts";

export interface RecoverOrder extends ServerPlace {
  version: number;
  timeline: number;
  /** Text, for it stands in JSON: an LSN, and whether its record is replayed, too. */
  stop: { lsn: string; inclusive: boolean } | null;
  recorded: Record<string, string>;
  pgdba: string[];
  settings: string;
  checks: Check[];
  amcheck: boolean;
  /** False where nobody wants to know how many rows there are. */
  count?: boolean;
  /** `stop`: it is left where it stopped, and goes on from there the next time. `promote`: it is brought to its end. */
  finish: "stop" | "promote";
  /** What is written after the recovery is marked, so that the server which goes on archives it. Nothing arrives before that. */
  archive: boolean;
  /** With `promote`: the roles that the server's cluster works with, given their passwords; those that are missing are made. */
  accounts?: RestoredAccount[];
  /** Of the data before: its history files, so that no timeline gets a number twice. */
  histories: string | null;
}

export interface Recovered {
  lsn: string;
  /** The newest commit that is there; null where none was replayed. */
  last_commit: string | null;
  /** What the server said when it stopped. */
  said: string;
  seconds: { replay: number; look: number };
  replayed_bytes: number;
  look: Look;
  /** The timeline that it is on now. */
  timeline: number;
  promoted: boolean;
}

export interface RecoverWorld {
  tell: (told: Told) => void;
  signal: AbortSignal;
}

const PAUSE_MS = 100;
/** The disk is looked at so often: replay fills it, and another server may live there. */
const DISK_MS = 1000;
/** So often in a row a server waits for WAL that the repository does not have, at the same place: then it is at the end. */
const END_LOOKS = 4;
/** A page's header lies between the end of one record and the begin of the next. */
const PAGE_HEADER = 40n;

/** @throws PgdbaError step_failed (recovery did not come so far) | command_failed | timeout */
export async function recover(order: RecoverOrder, world: RecoverWorld): Promise<Recovered> {
  try {
    return await brought(order, world);
  } finally {
    // Its socket, configuration and log; what of the log matters is told.
    await rm(order.folder, { recursive: true, force: true });
    await removeAhead(join(order.data, "pg_wal"));
  }
}

async function brought(order: RecoverOrder, world: RecoverWorld): Promise<Recovered> {
  const stop: Stop = order.stop && { ...order.stop, lsn: parseLsn(order.stop.lsn) };
  // An attempt that was cut off after the promotion has a timeline of its own, and nothing to recover any more.
  const isPromoted = order.finish === "promote" && (await timelineOf(order.data)) > order.timeline;
  if (!isPromoted) await mark(order, "standby.signal");
  await bringHistories(order);
  let raised = heldSettings(order.recorded, await heldBy(order.data));
  for (;;) {
    const server = new ScratchServer({
      ...order,
      settings: { ...raised, ...recoverySettings({ ...order, stop }) },
    });
    await server.start();
    try {
      return isPromoted
        ? await promotedBefore(order, world, server)
        : await recovered(order, world, { server, stop });
    } catch (error) {
      await server.stop();
      // The primary was given more connections after the backup was taken: WAL tells it, and PostgreSQL goes no further without.
      const more = heldSettings(order.recorded, await heldBy(order.data));
      const hasMore = Object.entries(more).some(([name, value]) => raised[name] !== value);
      if (world.signal.aborted || !hasMore) throw error;
      raised = more;
    } finally {
      await server.stop();
    }
  }
}

async function recovered(
  order: RecoverOrder,
  world: RecoverWorld,
  { server, stop }: { server: ScratchServer; stop: Stop },
): Promise<Recovered> {
  const begun = performance.now();
  const { at, first } = await reached(world, { data: order.data, server, stop });
  const replayed = performance.now();
  const session = await server.opened("postgres", world.signal);
  try {
    const said = (await server.log()).trim();
    const promotes = order.finish === "promote";
    const look = await lookAt({
      server,
      session,
      checks: order.checks,
      amcheck: order.amcheck,
      count: order.count !== false,
      signal: world.signal,
    });
    const looked = performance.now();
    if (promotes) await promote(world, { server, session });
    if (promotes) await giveAccounts(session, order.accounts ?? []);
    await session.close();
    await server.stop();
    if (promotes) await rm(join(order.data, "standby.signal"), { force: true });
    return {
      lsn: at.lsn,
      last_commit: at.commit,
      said,
      seconds: { replay: (replayed - begun) / 1000, look: (looked - replayed) / 1000 },
      replayed_bytes: Number(parseLsn(at.lsn) - first),
      look,
      timeline: await timelineOf(order.data),
      promoted: promotes,
    };
  } finally {
    await session.close();
  }
}

interface At {
  lsn: string;
  commit: string | null;
  paused: boolean;
  waits: boolean;
}

const asked = (paused: string) => `SELECT pg_last_wal_replay_lsn()::text AS lsn,
  to_char(pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS commit, ${paused} AS paused,
  EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'startup' AND wait_event = 'RecoveryRetrieveRetryInterval') AS waits`;

/** Waits until it stands where it was asked to, and takes connections. */
async function reached(
  { tell, signal }: RecoverWorld,
  { data, server, stop }: { data: string; server: ScratchServer; stop: Stop },
): Promise<{ at: At; first: bigint }> {
  let looked = performance.now();
  let session: PgSession | null = null;
  let first: bigint | null = null;
  let same = 0;
  let last = "";
  try {
    for (;;) {
      signal.throwIfAborted();
      if (server.ended !== null) throw await stopped(server);
      session ??= await server.open();
      const at: At | null = session && (await where(session).catch(() => null));
      if (session && at === null) {
        await session.close();
        session = null;
      }
      if (at) {
        const lsn = parseLsn(at.lsn);
        first ??= lsn;
        tell({ text: `replayed up to ${at.lsn}` });
        same = at.waits && at.lsn === last ? same + 1 : 0;
        last = at.lsn;
        if (at.paused) {
          if (stop !== null && isAt(stop, lsn)) return { at, first };
          throw new PgdbaError(
            "step_failed",
            `Recovery paused at ${at.lsn}, before ${stop === null ? "the end of WAL" : lsnText(stop.lsn)}`,
            { hint: await server.log() },
          );
        }
        if (same >= END_LOOKS) {
          if (stop === null) return { at, first };
          throw new PgdbaError(
            "step_failed",
            `The WAL that is there ends at ${at.lsn}, before ${lsnText(stop.lsn)}`,
            {
              hint: "`pgdba backup when` tells what can be restored, and what is missing.",
            },
          );
        }
      }
      if (performance.now() - looked > DISK_MS) {
        looked = performance.now();
        await assertStillRoom(data);
      }
      await Bun.sleep(PAUSE_MS);
    }
  } finally {
    await session?.close();
  }
}

const isAt = ({ lsn, inclusive }: NonNullable<Stop>, at: bigint) =>
  inclusive ? at > lsn : at + PAGE_HEADER >= lsn && at <= lsn + PAGE_HEADER;

async function where(session: PgSession): Promise<At> {
  const isOld = session.info.version_num < 140000;
  const paused = isOld ? "pg_is_wal_replay_paused()" : "pg_get_wal_replay_pause_state() = 'paused'";
  return (await session.ask(asked(paused))).rows[0] as unknown as At;
}

async function promote(
  { signal }: RecoverWorld,
  { server, session }: { server: ScratchServer; session: PgSession },
): Promise<void> {
  await session.query("SELECT pg_promote(false)", [], { changes: true });
  for (;;) {
    signal.throwIfAborted();
    if (server.ended !== null) throw await stopped(server);
    const { rows } = await session.ask("SELECT pg_is_in_recovery() AS still");
    if (rows[0]!["still"] === false) break;
    await Bun.sleep(PAUSE_MS);
  }
  await session.query("CHECKPOINT", [], { changes: true });
}

/** What is known of a server that an earlier attempt has brought to its end: it starts and stops once more. */
async function promotedBefore(
  order: RecoverOrder,
  world: RecoverWorld,
  server: ScratchServer,
): Promise<Recovered> {
  let session: PgSession | null = null;
  while (session === null) {
    world.signal.throwIfAborted();
    if (server.ended !== null) throw await stopped(server);
    session = await server.open();
    if (session === null) await Bun.sleep(PAUSE_MS);
  }
  try {
    await giveAccounts(session, order.accounts ?? []);
    const { rows } = await session.ask("SELECT pg_current_wal_lsn()::text AS lsn");
    return {
      lsn: String(rows[0]!["lsn"]),
      last_commit: null,
      said: await server.log(),
      seconds: { replay: 0, look: 0 },
      replayed_bytes: 0,
      look: { databases: [], checks: [], amcheck: null, seconds: 0 },
      timeline: await timelineOf(order.data),
      promoted: true,
    };
  } finally {
    await session.close();
  }
}

const timelineOf = async (data: string) =>
  readControlState(await readFile(join(data, "global/pg_control")))?.timeline ?? 0;

async function stopped(server: ScratchServer): Promise<PgdbaError> {
  return new PgdbaError(
    "command_failed",
    `The server on the restored data ended (${server.ended!.how})`,
    {
      hint: await server.log(),
    },
  );
}

async function mark({ data, owner }: RecoverOrder, name: string): Promise<void> {
  const path = join(data, name);
  await writeFile(path, "", { mode: 0o600 });
  if (owner) await chown(path, owner.uid, owner.gid);
}

async function bringHistories({ data, histories, owner }: RecoverOrder): Promise<void> {
  if (histories === null) return;
  for (const name of await readdir(join(histories, "pg_wal"))) {
    if (!/^[0-9A-F]{8}\.history$/.test(name)) continue;
    const to = join(data, "pg_wal", name);
    if (await Bun.file(to).exists()) continue;
    await copyFile(join(histories, "pg_wal", name), to);
    if (owner) await chown(to, owner.uid, owner.gid);
  }
}

const heldBy = async (data: string) => readControl(await readFile(join(data, "global/pg_control")));
