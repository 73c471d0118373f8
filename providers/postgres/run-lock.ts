import type { PgSession, Run } from "./session.ts";

/** A lock of this server that was taken: whoever else asks for it is told who holds it. */
export interface RunLock {
  /** False once the connection that holds it has ended. */
  alive(): boolean;
  release(): Promise<void>;
}

const KEY = "hashtext('pgdba'), hashtext('run')";

/** Whether another session holds our lock, in whatever database: advisory locks are kept apart by database, a run is not. */
const OTHER_HOLDER = `SELECT /* pgdba */ a.application_name AS name, l.pid FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
  WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.pid <> pg_backend_pid()
    AND l.classid::bigint = (hashtext('pgdba')::bigint & 4294967295) AND l.objid::bigint = (hashtext('run')::bigint & 4294967295)
  LIMIT 1`;

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
  const ask: Run = (sql) => session.query(sql);
  const taken = await tried(ask, "pg_try_advisory_lock");
  const heldBy = await otherHolder(ask, taken);
  const release = async (): Promise<void> => {
    if (session.alive()) await session.query(`SELECT /* pgdba */ pg_advisory_unlock(${KEY})`);
  };
  if (heldBy === null) return { alive: () => session.alive(), release };
  if (taken) await release();
  return { heldBy };
}

async function heldInTransaction(holder: PgSession): Promise<RunLock | { heldBy: string }> {
  const released = Promise.withResolvers<void>();
  const outcome = Promise.withResolvers<string | null>();
  const holding = holder
    .transaction({ readOnly: true }, async (run) => {
      await run(
        `SELECT /* pgdba */ set_config(name, '0', true) FROM pg_settings WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')`,
      );
      const heldBy = await otherHolder(run, await tried(run, "pg_try_advisory_xact_lock"));
      outcome.resolve(heldBy);
      if (heldBy === null) await released.promise;
    })
    .catch(outcome.reject)
    .finally(() => holder.close());
  const heldBy = await outcome.promise;
  const release = async (): Promise<void> => {
    released.resolve();
    await holding;
  };
  if (heldBy === null) return { alive: () => holder.alive(), release };
  await release();
  return { heldBy };
}

async function tried(run: Run, how: string): Promise<boolean> {
  const { rows } = await run(`SELECT /* pgdba */ ${how}(${KEY}) AS taken`);
  return rows[0]?.["taken"] === true;
}

/** Null when nobody else has it and we do. */
async function otherHolder(run: Run, taken: boolean): Promise<string | null> {
  const [row] = (await run(OTHER_HOLDER)).rows;
  if (row === undefined) return taken ? null : "a session that has just ended";
  const name = typeof row["name"] === "string" ? row["name"].replace(/^pgdba\//, "") : "";
  return name === "" ? `the session with process id ${String(row["pid"])}` : name;
}
