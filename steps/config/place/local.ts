import { PgdbaError } from "../../../engine/errors.ts";
import { type Given, textOf } from "../../settings-file.ts";
import { parametersOf } from "./parameters.ts";
import { running, sessionOf, type World } from "./members.ts";
import {
  isAutoConf,
  readFileEntries,
  readSettings,
  winningEntries,
} from "../../../providers/postgres/settings.ts";
import { sameValue } from "../../../providers/postgres/setting-value.ts";

const POLL_MS = 500;

/** Patroni writes these itself, and takes none of them from a member's own file (patroni/postgresql/config.py: CMDLINE_OPTIONS). */
const NEVER_LOCAL = new Set([
  "max_connections",
  "max_locks_per_transaction",
  "max_prepared_transactions",
  "max_replication_slots",
  "max_wal_senders",
  "max_worker_processes",
  "track_commit_timestamp",
  "wal_keep_segments",
  "wal_keep_size",
  "wal_level",
]);

/**
 * Refuses what a member's own configuration would win over: `postgresql.parameters` of its patroni.yml, or ALTER SYSTEM.
 * @throws PgdbaError step_refused naming member, file and line
 */
export async function refuseLocal(world: World, values: ReadonlyMap<string, Given>): Promise<void> {
  const { ctx, client, settleMs } = world;
  const began = ctx.clock.monotonic();
  for (;;) {
    const held = parametersOf(await client.config(ctx.signal));
    const found = await localValues(world, values, held);
    if (found.length === 0) return;
    // A value that Patroni has not written yet looks the same.
    if (ctx.clock.monotonic() - began < settleMs) {
      await ctx.clock.sleep(POLL_MS, ctx.signal);
      continue;
    }
    throw new PgdbaError(
      "step_refused",
      `The dynamic configuration would not win on every member: ${found.join("; ")}`,
      {
        hint: "Take the settings out of postgresql.parameters in the member's patroni.yml (`patronictl reload` then), or ALTER SYSTEM RESET them there; nothing was changed.",
        data: { local: found },
      },
    );
  }
}

async function localValues(
  world: World,
  values: ReadonlyMap<string, Given>,
  held: ReadonlyMap<string, Given>,
): Promise<string[]> {
  const { ctx } = world;
  const found: string[] = [];
  for (const member of await running(world)) {
    const pg = await sessionOf(world, member);
    try {
      const settings = await readSettings(pg, ctx.signal);
      const winners = winningEntries(await readFileEntries(pg, ctx.signal));
      for (const [name, value] of values) {
        const key = name.toLowerCase();
        const [setting, entry] = [settings.get(key), winners.get(key)];
        if (value === null || setting === undefined || entry === undefined) continue;
        const has = entry.setting ?? "";
        if (sameValue(setting, has, textOf(value))) continue;
        const ours = held.get(key) ?? null;
        const dynamic =
          ours !== null && !isAutoConf(entry.sourcefile) && sameValue(setting, has, textOf(ours));
        const byPatroni = NEVER_LOCAL.has(key) && !isAutoConf(entry.sourcefile);
        // Patroni includes this file first, so the dynamic configuration wins over its values.
        const included = /(^|\/)postgresql\.base\.conf$/.test(entry.sourcefile ?? "");
        if (dynamic || byPatroni || included) continue;
        const by = isAutoConf(entry.sourcefile) ? "ALTER SYSTEM" : "its own patroni.yml";
        found.push(
          `${member.name} has ${name} = ${has} by ${by} (${entry.sourcefile}:${entry.sourceline})`,
        );
      }
    } finally {
      await pg.close();
    }
  }
  return found;
}
