/** The same of a node beside a cluster that pgdba did not make, or beside a server alone: everything is reached as pgdba itself reaches it. */
import { PgdbaError } from "../../../engine/errors.ts";
import { readText } from "../../../engine/shared/read-file.ts";
import type { JsonObject } from "../../../engine/types.ts";
import type { ClusterEntry } from "../../../providers/registry/read.ts";
import type { ClusterFile } from "../../../providers/registry/schema.ts";
import { MONITOR_ACCOUNT } from "../account.ts";
import { entryFrom, type Node, nodeAt } from "./home.ts";
import { HOME } from "./places.ts";
import type { Secure } from "./prometheus.ts";
import type { Place, Watched } from "./targets.ts";

const MAX_AUTHORITY = 1024 * 1024;

const serversIn = ({
  nodes = [],
}: ClusterFile): (Node & { at: { host: string; port: number } })[] =>
  nodes.flatMap((node) => {
    const at = node.reach ?? node.address;
    return at === undefined || !node.roles.includes("postgres")
      ? []
      : [{ ...node, at: { host: at.host, port: Number(at.port) } }];
  });

/** The files of authorities on the node, by whom they are trusted for; those that the entry names none for are left out. */
export function authoritiesOf({ spec, patroni, dcs, pgbouncer }: ClusterEntry): {
  files: Map<string, string>;
  at: { postgres?: string; patroni?: string; etcd?: string; pgbouncer?: string };
} {
  const named = {
    postgres: spec?.sslrootcert,
    patroni: patroni?.cafile,
    etcd: dcs?.cafile,
    pgbouncer: pgbouncer?.cafile,
  };
  const files = new Map<string, string>();
  const at: Record<string, string> = {};
  for (const [of, file] of Object.entries(named)) {
    if (file === undefined) continue;
    at[of] = `${HOME}/keys/${of}.ca`;
    files.set(at[of], readText(file, { maxBytes: MAX_AUTHORITY }));
  }
  return { files, at };
}

/** Which jobs of Prometheus speak TLS. */
export function secureOf({ patroni, dcs }: ClusterEntry, at: Record<string, string>): Secure {
  const isTls = (endpoints: readonly string[] | undefined): boolean =>
    endpoints?.[0]?.startsWith("https:") === true;
  return {
    ...(isTls(patroni?.endpoints) ? { patroni: at["patroni"] ?? null } : {}),
    ...(isTls(dcs?.endpoints) ? { etcd: at["etcd"] ?? null } : {}),
  };
}

/** Who is there to be watched. @throws PgdbaError step_refused: no server is reached over a network */
export function watchedBeside({
  name: cluster,
  data,
  spec,
  dcs,
  pgbouncer,
}: ClusterEntry): Watched {
  const members = serversIn(data).map(({ name, at, endpoints }) => {
    const api = endpoints?.patroni?.reach ?? endpoints?.patroni?.address;
    return { name, ...at, api: api === undefined ? null : Number(api.port) };
  });
  const alone =
    spec === null ? [] : [{ name: cluster, host: spec.host, port: spec.port, api: null }];
  const servers = members.length > 0 ? members : alone;
  if (servers.length === 0 || servers.some(({ host }) => host.startsWith("/")))
    throw new PgdbaError(
      "step_refused",
      `A server of ${cluster} is reached by a socket only, which what watches it can't do`,
      { hint: "Name its address in the entry, under `postgres` or `nodes`." },
    );
  const places = (urls: readonly string[]): Place[] =>
    urls.map((text) => {
      const { hostname, port, protocol } = new URL(text);
      const number = Number(port || (protocol === "https:" ? 443 : 80));
      const isOnce = urls.filter((one) => new URL(one).hostname === hostname).length === 1;
      return { name: isOnce ? hostname : `${hostname}:${number}`, host: hostname, port: number };
    });
  return {
    cluster,
    servers,
    etcd: places(dcs?.endpoints ?? []),
    poolers: (pgbouncer?.instances ?? []).map(({ name, host, port }) => ({ name, host, port })),
    hasDisks: false,
  };
}

/** `sslmode` as the servers were found to speak. */
export function entryBeside(
  { name: cluster, data, spec, patroni }: ClusterEntry,
  at: Record<string, string>,
): JsonObject {
  const account = data.accounts?.[MONITOR_ACCOUNT];
  if (spec === null || account === undefined)
    throw new PgdbaError(
      "step_refused",
      `The entry of ${cluster} does not say how its server is reached, or by which account it is watched`,
      { hint: `\`pgdba cluster show --cluster ${cluster}\` shows it.` },
    );
  const { repository } = data;
  return entryFrom(cluster, data, {
    user: account.user,
    postgres: {
      host: spec.host,
      port: spec.port,
      sslmode: spec.sslmode,
      ...(at["postgres"] === undefined ? {} : { sslrootcert: at["postgres"] }),
    },
    patroni:
      patroni === null
        ? undefined
        : {
            endpoints: patroni.endpoints,
            scope: data.patroni?.scope,
            namespace: data.patroni?.namespace,
            members: data.patroni?.members,
            cafile: at["patroni"],
          },
    nodes:
      data.nodes &&
      serversIn(data).map((node) => nodeAt(node, node.at, node.endpoints?.patroni?.reach)),
    // A folder of this machine is not seen from the node.
    repository: repository?.kind === "object_store" ? repository : undefined,
  });
}

/** The certificates of the authorities that Patroni and etcd are trusted by. */
export function trustedBy({ patroni, dcs }: ClusterEntry): string[] {
  return [patroni?.cafile, dcs?.cafile].flatMap((file) =>
    file === undefined ? [] : [readText(file, { maxBytes: MAX_AUTHORITY })],
  );
}
