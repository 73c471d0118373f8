import type { JsonObject } from "../../../engine/types.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import { textOf } from "../../settings-file.ts";
import { parametersOf } from "./parameters.ts";
import { NOT_BELOW_PRIMARY } from "./members.ts";
import {
  awaitsRestart,
  readFileEntries,
  readSettings,
  winningEntries,
} from "../../../providers/postgres/settings.ts";
import { sameValue } from "../../../providers/postgres/setting-value.ts";

/**
 * The settings for which a restart of one of Patroni's members would change something. `pending_restart` alone says yes until the
 * restart, also when the value is back where it was.
 * @param config Patroni's dynamic configuration
 */
export async function awaitingOn(
  pg: PgSession,
  config: JsonObject,
  signal: AbortSignal,
): Promise<string[]> {
  const held = parametersOf(config);
  const settings = await readSettings(pg, signal);
  const winners = winningEntries(await readFileEntries(pg, signal));
  return [...settings]
    .filter(([key, setting]) => {
      // The server does not compare its files with values that Patroni gives on the command line.
      if (!setting.pending_restart && setting.source !== "command line") return false;
      const wanted = held.get(key) ?? null;
      // A standby's own files keep the larger value until the primary has restarted with the smaller one.
      if (wanted !== null && NOT_BELOW_PRIMARY.has(key))
        return !sameValue(setting, setting.setting, textOf(wanted));
      const entry = winners.get(key);
      if (entry === undefined && setting.source === "command line") return false;
      return awaitsRestart(setting, entry?.setting);
    })
    .map(([, { name }]) => name);
}
