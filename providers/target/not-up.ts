import { PgdbaError } from "../../engine/errors.ts";
import type { TargetFacts, TargetState } from "../../engine/types.ts";
import { type PatroniClient, patroniClient } from "../patroni/client.ts";
import { isUp, type PatroniMember } from "../patroni/members.ts";
import type { NodeInfo } from "../nodes/contract.ts";
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
    ...(source.monitoring === undefined ? [] : (["monitoring"] as const)),
  ];
  const silent: TargetState =
    patroni?.runs === false
      ? "down"
      : seen === undefined
        ? "unreachable"
        : stateByNodes(seen.nodes);
  const state = source.partialBy === undefined ? silent : "partial";
  return {
    state,
    partialBy: source.partialBy,
    why: state === "down" ? isDown(source, seen, why) : why,
    identity: null,
    capabilities,
    facts: seen === undefined ? {} : { can: seen.can },
  };
}

/** That nobody answers is no news where nothing runs: the error says that, and how it is started. */
function isDown(
  { name, cluster }: TargetSource,
  seen: { nodes: NodeInfo[]; can: Record<string, boolean> } | undefined,
  why: PgdbaError,
): PgdbaError {
  if (why.code !== "connection_failed" && why.code !== "timeout") return why;
  const servers = (seen?.nodes ?? []).filter(({ roles }) => roles.includes("postgres"));
  const states = servers.map((node) => `${node.node} ${node.state.running}`).join(", ");
  const said =
    seen === undefined
      ? "PostgreSQL runs on no member, as Patroni tells"
      : servers.length === 0
        ? "there is no node with PostgreSQL any more"
        : `PostgreSQL runs on none of its nodes (${states})`;
  const starts = servers.length > 0 && seen?.can["start"] === true && cluster !== null;
  return new PgdbaError(why.code, `${name} is down: ${said}`, {
    hint: starts
      ? `Start it: pgdba cluster start --cluster ${cluster}`
      : servers.length > 0 || seen === undefined
        ? "Start it where it runs; the logs of Patroni and PostgreSQL there say why they have stopped."
        : "What is left of it can be removed: pgdba cluster destroy.",
    data: why.data,
    nothingDone: why.nothingDone,
    cause: why,
  });
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
