import type { StepContext } from "../../../engine/types.ts";
import { humanValue, readValue } from "../../../providers/postgres/setting-value.ts";
import { session } from "../../sql/session.ts";
import type { Wanted } from "../../settings-file.ts";
import type { Place } from "./place.ts";
import { valueAfter } from "./together.ts";

const AT = `CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END`;

/** By setting: whom a new value ($1, in the unit of the setting) cuts off, and what becomes of that. */
const KEEPERS: {
  name: string;
  /** From this value on nothing is cut off. */
  off: (value: number) => boolean;
  sql: string;
  outcome: string;
}[] = [
  {
    name: "max_slot_wal_keep_size",
    off: (value) => value < 0,
    sql: `SELECT pg_catalog.format('the slot %s, which keeps %s of WAL', s.slot_name, pg_catalog.pg_size_pretty(s.held)) AS who
      FROM (SELECT slot_name, pg_catalog.pg_wal_lsn_diff(${AT}, restart_lsn) AS held FROM pg_catalog.pg_replication_slots) s
      WHERE s.held > $1::numeric * 1024 * 1024 ORDER BY s.held DESC LIMIT 20`,
    outcome:
      "is lost at one of the next checkpoints: its consumer has to begin anew. Let it catch up first, or drop it",
  },
  {
    name: "idle_replication_slot_timeout",
    off: (value) => value <= 0,
    sql: `SELECT pg_catalog.format('the slot %s, which nobody has used since %s', s.slot_name, pg_catalog.date_trunc('second', s.inactive_since)) AS who
      FROM pg_catalog.pg_replication_slots s
      WHERE NOT s.active AND s.inactive_since < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $1::float8) ORDER BY s.inactive_since LIMIT 20`,
    outcome:
      "is lost at the next checkpoint: its consumer has to begin anew. Bring that back first, or drop the slot",
  },
  {
    name: "wal_keep_size",
    off: () => false,
    sql: `SELECT pg_catalog.format('the standby %s, which has no slot and is %s behind', r.name, pg_catalog.pg_size_pretty(r.behind)) AS who
      FROM (SELECT coalesce(nullif(r.application_name, ''), 'pid ' || r.pid) AS name, pg_catalog.pg_wal_lsn_diff(${AT}, r.flush_lsn) AS behind
            FROM pg_catalog.pg_stat_replication r
            WHERE r.state <> 'backup' AND NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots s WHERE s.active_pid = r.pid)) r
      -- The segment that is written to is kept in any case.
      WHERE r.behind > $1::numeric * 1024 * 1024 + pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_segment_size')) ORDER BY r.behind DESC LIMIT 20`,
    outcome:
      "may find the WAL that it still needs removed, unless an archive has it. Let it catch up first",
  },
];

/** Who holds more WAL now than the new values let it, each with what becomes of it. */
export async function cutOff(ctx: StepContext, place: Place, wanted: Wanted): Promise<string[]> {
  const said: string[] = [];
  for (const { name, off, sql, outcome } of KEEPERS) {
    const setting = place.settings.get(name);
    const given = [...wanted.keys()].find((one) => one.toLowerCase() === name);
    if (setting === undefined || given === undefined) continue;
    const next = valueAfter(place, wanted, given);
    const read = readValue(setting, next);
    if (!("value" in read) || typeof read.value !== "number" || off(read.value)) continue;
    const pg = await session(ctx);
    for (const { who } of (await pg.ask(sql, [read.value], { signal: ctx.signal })).rows)
      said.push(`With ${name} = ${humanValue(setting, next)}, ${who} ${outcome}`);
  }
  return said;
}
