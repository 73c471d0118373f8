import type { StepContext } from "../../../engine/types.ts";
import { patroniOf } from "../../patroni-access.ts";
import { session } from "../../sql/session.ts";

/** What decides how a cluster fails over, and what it may lose. */
const OF_SERVER = [
  "server_version",
  "synchronous_commit",
  "synchronous_standby_names",
  "wal_level",
  "fsync",
  "full_page_writes",
  "data_checksums",
  "wal_sender_timeout",
  "wal_receiver_timeout",
  "restart_after_crash",
  "max_connections",
];
const OF_PATRONI = [
  "ttl",
  "loop_wait",
  "retry_timeout",
  "maximum_lag_on_failover",
  "synchronous_mode",
  "synchronous_mode_strict",
  "synchronous_node_count",
  "primary_start_timeout",
  "master_start_timeout",
  "failsafe_mode",
  "check_timeline",
];

/** The settings in force, by their names; Patroni's with `patroni.` before them. */
export async function settingsOf(ctx: StepContext): Promise<Record<string, string>> {
  const pg = await session(ctx);
  const { rows } = await pg.ask(
    "SELECT name, current_setting(name) AS value FROM pg_settings WHERE name = ANY($1) ORDER BY name",
    [OF_SERVER],
  );
  const found = Object.fromEntries(rows.map(({ name, value }) => [String(name), String(value)]));
  const patroni = await patroniOf(ctx);
  if (patroni === null) return found;
  const config = await patroni.config(ctx.signal);
  for (const name of OF_PATRONI)
    if (config[name] !== undefined) found[`patroni.${name}`] = JSON.stringify(config[name]);
  return found;
}
