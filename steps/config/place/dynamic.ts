import { PgdbaError } from "../../../engine/errors.ts";
import type { JsonObject, StepContext } from "../../../engine/types.ts";
import type { PatroniClient } from "../../../providers/patroni/client.ts";
import { session } from "../../sql/session.ts";
import { type Given, textOf } from "../../settings-file.ts";
import { refuseLocal } from "./local.ts";
import { confirmOnMembers, type World } from "./members.ts";
import type { Place } from "./place.ts";
import { hideSecrets } from "../check/secrets.ts";
import { readSettings, type Setting } from "../../../providers/postgres/settings.ts";
import { readValue } from "../../../providers/postgres/setting-value.ts";
import { parametersOf, rawParameters } from "./parameters.ts";
import { leaderOf } from "../../../providers/patroni/members.ts";

/** Beyond the loops of Patroni that a change takes to reach every member, ms. */
const GRACE_MS = 10_000;

/** Settings that Patroni decides itself, against the dynamic configuration (patroni/postgresql/config.py: CMDLINE_OPTIONS, recovery). */
const PATRONIS_OWN = new Set([
  "cluster_name",
  "config_file",
  "data_directory",
  "hba_file",
  "hot_standby",
  "ident_file",
  "listen_addresses",
  "port",
  "primary_conninfo",
  "primary_slot_name",
  "promote_trigger_file",
  "wal_log_hints",
]);

/** Below these Patroni takes its own default instead, saying so in its log only (same source). */
const LEAST: Record<string, number> = {
  max_connections: 25,
  max_locks_per_transaction: 32,
  max_replication_slots: 4,
  max_wal_senders: 3,
  max_worker_processes: 2,
  wal_keep_size: 16,
};

/**
 * A Patroni cluster's settings, changed in its dynamic configuration; never by ALTER SYSTEM, which would win over it on one member.
 * @throws PgdbaError identity_mismatch when the REST API is another cluster's | http_failed | connection_failed
 */
export async function openDynamic(ctx: StepContext, client: PatroniClient): Promise<Place> {
  const config = await client.config(ctx.signal);
  await sameCluster(ctx, client);
  const settings = hideSecrets(ctx, await readSettings(await session(ctx), ctx.signal));
  const held = parametersOf(config);
  const spelt = new Map(
    Object.keys(rawParameters(config)).map((name) => [name.toLowerCase(), name]),
  );
  const loopMs = (Number(config["loop_wait"]) || 10) * 1000;
  const world: World = { ctx, client, held, settleMs: 2 * loopMs + 1000 };

  return {
    kind: "patroni",
    settings,
    held,
    configured(setting) {
      const value = held.get(setting.name.toLowerCase());
      return value === undefined || value === null ? null : textOf(value);
    },
    beneath: () => null,
    refuses: (setting, value) => refuses(config, setting, value),
    // Patroni itself refuses a client that may not write.
    mayWrite: (values) => refuseLocal(world, values),
    async write(values) {
      const parameters = Object.fromEntries(
        [...values].map(([name, value]) => [spelt.get(name.toLowerCase()) ?? name, value]),
      );
      await client.patchConfig({ postgresql: { parameters } }, ctx.signal);
    },
    confirm: (values, patience) =>
      confirmOnMembers(world, values, patience ?? world.settleMs + GRACE_MS),
  };
}

async function sameCluster(ctx: StepContext, client: PatroniClient): Promise<void> {
  const { identity } = await ctx.target.facts();
  const leader = leaderOf(await client.members(ctx.signal));
  if (leader === undefined) {
    throw new PgdbaError("step_refused", "The Patroni cluster has no leader now", {
      hint: "Its configuration is not changed while it has none: look at `patronictl list`.",
      retryable: true,
    });
  }
  const { database_system_identifier: theirs } = await client.status(leader.api, ctx.signal);
  if (identity === null || theirs === null || theirs === identity) return;
  throw new PgdbaError(
    "identity_mismatch",
    `Patroni's leader ${leader.name} has system identifier ${theirs}, but ${ctx.target.name} answers as ${identity}`,
    { hint: "Correct patroni.endpoints in the cluster's file: they are another cluster's." },
  );
}

function refuses(config: JsonObject, setting: Setting, value: Given): string | undefined {
  const name = setting.name.toLowerCase();
  if (PATRONIS_OWN.has(name) || name.startsWith("recovery_target"))
    return "is decided by Patroni itself";
  if (
    name === "synchronous_standby_names" &&
    config["synchronous_mode"] !== undefined &&
    config["synchronous_mode"] !== false
  )
    return "is kept by Patroni while synchronous_mode is on";
  if (value === null) return undefined;
  if (name === "wal_level" && textOf(value).toLowerCase() === "minimal")
    return "must be replica or logical under Patroni";
  const read = readValue(setting, textOf(value));
  const least = LEAST[name];
  if (least !== undefined && "value" in read && Number(read.value) < least)
    return `must be at least ${least} under Patroni`;
  return undefined;
}
