import { PgdbaError } from "../../engine/errors.ts";
import { sleep } from "../../engine/shared/sleep.ts";
import type { JsonObject } from "../../engine/types.ts";
import { firstAnswer } from "../first-answer.ts";
import { clusterIn, type PatroniCluster } from "./members.ts";
import { type Answer, type Api, objectIn, refused, type Request, send } from "./requests.ts";
import { type PatroniStatus, statusIn } from "./status.ts";

/** Pauses between rounds: doubled from the first to the last, ms. */
const FIRST_PAUSE_MS = 100;
const LAST_PAUSE_MS = 2_000;

/** Patroni's own, s. */
const DEFAULT_LOOP = 10;

/** The checks that load balancers use: each answers 200 or 503. `primary` and `leader` say 200 for the key alone, before PostgreSQL is promoted. */
export type PatroniCheck =
  | "liveness"
  | "readiness"
  | "primary"
  | "leader"
  | "replica"
  | "synchronous"
  | "health";

export async function readCluster(api: Api, signal?: AbortSignal): Promise<PatroniCluster> {
  return clusterIn(await readObject(api, "/cluster", signal), api.spec.members);
}

/** What a member says of itself, now. */
export async function readStatus(
  api: Api,
  member: string,
  signal?: AbortSignal,
): Promise<PatroniStatus> {
  return statusIn(objectIn(await send(api, `${member}/patroni`, { signal })));
}

/** The length of Patroni's loop, s. */
export async function loopSeconds(api: Api, signal?: AbortSignal): Promise<number> {
  return Number((await readObject(api, "/config", signal))["loop_wait"]) || DEFAULT_LOOP;
}

/** What one member says of itself, now. @throws PgdbaError http_failed | timeout | connection_failed */
export async function isHealthy(
  api: Api,
  member: string,
  check: PatroniCheck,
  signal?: AbortSignal,
): Promise<boolean> {
  const answer = await send(api, `${member}/${check}`, { signal });
  if (answer.status === 200) return true;
  if (answer.status === 503) return false;
  throw refused(answer);
}

/** @throws PgdbaError http_failed | timeout | connection_failed */
export async function readObject(
  api: Api,
  path: string,
  signal?: AbortSignal,
): Promise<JsonObject> {
  const answer = await readAny(api, path, signal);
  if (answer.status !== 200) throw refused(answer);
  return objectIn(answer);
}

/**
 * Reads `path` from whichever endpoint answers first, again and again for as long as the client is patient.
 * @throws PgdbaError http_failed | timeout | connection_failed, or the signal's reason
 */
export async function readAny(api: Api, path: string, signal?: AbortSignal): Promise<Answer> {
  const ends = performance.now() + api.patienceMs;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LAST_PAUSE_MS)) {
    try {
      return await firstAnswer(inOrder(api), (one, ends) => ask(api, one, path, ends), signal);
    } catch (error) {
      const again = error instanceof PgdbaError && error.retryable;
      if (!again || performance.now() + pause >= ends || signal?.aborted) throw error;
    }
    await sleep(pause, signal);
  }
}

async function ask(api: Api, endpoint: string, path: string, signal: AbortSignal): Promise<Answer> {
  const answer = await send(api, `${endpoint}${path}`, { signal });
  // 502 and 503: this member has lost the store; another may see it.
  if (answer.status >= 500) throw refused(answer);
  api.last = endpoint;
  return answer;
}

/** Sends what changes something to the endpoint that answers reads just now; never twice. */
export async function sendToOne(api: Api, path: string, request: Request): Promise<Answer> {
  await readAny(api, "/cluster", request.signal);
  return send(api, `${inOrder(api)[0]}${path}`, request);
}

function inOrder({ spec: { endpoints }, last }: Api): string[] {
  return last === undefined ? endpoints : [last, ...endpoints.filter((one) => one !== last)];
}
