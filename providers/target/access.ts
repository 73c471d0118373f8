import type { DcsAccess } from "../dcs/contract.ts";
import type { MonitoringAccess } from "../monitoring/client.ts";
import type { PgbouncerAccess } from "../pgbouncer/contract.ts";
import type { Nodes } from "../nodes/contract.ts";
import type { PatroniClient } from "../patroni/client.ts";
import type { ConnectionSpec } from "../postgres/connect.ts";
import type { ReplicationSession } from "../postgres/replication/session.ts";
import type { PgSession, QueryResult } from "../postgres/session.ts";
import type { RepositoryAccess } from "./repository-access.ts";

/**
 * The things that `ctx.use` hands out, by the word that a step type declares under `needs` or `uses`. A step that reads gets only what reads:
 * its SQL runs in READ ONLY transactions, and verbs that change something are refused.
 */
declare module "../../engine/types.ts" {
  interface Access {
    /** The named server of a bare target, the writable primary of a cluster. */
    postgres: PostgresAccess;
    /** The members of a cluster, each by a connection of its own. */
    member: MemberAccess;
    /** The REST API of the Patroni that runs the cluster. */
    patroni: PatroniClient;
    /** The store of Patroni's state. */
    dcs: DcsAccess;
    /** The PgBouncers in front of the cluster. */
    pgbouncer: PgbouncerAccess;
    /** The hosts, containers, pods or processes that the cluster runs on. */
    nodes: Nodes;
    /** Where the backups and the WAL of the cluster are kept. */
    repository: RepositoryAccess;
    /** What watches the cluster. */
    monitoring: MonitoringAccess;
  }
}

export interface StatementOptions {
  /** The server cancels the statement after this many milliseconds. */
  timeoutMs?: number | undefined;
  /** How long to wait for a lock, in milliseconds. */
  lockTimeoutMs?: number | undefined;
  /** Rows kept; more are told as `truncated`. 10,000 for a query, 1,000 for what changes something. */
  maxRows?: number | undefined;
}

export interface PostgresAccess {
  /** The place of the server and our role there; the password stays here. */
  readonly spec: Readonly<Omit<ConnectionSpec, "password">>;
  /**
   * Asks one statement that only reads, by the rules of `sql.query`: in a READ ONLY transaction that is rolled back, and refused when it
   * calls what may act. Values of `$1`, `$2`, … go in by `values`.
   * @throws PgdbaError step_refused | query_failed | insufficient_privilege | timeout | connection_failed
   */
  query(
    sql: string,
    values?: readonly unknown[],
    options?: Omit<StatementOptions, "lockTimeoutMs"> & {
      /** False where an index may be damaged: tables are read from end to end. */
      indexes?: false | undefined;
    },
  ): Promise<QueryResult>;
  /**
   * Changes something by one statement, in a transaction of its own.
   * @throws PgdbaError step_refused for a step that reads; otherwise as `query`. needs_operator when nobody knows whether it happened
   */
  execute(
    sql: string,
    values?: readonly unknown[],
    options?: StatementOptions,
  ): Promise<QueryResult>;
  /**
   * The session that all steps of the run share, one for each database. One that died is opened again, at the primary of the moment, when it is asked for again:
   * so ask for it when it is needed, and don't keep it.
   * @throws PgdbaError connection_failed | missing_secret | identity_mismatch | lock_lost (another run holds the target by now)
   */
  session(database?: string): Promise<PgSession>;
  /**
   * A further session, to this database or another one of the same server; the caller closes it. Gives up connecting after `timeoutMs`.
   * `through`: the way of the cluster's clients, by the name of one of its PgBouncers.
   */
  open(database?: string, options?: { timeoutMs?: number; through?: string }): Promise<PgSession>;
  /**
   * Puts our password into a new file (0600) for PGPASSFILE, so that a client program of PostgreSQL can log in as we do; false where none is
   * known. Whoever asked removes it. Not for a user's own step types.
   * @throws PgdbaError step_refused | missing_secret | io_failed
   */
  passfile(file: string): Promise<boolean>;
  /**
   * A connection of the replication protocol to the same server; the caller closes it. For steps that change something, of pgdba's own.
   * @throws PgdbaError step_refused | connection_failed | insufficient_privilege, with what to allow
   */
  replication(): Promise<ReplicationSession>;
}

export interface MemberAccess {
  /** The names of all members. */
  list(): Promise<string[]>;
  /** The names of those that the registry knows; Patroni may list others. */
  registered(): string[];
  /** Where its PostgreSQL is reached from here. @throws PgdbaError invalid_param */
  place(member: string): Promise<{ host: string; port: number }>;
  /** The name of the member that a person means: by its name, its host, or host:port. @throws PgdbaError invalid_param */
  find(member: string): Promise<string>;
  /**
   * A session with one member, whatever its role, by its name (or by what `find` takes); the caller closes it.
   * Gives up connecting after `timeoutMs`.
   * @throws PgdbaError invalid_param when there is no such member | connection_failed
   */
  open(member: string, database?: string, options?: { timeoutMs?: number }): Promise<PgSession>;
  /**
   * A way to open sessions with one member again and again: nobody is asked any more where it is, who may not answer while things break.
   * @throws PgdbaError invalid_param
   */
  way(
    member: string,
  ): Promise<(options?: { database?: string; timeoutMs?: number }) => Promise<PgSession>>;
  /** As that of `postgres`, to one member. */
  replication(member: string): Promise<ReplicationSession>;
}
