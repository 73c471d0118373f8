import { PgdbaError } from "../../engine/errors.ts";
import type { PgSession } from "../postgres/session.ts";

const TIMELINE =
  "SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int AS timeline";
const HISTORY =
  "SELECT pg_read_file('pg_wal/' || $1::text || '.history', 0, 1000000, true) AS history";

/** The timeline that a primary writes; null where the role may not ask. */
export async function timelineOf(session: PgSession): Promise<number | null> {
  const { timeline } = (await asked(session, TIMELINE)) ?? {};
  return typeof timeline === "number" ? timeline : null;
}

/** Why the server on the timeline `now` does not go on from `before`; null when it does, or when it does not show its history. */
export async function descends(
  session: PgSession,
  before: number,
  now: number,
): Promise<string | null> {
  if (now === before) return null;
  if (now < before) return `it is on timeline ${now}, and the run has seen timeline ${before}`;
  const name = now.toString(16).toUpperCase().padStart(8, "0");
  const { history } = (await asked(session, HISTORY, [name])) ?? {};
  if (typeof history !== "string" || parentsIn(history).includes(before)) return null;
  return `its timeline ${now} does not descend from timeline ${before}, which the run has seen`;
}

/** The timelines that a history file names: a line of each begins with its number. */
function parentsIn(history: string): number[] {
  return [...history.matchAll(/^\s*(\d+)\s/gm)].map(([, number]) => Number(number));
}

/** Asks for one row; null where the role may not ask. */
async function asked(session: PgSession, sql: string, values: unknown[] = []) {
  try {
    return (await session.ask(sql, values)).rows[0] ?? null;
  } catch (error) {
    // A role that may not ask, or that has another server in between, gets no answer; a lost connection is an error.
    if (error instanceof PgdbaError && error.code !== "connection_failed") return null;
    throw error;
  }
}
