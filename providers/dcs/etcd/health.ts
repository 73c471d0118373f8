import { PgdbaError, toPgdbaError } from "../../../engine/errors.ts";
import type { JsonObject } from "../../../engine/types.ts";
import type { DcsHealth, DcsSpec } from "../contract.ts";
import type { EtcdGateway } from "./gateway.ts";
import { base64, scopePath } from "./keys.ts";

/** How long all of it may take, ms: who shows it waits 3 s. A member that is silent keeps nobody from hearing of the others. */
const LOOK_MS = 2_500;

type Member = DcsHealth["members"][number];

/** The answer of one endpoint, or why there is none. */
interface Asked {
  endpoint: string;
  id: string | null;
  status: JsonObject;
  why: string | null;
}

/** See `DcsAccess.health`. @throws PgdbaError insufficient_privilege | http_failed for an account that may not ask */
export async function readHealth(gateway: EtcdGateway, spec: DcsSpec): Promise<DcsHealth> {
  const until = AbortSignal.timeout(LOOK_MS);
  const [asked, listed, revision, alarms] = await Promise.all([
    Promise.all(gateway.endpoints.map((endpoint) => askStatus(gateway, endpoint, until))),
    listMembers(gateway, until),
    confirmedRevision(gateway, spec, until),
    readAlarms(gateway, until),
  ]);
  const members = await Promise.all(listed.map((one) => memberOf(gateway, one, asked, until)));
  const unknown = asked.filter(({ id }) => !listed.some((one) => id !== null && one.id === id));
  // An endpoint that does not answer is told by itself where nobody tells whose it is.
  const silent = unknown.filter(
    ({ endpoint }) => !members.some((member) => member.endpoint === endpoint),
  );
  return {
    quorum: revision !== null,
    revision,
    members: listed.length === 0 ? silent.map(unnamed) : members,
    alarms,
  };
}

interface Listed {
  id: string;
  name: string;
  urls: string[];
}

/** As the member that answers has them; nobody, where none does. */
async function listMembers(gateway: EtcdGateway, until: AbortSignal): Promise<Listed[]> {
  const answer = await orNull(gateway.ask("/cluster/member/list", {}, LOOK_MS), until);
  const list = answer?.answer["members"];
  return (Array.isArray(list) ? list : []).map((one) => {
    const { ID, name, clientURLs } = one as { ID?: string; name?: string; clientURLs?: string[] };
    return { id: ID ?? "", name: name ?? "", urls: clientURLs ?? [] };
  });
}

async function askStatus(
  gateway: EtcdGateway,
  endpoint: string,
  until: AbortSignal,
): Promise<Asked> {
  try {
    const bounds = { timeoutMs: LOOK_MS, open: true };
    const status = await before(until, gateway.at(endpoint, "/maintenance/status", {}, bounds));
    if (status === null) return { endpoint, id: null, status: {}, why: LATE };
    const { member_id } = (status["header"] ?? {}) as { member_id?: string };
    return { endpoint, id: member_id ?? null, status, why: null };
  } catch (thrown) {
    return { endpoint, id: null, status: {}, why: toPgdbaError(thrown).message };
  }
}

/** By the endpoint that it answered at, or else by the place that it tells itself. */
async function memberOf(
  gateway: EtcdGateway,
  listed: Listed,
  asked: Asked[],
  until: AbortSignal,
): Promise<Member> {
  const own = asked.find(({ id }) => id === listed.id);
  if (own !== undefined) return told(listed, own);
  const given = asked.find(({ endpoint }) => listed.urls.includes(endpoint));
  const [url] = listed.urls;
  // All endpoints may be other places than those that the members tell: then one that is silent can't be asked elsewhere.
  const all = asked.length >= 1 && asked.every(({ id }) => id !== null);
  const found =
    given ??
    (url !== undefined && all
      ? await askStatus(gateway, url.replace(/\/$/, ""), until)
      : undefined);
  return told(listed, found ?? { endpoint: url ?? "", id: null, status: {}, why: SILENT });
}

const LATE = `no answer within ${LOOK_MS / 1000} s`;
const SILENT = "none of the endpoints that answer is its";

function told({ id, name, urls }: Listed, { endpoint, status, why, ...asked }: Asked): Member {
  const reachable = asked.id === id;
  const { leader, version, dbSize } = status as Record<string, string | undefined>;
  return {
    name: name || (urls[0] ?? id),
    endpoint: endpoint || null,
    reachable,
    why: reachable ? null : (why ?? SILENT),
    leader: reachable && leader === id,
    version: reachable ? (version ?? null) : null,
    dbBytes: reachable && dbSize !== undefined ? Number(dbSize) : null,
  };
}

function unnamed({ endpoint, status, why, id }: Asked): Member {
  return told({ id: id ?? "?", name: endpoint, urls: [endpoint] }, { endpoint, id, status, why });
}

/** The revision by a read that a majority has confirmed. */
async function confirmedRevision(
  gateway: EtcdGateway,
  spec: DcsSpec,
  until: AbortSignal,
): Promise<string | null> {
  const key = base64(`${scopePath(spec)}leader`);
  const answer = await orNull(gateway.ask("/kv/range", { key, count_only: true }, LOOK_MS), until);
  const { revision } = (answer?.answer["header"] ?? {}) as { revision?: string };
  return revision ?? null;
}

async function readAlarms(gateway: EtcdGateway, until: AbortSignal): Promise<string[]> {
  const answer = await orNull(gateway.ask("/maintenance/alarm", { action: "GET" }, LOOK_MS), until);
  const list = answer?.answer["alarms"];
  const names = (Array.isArray(list) ? list : []).map((one) =>
    String((one as JsonObject)["alarm"] ?? ""),
  );
  return [...new Set(names)].filter(Boolean);
}

/** Null when no member can say in time; an account that may not ask is an error. */
async function orNull<T>(asked: Promise<T>, until: AbortSignal): Promise<T | null> {
  try {
    return await before(until, asked);
  } catch (error) {
    if (error instanceof PgdbaError && error.code === "connection_failed") return null;
    throw error;
  }
}

/** Null when the time has run out: what a call does in turn (its path, a token) has limits of its own. */
function before<T>(until: AbortSignal, asked: Promise<T>): Promise<T | null> {
  const late = new Promise<null>((give) => {
    if (until.aborted) give(null);
    until.addEventListener("abort", () => give(null), { once: true });
  });
  return Promise.race([asked, late]);
}
