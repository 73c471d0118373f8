/** The spec of a whole cluster, as `cluster/init` makes it. */
import type { Spec } from "../../providers/nodes/contract.ts";

const account = (user: string, password: string) => ({ user, password });

export const SPEC: Spec = {
  version: 17,
  superuser: account("postgres", "superuser"),
  replication: account("replicator", "replication"),
  accounts: {
    rewind: account("rewinder", "rewind"),
    patroni: account("patroni", "patroni"),
    etcd: account("patroni", "etcd"),
    etcd_root: account("root", "etcd_root"),
    pgbouncer: account("pgbouncer", "pgbouncer"),
    pgbouncer_admin: account("pgbouncer_admin", "pgbouncer_admin"),
    owner: account("app", "owner"),
  },
  patroni: { scope: "demo", ttl: 24, loop_wait: 5, retry_timeout: 9, synchronous_mode: "off" },
  database: { name: "app", owner: "app" },
  nodes: [
    ...[1, 2, 3].map((n) => ({ name: `etcd${n}`, roles: ["etcd" as const] })),
    ...[1, 2, 3].map((n) => ({ name: `pg${n}`, roles: ["postgres" as const] })),
    { name: "pgbouncer1", roles: ["pgbouncer"] },
  ],
};

/** The same with all connections by TLS. */
export const BY_TLS: Spec = { ...SPEC, tls: { authority: "ca", names: ["db.example.com"] } };
