import type { JsonObject } from "../../engine/types.ts";
import { readObject, sendToOne } from "./read.ts";
import { type Answer, type Api, objectIn, refused } from "./requests.ts";

/** A patch is tried this many times against other writers of the same key. */
const PATCH_ATTEMPTS = 5;

/** See `PatroniClient.patchConfig`. */
export async function patchConfig(
  api: Api,
  patch: JsonObject,
  signal?: AbortSignal,
): Promise<JsonObject> {
  // Patroni does not answer a patch that says nothing.
  if (Object.keys(patch).length === 0) return readObject(api, "/config", signal);
  for (let attempt = 1; ; attempt++) {
    const answer = await sendToOne(api, "/config", { method: "PATCH", body: patch, signal });
    if (answer.status === 200) return objectIn(answer);
    if (answer.status !== 409 || attempt === PATCH_ATTEMPTS) throw refused(answer);
  }
}

/** See `PatroniClient.putConfig`. */
export async function putConfig(
  api: Api,
  config: JsonObject,
  signal?: AbortSignal,
): Promise<JsonObject> {
  const answer: Answer = await sendToOne(api, "/config", { method: "PUT", body: config, signal });
  if (answer.status !== 200) throw refused(answer);
  return objectIn(answer);
}
