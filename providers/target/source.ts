import type { Target, TargetFacts } from "../../engine/types.ts";
import type { DcsSpec } from "../dcs/contract.ts";
import type { PgbouncerSpec } from "../pgbouncer/contract.ts";
import type { Opened } from "../nodes/contract.ts";
import type { MonitoringSpec } from "../monitoring/client.ts";
import type { PatroniSpec } from "../patroni/requests.ts";
import type { ConnectionSpec } from "../postgres/connect.ts";
import type { PgSession } from "../postgres/session.ts";
import type { RepositorySource } from "./repository-access.ts";

/** The place where a server listens. */
export interface Place {
  host: string;
  port: number;
}

/** A member of a cluster: where it is reached from here and, where the registry knows that too, by the other members. */
export interface Member extends Place {
  name: string;
  inside?: Place | undefined;
}

/** A server or a cluster as flags, environment or the registry describe it. */
export interface TargetSource {
  name: string;
  cluster: string | null;
  labels: string[];
  ownership: Target["ownership"];
  expectedIdentity: string | null;
  spec: ConnectionSpec;
  /** The places of the cluster's servers, beside the one in `spec`; each with its member's name. */
  members?: Member[];
  patroni?: PatroniSpec;
  dcs?: DcsSpec;
  pgbouncer?: PgbouncerSpec;
  /** The account that standbys log in as; the user of `spec` without it. */
  replication?: Pick<ConnectionSpec, "user" | "password">;
  /** Where its backups and its WAL are kept. */
  repository?: RepositorySource;
  /** What watches it. */
  monitoring?: MonitoringSpec;
  /** Opens the way to its nodes, where it is known who has them. */
  nodes?: () => Promise<Opened>;
  /** Its member's name, when it is one server of a registered cluster. */
  member?: string;
  /** True when nobody named it, and it is the only cluster that is registered. */
  assumed?: boolean;
  /** The flags that name it to another command. */
  flags?: readonly string[];
  /** The run that registered it and did not finish. */
  partialBy?: string | undefined;
  /** Is called before the first connection, when something that it needs is missing. @throws PgdbaError missing_secret */
  prepare?(needs?: { server?: boolean }): Promise<void>;
  /** The statements of the registry about the server that answers; without a session, about the one that should. */
  known?(
    session: PgSession | null,
    identity: string | null,
  ): Promise<Pick<TargetFacts, "known" | "places">>;
}
