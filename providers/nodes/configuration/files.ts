/** The configuration of each node, as text, from the spec of its cluster. It never holds a secret: see `deployments/docker/start`. */
import etcdTemplate from "../../../templates/etcd.yml.hbs" with { type: "text" };
import patroniTemplate from "../../../templates/patroni.yml.hbs" with { type: "text" };
import pgbouncerTemplate from "../../../templates/pgbouncer.ini.hbs" with { type: "text" };
import { PgdbaError } from "../../../engine/errors.ts";
import type { NodeSpec, PatroniWish, Role, Spec } from "../contract.ts";
import { parametersOf, poolLimits } from "./parameters.ts";
import { renderTemplate } from "./render.ts";

/** Where things lie on a node. The start scripts know the same places. */
const PLACES = {
  configuration: "/etc/pgdba",
  secrets: "/run/secrets",
  data: "/var/lib/pgdba",
  /** A volume of its own for WAL, where there is one. */
  wal: "/var/lib/pgdba-wal",
} as const;

/** Key and certificate are one file, so that both are replaced at once. It outlives the container, as its secrets do. */
export const TLS_FILES = { authority: "ca.crt", own: "server.pem" } as const;
const TLS = {
  authority: `${PLACES.secrets}/${TLS_FILES.authority}`,
  own: `${PLACES.secrets}/${TLS_FILES.own}`,
};
const tlsOf = ({ tls }: Spec): typeof TLS | null => (tls === undefined ? null : TLS);

/** PgBouncer before 1.21 keeps no prepared statements, before 1.19 it has no database of its own for `auth_query`. */
const OLD_PGBOUNCER_UP_TO = 15;

/** What pgbouncer.ini and pg_hba.conf take without quotes. */
const PLAIN = /^[A-Za-z_][\w-]{0,62}$/;

export interface Sizes {
  /** WAL lies on a volume of its own. */
  walVolume?: boolean;
  /** The size of the volume that WAL lies on, where it has one. */
  walBytes?: number;
}

/**
 * The files of a node by their names below `/etc/pgdba`.
 * @throws PgdbaError invalid_config: the spec lacks Patroni's part or an account
 */
export function filesOf(spec: Spec, node: NodeSpec, sizes: Sizes = {}): Record<string, string> {
  const files: Record<string, string> = {};
  for (const role of node.roles) Object.assign(files, FILES[role]?.(spec, node.name, sizes));
  return files;
}

/** The secrets that a node needs: the account that each is for, and the secret's name. */
export function secretsOf(spec: Spec, node: NodeSpec): Record<string, string> {
  const secrets: Record<string, string> = {};
  for (const role of node.roles)
    for (const account of SECRETS[role] ?? []) {
      if (account === "owner" && spec.database === undefined) continue;
      // A cluster without PgBouncer has no role for it.
      if (OF_POOLERS.has(account) && role !== "pgbouncer" && !spec.accounts?.[account]) continue;
      secrets[account] = accountOf(spec, account).password;
    }
  return secrets;
}

const OF_POOLERS: ReadonlySet<string> = new Set(["pgbouncer", "pgbouncer_admin"]);

const SECRETS: Partial<Record<Role, readonly string[]>> = {
  postgres: ["superuser", "replication", "rewind", "patroni", "etcd", "pgbouncer", "owner"],
  etcd: ["etcd_root", "etcd"],
  pgbouncer: ["pgbouncer", "pgbouncer_admin"],
  backup: ["superuser", "replication"],
  monitoring: ["monitor"],
};

const FILES: Partial<
  Record<Role, (spec: Spec, node: string, sizes: Sizes) => Record<string, string>>
> = {
  postgres(spec, node, { walVolume = false, walBytes }) {
    const wish = patroniOf(spec);
    return {
      "patroni.yml": renderTemplate(patroniTemplate, {
        ...wish,
        node,
        etcd: nodesWith(spec, "etcd").map(({ name }) => `${name}:2379`),
        users: usersOf(spec, ["patroni", "etcd", "superuser", "replication", "rewind"]),
        synchronous: wish.synchronous_mode !== "off",
        strict: wish.synchronous_mode === "strict",
        parameters: parametersOf(spec, walBytes),
        data: `${PLACES.data}/data`,
        waldir: walVolume ? `${PLACES.wal}/wal` : null,
        tls: tlsOf(spec),
      }),
      "bootstrap.json": json({
        pgbouncer: spec.accounts?.["pgbouncer"]?.user ?? null,
        database: spec.database?.name ?? null,
        owner: spec.database?.owner ?? null,
      }),
    };
  },
  etcd(spec, node) {
    const scheme = spec.tls === undefined ? "http" : "https";
    return {
      "etcd.yml": renderTemplate(etcdTemplate, {
        node,
        scope: patroniOf(spec).scope,
        data: `${PLACES.data}/etcd`,
        scheme,
        members: nodesWith(spec, "etcd")
          .map(({ name }) => `${name}=${scheme}://${name}:2380`)
          .join(","),
        tls: tlsOf(spec),
      }),
      // Patroni's user sees its own part of the store, and nothing else.
      "accounts.json": json({
        prefix: "/service/",
        users: { [accountOf(spec, "etcd").user]: "etcd" },
      }),
    };
  },
  pgbouncer(spec, node) {
    const modern = spec.version > OLD_PGBOUNCER_UP_TO;
    const wish = patroniOf(spec);
    const tls = tlsOf(spec);
    return {
      "pgbouncer.ini": renderTemplate(pgbouncerTemplate, {
        node,
        ...poolLimits(spec.settings, nodesWith(spec, "pgbouncer").length),
        users: usersOf(spec, ["pgbouncer", "pgbouncer_admin"]),
        auth_dbname: modern,
        prepared: modern,
        tls,
      }),
      "follow.json": json({
        cluster: wish.scope,
        members: nodesWith(spec, "postgres").map(({ name }) => ({
          name,
          host: name,
          port: 5432,
          api: `${tls === null ? "http" : "https"}://${name}:8008`,
        })),
        ...(tls === null ? {} : { cafile: tls.authority }),
        ttl: wish.ttl,
        console: {
          host: "/run/pgbouncer",
          port: 6432,
          user: accountOf(spec, "pgbouncer_admin").user,
          password_file: "/run/pgbouncer/admin",
        },
        route: { file: "/run/pgbouncer/route.ini", by: "address" },
        listen: { host: "0.0.0.0", port: 6433, ...(tls === null ? {} : { certificate: tls.own }) },
      }),
    };
  },
};

function nodesWith(spec: Spec, role: Role): NodeSpec[] {
  return spec.nodes.filter(({ roles }) => roles.includes(role));
}

function patroniOf(spec: Spec): PatroniWish {
  if (spec.patroni !== undefined) return spec.patroni;
  throw new PgdbaError("invalid_config", "The spec does not say how Patroni runs the cluster", {
    hint: "Give `patroni` with its scope and times.",
  });
}

function usersOf(spec: Spec, accounts: readonly string[]): Record<string, string> {
  return Object.fromEntries(accounts.map((name) => [name, accountOf(spec, name).user]));
}

function accountOf(spec: Spec, name: string): { user: string; password: string } {
  const account =
    name === "superuser" || name === "replication" ? spec[name] : spec.accounts?.[name];
  if (account !== undefined && !PLAIN.test(account.user))
    throw new PgdbaError("invalid_config", `The user of ${name} can't be ${account.user}`, {
      hint: "Use letters, digits, `_` and `-`, with a letter first.",
    });
  if (account !== undefined) return account;
  throw new PgdbaError("invalid_config", `The spec has no account ${name}`, {
    hint: `Give \`accounts.${name}\` with its user and the name of its secret.`,
  });
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
