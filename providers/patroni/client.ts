import { readText } from "../../engine/shared/read-file.ts";
import type { JsonObject } from "../../engine/types.ts";
import { membersIn, type PatroniMember } from "./members.ts";
import { type Api, objectIn, type PatroniSpec, refused, send, sendToAny } from "./requests.ts";

export interface PatroniClient {
  /** The members as the store has them: up to one loop old. Ordered by name. */
  members(signal?: AbortSignal): Promise<PatroniMember[]>;
  /** The state of a member in its own words, now. It answers in every state. */
  status(api: string, signal?: AbortSignal): Promise<JsonObject>;
  /** The dynamic configuration. */
  config(signal?: AbortSignal): Promise<JsonObject>;
  /** Merges `patch` into the dynamic configuration; null removes a key. Gives the whole. Repeats when another writer was first. */
  patchConfig(patch: JsonObject, signal?: AbortSignal): Promise<JsonObject>;
  /**
   * Restarts PostgreSQL of one member and waits for the answer. The answer may be lost: look at `status` afterwards.
   * @throws PgdbaError http_failed (with Patroni's words) | timeout
   */
  restart(api: string, timeoutMs: number, signal?: AbortSignal): Promise<void>;
}

/** All authorities that a system trusts are some 250 kB. */
const MAX_CA_BYTES = 4 * 1024 * 1024;
/** A patch is tried this many times against other writers of the same key. */
const PATCH_ATTEMPTS = 5;

/** A client of Patroni's REST API (docs: "Patroni REST API"); versions 2 to 4. Holds no connection. */
export async function patroniClient(spec: PatroniSpec): Promise<PatroniClient> {
  const api: Api = { spec, ca: authoritiesOf(spec) };
  return {
    members: async (signal) =>
      membersIn(await read(api, "/cluster", signal)).map((member) => ({
        ...member,
        api: spec.members?.[member.name] ?? member.api,
      })),
    status: async (member, signal) => objectIn(await send(api, `${member}/patroni`, { signal })),
    config: (signal) => read(api, "/config", signal),
    patchConfig: (patch, signal) => patchConfig(api, patch, signal),
    async restart(member, timeoutMs, signal) {
      const request = { method: "POST", body: {}, timeoutMs, signal } as const;
      const answer = await send(api, `${member}/restart`, request);
      if (answer.status !== 200) throw refused(answer);
    },
  };
}

function authoritiesOf({ cafile }: PatroniSpec): string | undefined {
  if (cafile === undefined) return undefined;
  return readText(cafile, {
    maxBytes: MAX_CA_BYTES,
    code: "invalid_config",
    hint: "Check patroni.cafile in the cluster's file: it must name the certificates of the authorities to trust.",
  });
}

async function read(api: Api, path: string, signal: AbortSignal | undefined): Promise<JsonObject> {
  const answer = await sendToAny(api, path, { signal });
  if (answer.status !== 200) throw refused(answer);
  return objectIn(answer);
}

async function patchConfig(
  api: Api,
  patch: JsonObject,
  signal: AbortSignal | undefined,
): Promise<JsonObject> {
  for (let attempt = 1; ; attempt++) {
    const answer = await sendToAny(api, "/config", { method: "PATCH", body: patch, signal });
    if (answer.status === 200) return objectIn(answer);
    if (answer.status !== 409 || attempt === PATCH_ATTEMPTS) throw refused(answer);
  }
}
