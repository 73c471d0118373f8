import { PgdbaError } from "../../engine/errors.ts";
import type { JsonObject } from "../../engine/types.ts";
import { authoritiesIn } from "../authorities.ts";
import { patchConfig, putConfig } from "./config.ts";
import type { PatroniCluster, PatroniMember } from "./members.ts";
import { failover, type Moved, type Switchover, switchover } from "./move.ts";
import { type Paused, setPause } from "./pause.ts";
import {
  isHealthy,
  type PatroniCheck,
  readAny,
  readCluster,
  readObject,
  readStatus,
  sendToOne,
} from "./read.ts";
import { type Api, jsonIn, type PatroniSpec, refused, send } from "./requests.ts";
import { historyIn, type PatroniHistoryLine, type PatroniStatus } from "./status.ts";

/** `api` is a member's base URL, as `cluster` gives it. */
export interface PatroniClient {
  /** The cluster as the store has it: up to one loop old. */
  cluster(signal?: AbortSignal): Promise<PatroniCluster>;
  /** Its members, ordered by name. */
  members(signal?: AbortSignal): Promise<PatroniMember[]>;
  /** The state of a member in its own words, now. It answers in every state. Asked once. */
  status(api: string, signal?: AbortSignal): Promise<PatroniStatus>;
  /** What load balancers ask: true for 200, false for 503. Asked once. */
  check(api: string, check: PatroniCheck, signal?: AbortSignal): Promise<boolean>;
  /** The ends of the timelines, oldest first; up to one loop old. */
  history(signal?: AbortSignal): Promise<PatroniHistoryLine[]>;
  /** The dynamic configuration as the member that answers has it: up to one loop old. */
  config(signal?: AbortSignal): Promise<JsonObject>;
  /** Merges `patch` into the dynamic configuration; null removes a key. Gives the whole as it is then. Repeats when another writer was first. */
  patchConfig(patch: JsonObject, signal?: AbortSignal): Promise<JsonObject>;
  /** Puts `config` in the place of the whole dynamic configuration. */
  putConfig(config: JsonObject, signal?: AbortSignal): Promise<JsonObject>;
  /**
   * Hands over. Asks once and never again, and tells who leads in the end, which may be another one than was asked for.
   * @throws PgdbaError step_refused (nothing was changed) | step_failed (nobody took over) | timeout (nobody knows, it may go on)
   */
  switchover(wanted: Switchover, signal?: AbortSignal): Promise<Moved>;
  /** Makes `candidate` the leader where there is none, or against its will. Patroni looks neither at lag nor at timeline. Otherwise as `switchover`. */
  failover(wanted: { candidate: string }, signal?: AbortSignal): Promise<Moved>;
  /** Takes back a switchover that is scheduled; false when there is none. */
  cancelSwitchover(signal?: AbortSignal): Promise<boolean>;
  /**
   * Restarts PostgreSQL of one member and waits for the answer. The answer may be lost: look at `status` afterwards.
   * @throws PgdbaError http_failed (with Patroni's words) | timeout
   */
  restart(api: string, timeoutMs: number, signal?: AbortSignal): Promise<void>;
  /** Has the member read its own configuration again, in its next loop. */
  reload(api: string, signal?: AbortSignal): Promise<void>;
  /**
   * Begins to make a standby anew: removes its data and copies them again. Done when it streams: look at `status`.
   * `force` ends what the member is doing; `from_leader` copies from the leader only (Patroni 4.1).
   * @throws PgdbaError step_refused | unsupported | http_failed
   */
  reinitialize(api: string, how: Reinitialize, signal?: AbortSignal): Promise<void>;
  /** Stops Patroni from acting by itself, on all members. */
  pause(signal?: AbortSignal): Promise<Paused>;
  resume(signal?: AbortSignal): Promise<Paused>;
}

export interface Reinitialize {
  force?: boolean | undefined;
  from_leader?: boolean | undefined;
}

/** All others change something. */
export const PATRONI_READS = [
  "cluster",
  "members",
  "status",
  "check",
  "history",
  "config",
] as const satisfies readonly (keyof PatroniClient)[];

/** The first version that knows `from_leader`; those before it don't mind the word. */
const FROM_LEADER = [4, 1];

/**
 * A client of Patroni's REST API (docs: "Patroni REST API"); versions 3 and 4. Holds no connection. `patienceMs`: how long what reads is
 * repeated while nobody answers.
 */
export async function patroniClient(
  spec: PatroniSpec,
  { patienceMs = 0 } = {},
): Promise<PatroniClient> {
  const api: Api = { spec, ca: authoritiesIn(spec.cafile, "patroni.cafile"), patienceMs };
  return {
    cluster: (signal) => readCluster(api, signal),
    members: async (signal) => (await readCluster(api, signal)).members,
    status: (member, signal) => readStatus(api, member, signal),
    check: (member, check, signal) => isHealthy(api, member, check, signal),
    async history(signal) {
      const answer = await readAny(api, "/history", signal);
      if (answer.status !== 200) throw refused(answer);
      return historyIn(jsonIn(answer));
    },
    config: (signal) => readObject(api, "/config", signal),
    patchConfig: (patch, signal) => patchConfig(api, patch, signal),
    putConfig: (config, signal) => putConfig(api, config, signal),
    switchover: (wanted, signal) => switchover(api, wanted, signal),
    failover: (wanted, signal) => failover(api, wanted, signal),
    async cancelSwitchover(signal) {
      const answer = await sendToOne(api, "/switchover", { method: "DELETE", signal });
      if (answer.status === 404) return false;
      if (answer.status !== 200) throw refused(answer);
      return true;
    },
    async restart(member, timeoutMs, signal) {
      const request = { method: "POST", body: {}, timeoutMs, signal } as const;
      const answer = await send(api, `${member}/restart`, request);
      if (answer.status !== 200) throw refused(answer);
    },
    async reload(member, signal) {
      const answer = await send(api, `${member}/reload`, { method: "POST", body: {}, signal });
      if (answer.status !== 202) throw refused(answer);
    },
    async reinitialize(member, { force = false, from_leader = false }, signal) {
      if (from_leader) refuseFromLeader(await readStatus(api, member, signal));
      const body = { force, ...(from_leader ? { from_leader } : {}) };
      const answer = await send(api, `${member}/reinitialize`, { method: "POST", body, signal });
      if (answer.status === 503) throw notReinitialized(refused(answer));
      if (answer.status !== 200) throw refused(answer);
    },
    pause: (signal) => setPause(api, true, signal),
    resume: (signal) => setPause(api, false, signal),
  };
}

function refuseFromLeader({ patroni: { version } }: PatroniStatus): void {
  const parts = (version ?? "").split(".").map(Number);
  const first = parts.findIndex((part, at) => part !== (FROM_LEADER[at] ?? 0));
  if (first === -1 || (parts[first] ?? 0) > (FROM_LEADER[first] ?? 0)) return;
  throw new PgdbaError("unsupported", `Patroni ${version} does not know \`from_leader\``, {
    hint: "Leave it out: before 4.1 Patroni copies from a standby tagged `clonefrom`, and otherwise from the leader.",
    nothingDone: true,
  });
}

/** Patroni refuses before it begins, with this status alone. */
function notReinitialized({ message, data }: PgdbaError): PgdbaError {
  return new PgdbaError("step_refused", message, {
    hint: "Nothing was changed. The leader is not made anew, nor a member that is busy (`force` ends what it does), nor any while nobody leads.",
    data,
    nothingDone: true,
  });
}
