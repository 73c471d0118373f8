import { PgdbaError, toPgdbaError } from "../../../engine/errors.ts";
import { patroniClient, type PatroniClient } from "../../../providers/patroni/client.ts";
import type { PatroniStatus } from "../../../providers/patroni/status.ts";
import type { PatroniMember } from "../../../providers/patroni/members.ts";
import type { ConnectionSpec } from "../../../providers/postgres/connect.ts";
import { identityOf } from "../../../providers/postgres/identity.ts";
import { openSession } from "../../../providers/postgres/session.ts";
import { placeIn } from "../../../providers/target/member-name.ts";

/** Where a member is reached from here, where that is another place than the one that Patroni tells. */
export interface Override {
  patroni?: string | undefined;
  postgres?: string | undefined;
}

export interface Found {
  name: string;
  role: string;
  /** Where other members reach its PostgreSQL, and where it is reached from here. */
  address: { host: string; port: number };
  reach: { host: string; port: number };
  api: string;
  /** The URL that Patroni itself tells. */
  apiTold: string;
  /** Its answer to `GET /patroni`; null when its API can't be reached. */
  status: PatroniStatus | null;
  statusWhy: string | null;
  /** What its PostgreSQL says; null when it can't be reached. */
  server: Server | null;
  serverWhy: PgdbaError | null;
}

export interface Server {
  identity: string | null;
  version_num: number;
  standby: boolean;
  /** Of a standby: the state of its WAL receiver; null when none runs, or the role may not see it. */
  receiver: string | null;
  /** Names of the standbys that stream from it. */
  streams: string[];
}

const SERVER = `SELECT pg_is_in_recovery() AS standby, (SELECT status FROM pg_stat_wal_receiver) AS receiver,
  ARRAY(SELECT application_name FROM pg_stat_replication WHERE state = 'streaming' ORDER BY 1) AS streams`;
const CONNECT_MS = 5_000;

export interface Asking {
  endpoints: string[];
  cafile: string | undefined;
  overrides: Readonly<Record<string, Override>>;
  /** The connection that each member is reached by, but for its place. */
  spec: Omit<ConnectionSpec, "host" | "port">;
  signal: AbortSignal;
}

/** Asks one Patroni for all members, and then each of them, over its API and by SQL. @throws PgdbaError connection_failed | http_failed */
export async function findMembers(asking: Asking): Promise<Found[]> {
  const { endpoints, cafile, signal } = asking;
  const client = await patroniClient({ endpoints, ...(cafile === undefined ? {} : { cafile }) });
  const members = await client.members(signal).catch((thrown: unknown) => {
    const { code, message } = toPgdbaError(thrown);
    throw new PgdbaError(code, message, {
      hint: "Check --patroni-url: it is the URL of Patroni's REST API of any member, such as http://db1:8008. A PostgreSQL without Patroni can't be connected as a cluster; name it with --host.",
      cause: thrown,
    });
  });
  const given = await namesOf(client, endpoints, members, signal);
  return Promise.all(members.map((member) => lookAt(member, client, given, asking)));
}

/** The members whose API is one of the URLs that were given, which may not be the one that Patroni tells. */
async function namesOf(
  client: PatroniClient,
  endpoints: readonly string[],
  members: readonly PatroniMember[],
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  for (const endpoint of endpoints) {
    const status = await client.status(endpoint, signal).catch(() => null);
    const name = status?.patroni.name;
    const told = members.find(({ api }) => api === endpoint)?.name;
    const found = name ?? told;
    if (found !== undefined) names.set(found, endpoint);
  }
  return names;
}

async function lookAt(
  member: PatroniMember,
  client: PatroniClient,
  given: ReadonlyMap<string, string>,
  { overrides, spec, signal }: Asking,
): Promise<Found> {
  const { name, role } = member;
  const override = overrides[name] ?? {};
  const address = { host: member.host, port: member.port };
  const at = override.postgres === undefined ? undefined : placeIn(override.postgres);
  const reach = at === undefined ? address : { host: at.host, port: at.port ?? 5432 };
  const api = override.patroni?.replace(/\/$/, "") ?? given.get(name) ?? member.api;
  const [status, server] = await Promise.all([
    client.status(api, signal).then(
      (value) => ({ value, why: null }),
      (thrown: unknown) => ({ value: null, why: toPgdbaError(thrown).message }),
    ),
    ask({ ...spec, ...reach, connect_timeout_ms: CONNECT_MS }).then(
      (value) => ({ value, why: null }),
      (thrown: unknown) => ({ value: null, why: toPgdbaError(thrown, "connection_failed") }),
    ),
  ]);
  signal.throwIfAborted();
  return {
    name,
    role,
    address,
    reach,
    api,
    apiTold: member.api,
    status: status.value,
    statusWhy: status.why,
    server: server.value,
    serverWhy: server.why,
  };
}

async function ask(spec: ConnectionSpec): Promise<Server> {
  const session = await openSession(spec);
  try {
    const { rows } = await session.ask(SERVER);
    const { standby, receiver, streams } = rows[0] as unknown as Omit<
      Server,
      "identity" | "version_num"
    >;
    const identity = await identityOf(session);
    const { version_num } = session.info;
    return { identity, version_num, standby, receiver, streams };
  } finally {
    await session.close();
  }
}
