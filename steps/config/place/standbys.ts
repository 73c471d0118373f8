import type { StepContext } from "../../../engine/types.ts";
import { session } from "../../sql/session.ts";
import type { Wanted } from "../../settings-file.ts";
import { NOT_BELOW_PRIMARY } from "./members.ts";
import type { Place } from "./place.ts";
import { valueAfter } from "./together.ts";
import { humanValue } from "../../../providers/postgres/setting-value.ts";

/** Standbys that are connected, and physical slots that wait for one; base backups and receivers of WAL replay nothing. */
const STANDBYS = `SELECT pg_catalog.format('%s (%s)', coalesce(nullif(r.application_name, ''), 'pid ' || r.pid),
    coalesce(pg_catalog.host(r.client_addr), 'local')) AS standby
  FROM pg_catalog.pg_stat_replication r
  WHERE r.state <> 'backup' AND r.replay_lsn IS NOT NULL
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots s WHERE s.active_pid = r.pid AND s.slot_type = 'logical')
  UNION ALL
  SELECT pg_catalog.format('whoever uses the slot %s', s.slot_name) FROM pg_catalog.pg_replication_slots s
  WHERE s.slot_type = 'physical' AND NOT s.active AND NOT s.temporary`;

/**
 * The order in which a primary and its standbys take values that a standby must not have less of. Patroni keeps it by itself; on a
 * standby what would be too little is refused.
 */
export async function orderOfStandbys(
  ctx: StepContext,
  place: Place,
  wanted: Wanted,
): Promise<string[]> {
  if (place.kind === "patroni") return [];
  const changed = [...wanted.keys()].flatMap((name) => {
    const setting = place.settings.get(name.toLowerCase());
    if (setting === undefined || !NOT_BELOW_PRIMARY.has(setting.name)) return [];
    const next = valueAfter(place, wanted, name);
    const [now, then] = [Number(setting.setting), Number(next)];
    const said = `${setting.name} = ${humanValue(setting, next)}`;
    return now === then ? [] : [{ said, raised: then > now }];
  });
  const pg = await session(ctx);
  if (changed.length === 0 || pg.info.standby) return [];
  const { rows } = await pg.ask(STANDBYS, [], { signal: ctx.signal });
  if (rows.length === 0) return [];
  const standbys = rows.map((row) => String(row["standby"])).join(", ");
  const list = (raised: boolean): string =>
    changed
      .filter((one) => one.raised === raised)
      .map(({ said }) => said)
      .join(", ");
  const [more, less] = [list(true), list(false)];
  const does = pg.info.version_num < 140000 ? "shuts down" : "stops replaying";
  return [
    ...(more === ""
      ? []
      : [
          `Standbys first: apply ${more} on ${standbys} and restart them before this server restarts; a standby with less than its primary ${does}`,
        ]),
    ...(less === ""
      ? []
      : [
          `This server first: restart it with ${less}, and lower it on ${standbys} only when they have replayed that; a standby with less than its primary does not start`,
        ]),
  ];
}
