/** Where Patroni keeps the state of a cluster: etcd here, the API of Kubernetes elsewhere. */

/** One scope of it. */
export interface DcsSpec {
  kind: "etcd3";
  /** Base URLs without a path; the first that answers is asked. */
  endpoints: string[];
  scope: string;
  /** The part of the store under which the scope stands, without slashes. */
  namespace: string;
  user?: string | undefined;
  password?: string | undefined;
  /** PEM file of the CAs to trust; those of the system without it. */
  cafile?: string | undefined;
}

export interface DcsAccess {
  readonly kind: DcsSpec["kind"];
  readonly scope: string;
  /** Asks each of its members. A store that does not answer is no error here. */
  health(): Promise<DcsHealth>;
  /** The holder of the leader key of this moment; null when nobody holds it. @throws PgdbaError connection_failed */
  leader(): Promise<LeaderKey | null>;
  /**
   * Removes the leader key if it is still this one, not renewed by anybody since; false when it is not. Changes nothing else.
   * @throws PgdbaError connection_failed: nobody knows then whether it was removed
   */
  removeLeader(key: LeaderKey): Promise<boolean>;
  /** The names of all scopes in the same part of the store, this one's too where it has keys. @throws PgdbaError connection_failed */
  scopes(): Promise<string[]>;
  /** All keys of the scope, with their values. */
  save(): Promise<Record<string, string>>;
  /** Removes the scope. */
  remove(): Promise<void>;
  /**
   * Puts keys back where none are, before any Patroni of the cluster is started: the first one that is makes a new scope. Under the old
   * `initialize`, which is the system identifier, Patroni refuses data of another one: `config` alone is put back then.
   * @throws PgdbaError step_refused
   */
  restore(keys: Record<string, string>): Promise<void>;
}

export interface LeaderKey {
  /** The member. */
  holder: string;
  /** Changes with each renewal that can be told; in words of the store. */
  revision: string;
  /** Seconds that are left of its lease; null where the store does not tell. */
  ttlSeconds: number | null;
}

export interface DcsHealth {
  /** A majority answers and agrees on a leader. */
  quorum: boolean;
  /** The revision by a read that the majority has confirmed; null without quorum. */
  revision: string | null;
  members: {
    name: string;
    endpoint: string | null;
    reachable: boolean;
    why: string | null;
    leader: boolean;
    version: string | null;
    dbBytes: number | null;
  }[];
  /** Alarms, such as `NOSPACE`. */
  alarms: string[];
}
