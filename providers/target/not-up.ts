import type { PgdbaError } from "../../engine/errors.ts";
import type { TargetFacts, TargetState } from "../../engine/types.ts";
import { type PatroniClient, patroniClient } from "../patroni/client.ts";
import { isUp, type PatroniMember } from "../patroni/members.ts";
import type { Capability } from "./capabilities.ts";
import { stateByNodes, type TargetNodes } from "./nodes.ts";
import type { TargetSource } from "./source.ts";

/** How long Patroni is given to say what runs, ms. */
const PATRONI_MS = 3_000;

/** The facts about a target whose server does not answer, for the reason `why`: another source may tell that nothing runs there. */
export async function whyNotUp(
  source: TargetSource,
  nodes: TargetNodes,
  why: PgdbaError,
): Promise<TargetFacts> {
  const [patroni, seen] = await Promise.all([askPatroni(source), nodes.look()]);
  const capabilities: Capability[] = [
    ...(patroni === null ? [] : (["patroni"] as const)),
    ...(patroni === null && !source.members?.length ? [] : (["member"] as const)),
    ...(source.dcs === undefined ? [] : (["dcs"] as const)),
    ...(source.pgbouncer === undefined ? [] : (["pgbouncer"] as const)),
    ...(source.nodes === undefined ? [] : (["nodes"] as const)),
    ...(source.repository === undefined ? [] : (["repository"] as const)),
  ];
  const silent: TargetState =
    patroni?.runs === false
      ? "down"
      : seen === undefined
        ? "unreachable"
        : stateByNodes(seen.nodes);
  return {
    state: source.partialBy === undefined ? silent : "partial",
    partialBy: source.partialBy,
    why,
    identity: null,
    capabilities,
    facts: seen === undefined ? {} : { can: seen.can },
  };
}

/** Tells whether a member runs, null where that is not known; null as a whole where Patroni does not answer. */
async function askPatroni({ patroni }: TargetSource): Promise<{ runs: boolean | null } | null> {
  if (patroni === undefined) return null;
  try {
    const client = await patroniClient(patroni);
    const signal = AbortSignal.timeout(PATRONI_MS);
    const members = await client.members(signal);
    const runs = await Promise.all(members.map((member) => isRunning(client, member, signal)));
    return { runs: runs.includes(true) ? true : runs.includes(null) ? null : false };
  } catch {
    return null;
  }
}

/** By what the member says itself; the store, which may be a loop old, counts for one that does not answer only when it says that it is stopped. */
async function isRunning(
  client: PatroniClient,
  { api, state }: PatroniMember,
  signal: AbortSignal,
): Promise<boolean | null> {
  try {
    return isUp(await client.status(api, signal));
  } catch {
    return state === "stopped" ? false : null;
  }
}
