import { toPgdbaError } from "../../../engine/errors.ts";
import { parseLsn } from "../../../engine/shared/units.ts";
import type { JsonObject } from "../../../engine/types.ts";
import { identityOf } from "../../../providers/postgres/identity.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import archiver from "../sql/archiver.sql" with { type: "text" };
import baseBackups from "../sql/base-backups.sql" with { type: "text" };
import connections from "../sql/connections.sql" with { type: "text" };
import lsns from "../sql/lsns.sql" with { type: "text" };
import prepared from "../sql/prepared.sql" with { type: "text" };
import server from "../sql/server.sql" with { type: "text" };
import sinceCheckpoint from "../sql/since-checkpoint.sql" with { type: "text" };
import slots from "../sql/slots.sql" with { type: "text" };
import standbys from "../sql/standbys.sql" with { type: "text" };
import transactions from "../sql/transactions.sql" with { type: "text" };
import type { Lsns, Seen, ServerFacts } from "./facts.ts";

export interface Asking {
  pg: PgSession;
  /** How long one statement may take, ms. */
  timeoutMs: number;
  signal: AbortSignal;
}

/** The facts that a server tells of itself. What it does not tell is unseen. @throws PgdbaError when it tells nothing */
export async function serverFacts(asking: Asking): Promise<ServerFacts & { clock: number }> {
  const { pg } = asking;
  const [about] = await rows<{
    standby: boolean;
    version: number;
    timeline: number | null;
    replay_paused: boolean;
    receiver: string | null;
    settings: Record<string, string>;
    clock: number;
  }>(asking, server);
  const see = <T extends object>(sql: string): Promise<Seen<T[]>> =>
    seen(() => rows<T>(asking, sql));
  const archived = await see<{
    failing: boolean;
    last_failed_wal: string | null;
    ready: number | null;
  }>(archiver);
  return {
    standby: about!.standby,
    version: about!.version,
    identity: await identityOf(pg),
    timeline: about!.timeline,
    replayPaused: about!.replay_paused,
    receiver: about!.receiver,
    settings: about!.settings,
    clock: about!.clock,
    connections: map(await see<{ count: number }>(connections), ([row]) => row!.count),
    sinceCheckpoint: map(await see<{ bytes: number }>(sinceCheckpoint), ([row]) => row?.bytes ?? 0),
    standbys: await see(standbys),
    slots: await see(slots),
    prepared: await see(prepared),
    transactions: await see(transactions),
    baseBackups: await see(baseBackups),
    archiver: map(archived, ([row]) =>
      row === undefined
        ? null
        : { failing: row.failing, lastFailed: row.last_failed_wal, ready: row.ready },
    ),
  };
}

/** The server's place in the WAL, now. @throws PgdbaError step_failed when it has none yet */
export async function lsnsOf(asking: Asking): Promise<Lsns> {
  const [row] = await rows<{ received: string; replayed: string }>(asking, lsns);
  return {
    at: performance.now(),
    received: parseLsn(row!.received),
    replayed: parseLsn(row!.replayed),
  };
}

async function rows<T extends object>(
  { pg, timeoutMs, signal }: Asking,
  sql: string,
): Promise<T[]> {
  return (await pg.ask(sql, [], { timeoutMs, signal })).rows as JsonObject[] as T[];
}

/** What `work` gives, or why it could not be had. */
export async function seen<T>(work: () => Promise<T>): Promise<Seen<T>> {
  try {
    return { value: await work() };
  } catch (error) {
    return { unseen: toPgdbaError(error, "step_failed").message };
  }
}

export function map<T, U>(one: Seen<T>, change: (value: T) => U): Seen<U> {
  return "value" in one ? { value: change(one.value) } : one;
}
