import type { Json, JsonObject } from "../../../engine/types.ts";
import type { PatroniCluster } from "../../../providers/patroni/members.ts";
import type { PatroniHistoryLine, PatroniStatus } from "../../../providers/patroni/status.ts";
import { isUp } from "../../../providers/patroni/members.ts";
import type { Facts, PatroniFacts } from "./facts.ts";

/** What a member says of itself. `serverClock`: the time of the same host, in seconds, as its server tells it. */
export function patroniFactsOf(status: PatroniStatus, serverClock: number | null): PatroniFacts {
  const { tags, dcs_last_seen: lastSeen } = status;
  return {
    running: isUp(status),
    primary: status.role === "primary" || status.role === "standby_leader",
    state: status.state,
    identity: status.database_system_identifier,
    timeline: status.timeline,
    pendingRestart: status.pending_restart,
    scheduledRestart: status.scheduled_restart !== null,
    watchdogFailed: status.watchdog_failed,
    dcsAge: lastSeen === null || serverClock === null ? null : Math.max(0, serverClock - lastSeen),
    nofailover: isTrue(tags["nofailover"]),
    nosync: isTrue(tags["nosync"]),
    priority: numberOf(tags["failover_priority"]),
  };
}

/** Patroni's defaults, where the dynamic configuration leaves a value out. */
const DEFAULTS = { ttl: 30, loop_wait: 10, maximum_lag_on_failover: 1_048_576 };

export function clusterFactsOf(
  config: JsonObject,
  cluster: PatroniCluster,
  history: readonly PatroniHistoryLine[],
): Facts["patroni"] {
  const number = (name: keyof typeof DEFAULTS): number => numberOf(config[name]) ?? DEFAULTS[name];
  return {
    pause: cluster.pause || isTrue(config["pause"]),
    synchronous: synchronousIn(config),
    maxLag: number("maximum_lag_on_failover"),
    ttl: number("ttl"),
    loopWait: number("loop_wait"),
    scheduled: cluster.scheduled_switchover,
    lastLeader: history.at(-1)?.leader ?? null,
    ends: Object.fromEntries(
      history
        .filter(({ lsn }) => Number.isSafeInteger(lsn))
        .map(({ timeline, lsn }) => [timeline, BigInt(lsn)]),
    ),
  };
}

function synchronousIn(config: JsonObject): Facts["patroni"]["synchronous"] {
  const mode = config["synchronous_mode"];
  if (mode === "quorum") return "quorum";
  if (!isTrue(mode)) return "off";
  return isTrue(config["synchronous_mode_strict"]) ? "strict" : "on";
}

/** Patroni takes a value of YAML as well as its text. */
function isTrue(value: Json | undefined): boolean {
  return value === true || ["true", "on", "yes", "1"].includes(String(value).toLowerCase());
}

function numberOf(value: Json | undefined): number | null {
  if (value === undefined || value === null || value === "") return null;
  return Number.isFinite(Number(value)) ? Number(value) : null;
}
