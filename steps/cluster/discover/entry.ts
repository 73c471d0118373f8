import { isAbsolute, resolve } from "node:path";
import type { ClusterFile } from "../../../providers/registry/schema.ts";
import { placeIn } from "../../../providers/target/member-name.ts";
import type { Judged } from "./judge.ts";
import type { Found } from "./probe.ts";

/** What a person said of the cluster, beside what was found. Passwords are named by their variables. */
export interface Said {
  postgres: {
    host: string | null;
    port: number | null;
    user: string;
    database: string;
    sslmode: NonNullable<NonNullable<ClusterFile["postgres"]>["sslmode"]>;
    sslrootcert: string | null;
    passwordEnv: string | undefined;
  };
  patroni: {
    user: string | null;
    passwordEnv: string | null;
    cafile: string | null;
    namespace: string;
  };
  etcd: {
    endpoints: string[];
    user: string | null;
    passwordEnv: string | null;
    cafile: string | null;
  };
  pgbouncer: { instances: string[]; user: string | null; passwordEnv: string | null };
  provider: ClusterFile["provider"] | null;
  sshUser: string | null;
  cwd: string;
}

/** The parts of the registry's entry for a cluster that was found. */
export function entryOf(
  found: readonly Found[],
  { leader, identity, scope, version_num }: Judged,
  said: Said,
): Omit<ClusterFile, "ownership"> {
  const { postgres, patroni, etcd, pgbouncer, provider, sshUser, cwd } = said;
  const fileAt = (path: string | null): string | undefined =>
    path === null ? undefined : isAbsolute(path) ? path : resolve(cwd, path);
  const moved = found.filter(({ api, apiTold }) => api !== apiTold);
  return given({
    version: Math.floor(version_num / 10_000),
    system_identifier: identity,
    provider: provider ?? undefined,
    place: sshUser === null ? undefined : { user: sshUser },
    postgres: given({
      host: postgres.host ?? leader.reach.host,
      port: postgres.port ?? (postgres.host === null ? leader.reach.port : 5432),
      user: postgres.user,
      database: postgres.database,
      sslmode: postgres.sslmode,
      sslrootcert: fileAt(postgres.sslrootcert),
      password_env: postgres.passwordEnv,
    }),
    patroni: given({
      endpoints: found.map(({ api }) => api),
      scope: scope ?? undefined,
      namespace: patroni.namespace,
      members:
        moved.length === 0
          ? undefined
          : Object.fromEntries(moved.map((one) => [one.name, one.api])),
      user: patroni.user ?? undefined,
      cafile: fileAt(patroni.cafile),
      password_env: patroni.passwordEnv ?? undefined,
    }),
    dcs:
      etcd.endpoints.length === 0
        ? undefined
        : given({
            kind: "etcd3" as const,
            endpoints: etcd.endpoints,
            user: etcd.user ?? undefined,
            cafile: fileAt(etcd.cafile),
            password_env: etcd.passwordEnv ?? undefined,
          }),
    pgbouncer:
      pgbouncer.instances.length === 0
        ? undefined
        : given({
            instances: pgbouncer.instances.map(instanceOf),
            user: pgbouncer.user ?? undefined,
            password_env: pgbouncer.passwordEnv ?? undefined,
          }),
    nodes: found.map(nodeOf),
  });
}

function nodeOf({ name, address, reach, api, apiTold }: Found) {
  const isSame = address.host === reach.host && address.port === reach.port;
  const [patroni, patroniReach] = [apiTold, api].map(placeOfUrl);
  return {
    name,
    roles: ["postgres" as const],
    address,
    ...(isSame ? {} : { reach }),
    ...(patroni === undefined || patroniReach === undefined
      ? {}
      : { endpoints: { patroni: { address: patroni, reach: patroniReach } } }),
  };
}

function instanceOf(text: string, at: number) {
  const place = placeIn(text);
  return { name: `pgbouncer${at + 1}`, host: place?.host ?? text, port: place?.port ?? 6432 };
}

function placeOfUrl(text: string): { host: string; port: number } | undefined {
  if (!URL.canParse(text)) return undefined;
  const { hostname, port, protocol } = new URL(text);
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  return { host, port: Number(port || (protocol === "https:" ? 443 : 80)) };
}

/** Without the keys that have no value. */
type Given<T> = { [K in keyof T]: Exclude<T[K], undefined> };
export function given<T extends object>(all: T): Given<T> {
  return Object.fromEntries(
    Object.entries(all).filter(([, value]) => value !== undefined),
  ) as Given<T>;
}
