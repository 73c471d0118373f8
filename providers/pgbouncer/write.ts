import { PgdbaError } from "../../engine/errors.ts";
import { connect, type ConnectionSpec, destroy } from "../postgres/connect.ts";

/** A client of a pooler that has no server for it waits; longer than a failover takes is no answer. */
const WAIT_MS = 60_000;
/** A standby refuses it, so that it is proof of a primary; it is told to no logical decoder that does not ask for this prefix. */
const WRITE = `BEGIN;
SET LOCAL synchronous_commit = local;
SELECT pg_logical_emit_message(true, 'pgdba', 'seen through the pooler');
COMMIT`;

/** @throws PgdbaError connection_failed | query_failed | timeout */
export async function writeThrough(
  spec: ConnectionSpec,
  signal: AbortSignal,
): Promise<{ lsn: string }> {
  const client = await connect(spec);
  const late = AbortSignal.any([signal, AbortSignal.timeout(WAIT_MS)]);
  const stop = () => destroy(client);
  late.addEventListener("abort", stop, { once: true });
  try {
    // On disk, and waiting for no standby; the commit comes after the record, so that its end is asked for in a second statement.
    await client.query(WRITE);
    const { rows } = await client.query<{ lsn: string }>(
      "SELECT pg_current_wal_lsn()::text AS lsn",
    );
    return { lsn: rows[0]!.lsn };
  } catch (cause) {
    signal.throwIfAborted();
    const { message } = cause as Error;
    throw new PgdbaError(
      late.aborted ? "timeout" : "query_failed",
      `A write through PgBouncer at ${spec.host}:${spec.port} failed: ${message}`,
      {
        hint: "`pgdba pgbouncer status` tells where it sends clients, and whether it holds them back.",
        retryable: true,
        cause,
      },
    );
  } finally {
    late.removeEventListener("abort", stop);
    await client.end().catch(() => {});
  }
}
