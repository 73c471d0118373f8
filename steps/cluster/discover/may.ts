import type { Json } from "../../../engine/types.ts";

/** What may be done later with a connected cluster, each with the reason, in words for a person. */
export interface May {
  what: string;
  can: boolean;
  why: string;
}

export interface Ways {
  superuser: boolean;
  patroniAccount: boolean;
  dcs: boolean;
  pgbouncer: boolean;
  /** The provider that was named, and why its hosts are not reached; null when they are. */
  provider: { name: string; why: string | null } | null;
}

export function mayLater(ways: Ways): (May & { [key: string]: Json })[] {
  const { superuser, patroniAccount, dcs, pgbouncer, provider } = ways;
  const hosts =
    provider === null
      ? "no provider was named that reaches its hosts (--provider)"
      : (provider.why ?? `by ${provider.name}`);
  const reached = provider !== null && provider.why === null;
  const api = patroniAccount
    ? "by Patroni's REST API, with the account that was named"
    : "by Patroni's REST API; where that asks for an account, name it: --patroni-user, --patroni-password-env";
  return [
    {
      what: "diagnosis",
      can: true,
      why: superuser
        ? "over SQL and Patroni's REST API"
        : "over SQL and Patroni's REST API; what the role may not read is told as such",
    },
    { what: "configuration", can: true, why: api },
    { what: "failover", can: true, why: api },
    {
      what: "holding clients back during a switchover",
      can: pgbouncer,
      why: pgbouncer ? "by the PgBouncers that were named" : "no PgBouncer was named (--pgbouncer)",
    },
    {
      what: "health of the DCS, and failover on proof of death",
      can: dcs,
      why: dcs ? "by the etcd that was named" : "no etcd was named (--etcd)",
    },
    { what: "backup", can: superuser, why: superuser ? "over SQL" : "the role is no superuser" },
    { what: "replicas: add, remove, rejoin", can: reached, why: hosts },
    { what: "faults on purpose", can: reached, why: hosts },
    { what: "destroying it", can: false, why: "pgdba did not make it" },
  ];
}
