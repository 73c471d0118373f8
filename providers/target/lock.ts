import type { PgSession, QueryResult, Run } from "../postgres/session.ts";

/** A lock of this server that was taken: whoever else asks for it is told who holds it. */
export interface RunLock {
  /** False once the connection that holds it has ended. */
  alive(): boolean;
  /** Asks the server. */
  held(): Promise<boolean>;
  release(): Promise<void>;
}

type Row = QueryResult["rows"][number];

const KEY = "hashtext('pgdba'), hashtext('run')";
/** The same as pg_locks shows it: the numbers of the function are signed, these are not. */
const OURS = `l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
    AND l.classid::bigint = (hashtext('pgdba')::bigint & 4294967295) AND l.objid::bigint = (hashtext('run')::bigint & 4294967295)`;
/** Another session that has it, in whatever database: advisory locks are kept apart by database, a run is not. */
const OTHER = `SELECT a.application_name AS name, l.pid FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
  WHERE ${OURS} AND l.pid <> pg_backend_pid() LIMIT 1`;
const HELD = `SELECT /* pgdba */ EXISTS (SELECT FROM pg_locks l WHERE ${OURS} AND l.pid = pg_backend_pid()) AS held`;

/** How often two that came at the same moment, from two databases, make way for each other. */
const TRIES = 5;

/**
 * Takes the lock, or says who has it. `session` itself holds it, so that an engine that is stopped still has it and one whose connection
 * died can't act any more. Behind a pooler it would stay with the server process that happened to take it: there an open transaction
 * of a further connection holds it, which the pooler gives to nobody else.
 */
export async function takeRunLock(
  session: PgSession,
  openAnother: () => Promise<PgSession>,
): Promise<RunLock | { heldBy: string }> {
  if (session.info.pooled) return heldInTransaction(await openAnother());
  const ask: Run = (sql) => session.ask(sql);
  const release = async (): Promise<void> => {
    if (session.alive()) await session.ask(`SELECT /* pgdba */ pg_advisory_unlock(${KEY})`);
  };
  const heldBy = await taken(ask, release);
  if (heldBy !== null) return { heldBy };
  return {
    alive: () => session.alive(),
    held: () => stillHeld(session, ask, release),
    release,
  };
}

/** Takes it for the session, or says who has it; then nothing is left behind. */
async function taken(ask: Run, release: () => Promise<void>): Promise<string | null> {
  for (let tries = 1; ; tries++) {
    const { got, other } = await tried(ask, "pg_try_advisory_lock");
    if (got && other === undefined) return null;
    if (got) await release();
    if (!got || tries === TRIES) return nameOf(other);
    await Bun.sleep(5 + Math.random() * 50);
  }
}

/** A statement of the run itself may have let it go (pg_advisory_unlock_all() does): it is taken again then, unless another was quicker. */
async function stillHeld(
  session: PgSession,
  ask: Run,
  release: () => Promise<void>,
): Promise<boolean> {
  // Whatever is under way there was allowed to begin, and may take long.
  if (session.alive() && session.busy()) return true;
  try {
    const { rows } = await ask(HELD);
    return rows[0]?.["held"] === true || (await taken(ask, release)) === null;
  } catch (error) {
    if (!session.alive()) return false;
    throw error;
  }
}

async function heldInTransaction(holder: PgSession): Promise<RunLock | { heldBy: string }> {
  const released = Promise.withResolvers<void>();
  const outcome = Promise.withResolvers<string | null>();
  const holding = holder
    .transaction({ readOnly: true }, async (run) => {
      await run(
        `SELECT /* pgdba */ set_config(name, '0', true) FROM pg_settings WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')`,
      );
      const { got, other } = await tried(run, "pg_try_advisory_xact_lock");
      outcome.resolve(got && other === undefined ? null : nameOf(other));
      if (got && other === undefined) await released.promise;
    })
    .catch(outcome.reject)
    .finally(() => holder.close());
  const heldBy = await outcome.promise;
  const release = async (): Promise<void> => {
    released.resolve();
    await holding;
  };
  const alive = () => holder.alive();
  if (heldBy === null) return { alive, held: async () => alive(), release };
  await release();
  return { heldBy };
}

/**
 * Whether we have it now, and who else has. While another has it, it is not even tried: one that wants it back after a restart must not
 * meet the attempt of one that is refused. Two that try at the same moment in two databases find each other by looking again.
 */
async function tried(run: Run, how: string): Promise<{ got: boolean; other: Row | undefined }> {
  const { rows } = await run(`WITH other AS MATERIALIZED (${OTHER})
    SELECT /* pgdba */ CASE WHEN NOT EXISTS (SELECT FROM other) THEN ${how}(${KEY}) END AS taken,
      (SELECT name FROM other) AS name, (SELECT pid FROM other) AS pid`);
  const first = rows[0];
  if (first?.["taken"] === true) return { got: true, other: await otherHolder(run) };
  return { got: false, other: first?.["pid"] == null ? await otherHolder(run) : first };
}

async function otherHolder(run: Run): Promise<Row | undefined> {
  return (await run(OTHER.replace("SELECT", "SELECT /* pgdba */"))).rows[0];
}

function nameOf(row: Row | undefined): string {
  if (row === undefined) return "a session that has just ended";
  const name = typeof row["name"] === "string" ? row["name"].replace(/^pgdba\//, "") : "";
  return name === "" ? `the session with process id ${String(row["pid"])}` : name;
}
