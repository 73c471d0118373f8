import type { JsonObject } from "../../../engine/types.ts";
import { type NodeRecord, reachOf } from "./record.ts";
import { PORT } from "./roles.ts";

const ASK_MS = 3_000;

/** What the Patroni of a node says of itself, by whose API nobody has to log in to read; null when it says nothing. */
export async function patroniSays(record: NodeRecord): Promise<JsonObject | null> {
  const at = reachOf(record, PORT.patroni);
  if (at === null) return null;
  const scheme = record.spec.tls ? "https" : "http";
  try {
    const answer = await fetch(`${scheme}://${at.host}:${at.port}/patroni`, {
      signal: AbortSignal.timeout(ASK_MS),
      // The certificate names the node; here it is asked at a published port, and only read.
      tls: { rejectUnauthorized: false },
    });
    return (await answer.json()) as JsonObject;
  } catch {
    return null;
  }
}

/** True when it holds the leader key and its server takes writes. */
export function isPrimary(said: JsonObject | null): boolean {
  const role = said?.["role"];
  return (role === "primary" || role === "master") && said?.["state"] === "running";
}

/** The members that stream from this primary. */
export function streamersOf(said: JsonObject | null): string[] {
  const all = said?.["replication"];
  if (!Array.isArray(all)) return [];
  return all.flatMap((one) => {
    const { application_name, state } = one as JsonObject;
    return state === "streaming" ? [String(application_name)] : [];
  });
}
