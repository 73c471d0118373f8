import type { Client } from "pg";
import { PgdbaError } from "../../../../engine/errors.ts";
import { type ConnectionSpec, connect } from "../../../postgres/connect.ts";
import { sqlstateOf, fromPostgres } from "../../../postgres/errors.ts";
import problems from "./seed/problems.sql" with { type: "text" };
import shop from "./seed/shop.sql" with { type: "text" };

/** Full reads of the table without an index; enough to stand out in pg_stat_statements. */
const HOT_QUERIES = 80;

/** Settings of the lab; those that are weak are planted, and named in planted.json. */
export const LAB_SETTINGS = {
  shared_preload_libraries: "pg_stat_statements",
  track_io_timing: "on",
  max_connections: 50,
  shared_buffers: "64MB",
  max_wal_size: "64MB",
  min_wal_size: "8MB",
  max_slot_wal_keep_size: "48MB",
  wal_keep_size: 0,
  // Off also keeps what is planted as it is: an autovacuum would repair half of it within a minute.
  autovacuum: "off",
  work_mem: "256kB",
  checkpoint_timeout: "30s",
};

/** Builds the shop and its problems in an empty database. About 2.5 s. @throws PgdbaError query_failed | connection_failed */
export async function seed(spec: ConnectionSpec): Promise<void> {
  const client = await connect(spec);
  try {
    await client.query(shop);
    for (const batch of batches(problems)) await run(client, batch);
    // The statements that built the shop are not those of its daily work.
    await client.query("SELECT public.pg_stat_statements_reset()");
    for (let n = 1; n <= HOT_QUERIES; n++) {
      await client.query("SELECT product_id, quantity FROM shop.order_items WHERE order_id = $1", [
        n * 500,
      ]);
    }
    // Counters reach the views when a session is idle or ends; the first health check follows at once.
    await client.query("SELECT pg_stat_force_next_flush(); CHECKPOINT");
  } catch (error) {
    throw fromPostgres(error, "The lab could not be filled", "query_failed");
  } finally {
    await client.end().catch(() => {});
  }
}

interface Batch {
  sql: string;
  /** The SQLSTATE that this batch must end with; planting some problems is a failure. */
  fails: string | undefined;
}

function batches(text: string): Batch[] {
  const parts = text.split(/^-- next(?: fails (\w{5}))?$/m);
  const found: Batch[] = [{ sql: parts[0] ?? "", fails: undefined }];
  for (let index = 1; index < parts.length; index += 2)
    found.push({ fails: parts[index], sql: parts[index + 1] ?? "" });
  return found;
}

async function run(client: Client, batch: Batch): Promise<void> {
  try {
    await client.query(batch.sql);
  } catch (error) {
    if (batch.fails !== undefined && sqlstateOf(fromPostgres(error, "seed")) === batch.fails)
      return;
    throw error;
  }
  if (batch.fails !== undefined)
    throw new PgdbaError("internal", `A planted failure did not fail: ${batch.sql.slice(0, 80)}`);
}

/**
 * Leaves a session idle in a transaction that has changed a row. A backend of its own holds it by dblink and sleeps, so that no
 * process of ours has to live on: a backend asleep does not notice that its client went. Stopping the server ends both.
 */
export async function leaveIdleTransaction(spec: ConnectionSpec): Promise<void> {
  const client = await connect({ ...spec, application_name: "shop-worker" });
  const password = spec.password?.() ?? "";
  const server = `host=${spec.host} port=${spec.port} dbname=${spec.database} user=${spec.user} application_name=shop-web`;
  await client.query("SELECT dblink_connect('web', $1 || ' password=' || $2)", [server, password]);
  await client.query(
    "SELECT dblink_exec('web', 'BEGIN'), dblink_exec('web', 'UPDATE shop.customers SET name = name WHERE id = 1')",
  );
  client.query("SELECT pg_sleep(1e8)").catch(() => {});
  const { stream } = client.connection;
  await new Promise<void>((done) => stream.end(done));
  stream.destroy();
}
