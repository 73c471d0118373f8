import { parseLsn } from "../../../engine/shared/units.ts";
import { sqlstateOf } from "../../postgres/errors.ts";
import type { ReplicationSession } from "../../postgres/replication/session.ts";
import type { PgSession } from "../../postgres/session.ts";

export interface Slot {
  /** From there on the server keeps WAL; null for one that nobody has used yet. */
  restart: bigint | null;
  active: boolean;
  /** The server has removed what it should have kept. */
  lost: boolean;
}

const SLOT = `SELECT restart_lsn::text AS restart, active, slot_type, to_jsonb(s) ->> 'wal_status' AS status
  FROM pg_catalog.pg_replication_slots s WHERE slot_name = $1`;
const DUPLICATE = "42710";

export async function slotOf(pg: PgSession, name: string): Promise<Slot | null> {
  const [row] = (await pg.ask(SLOT, [name])).rows;
  if (row === undefined) return null;
  const restart = row["restart"] as string | null;
  return {
    restart: restart === null ? null : parseLsn(restart),
    active: row["active"] === true,
    lost: row["status"] === "lost",
  };
}

/** It keeps WAL from its first moment on. One that is there already is as good. */
export async function createSlot(
  session: ReplicationSession,
  name: string,
  { anew = false, signal }: { anew?: boolean; signal: AbortSignal },
): Promise<void> {
  if (anew) await session.ask(`DROP_REPLICATION_SLOT "${name}"`, signal);
  try {
    await session.ask(`CREATE_REPLICATION_SLOT "${name}" PHYSICAL RESERVE_WAL`, signal);
  } catch (error) {
    if (sqlstateOf(error) !== DUPLICATE) throw error;
    // After an error the server says that it is ready again.
    await session.settled(signal);
  }
}
