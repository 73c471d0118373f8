/** The PgBouncers in front of a cluster. */
import type { SslMode } from "../postgres/connect.ts";

export interface PgbouncerSpec {
  /** An admin of the console, and of the follower. */
  user: string;
  password?: string | undefined;
  /** Of the console; `prefer` without it. */
  sslmode?: SslMode | undefined;
  /** PEM file of the CAs to trust, for console and follower; those of the system without it. */
  cafile?: string | undefined;
  instances: PgbouncerInstance[];
}

export interface PgbouncerInstance {
  name: string;
  host: string;
  port: number;
  /** The URL of its follower; without one its route and pause are nobody's. */
  follower?: string;
}

export interface PgbouncerAccess {
  readonly instances: readonly PgbouncerInstance[];
  /** One of the console's SHOW commands, as rows. @throws PgdbaError connection_failed | invalid_param */
  show(instance: string, what: string): Promise<Record<string, unknown>[]>;
  /** Reads its configuration anew. */
  reload(instance: string): Promise<void>;
  /**
   * Writes a record into the WAL as the cluster's own role, by this way alone, and gives the place after it: a standby that has replayed
   * so far has the write. No table is touched.
   * @throws PgdbaError connection_failed | query_failed
   */
  write(instance: string): Promise<{ lsn: string }>;
  /**
   * Asks the follower to hold clients back, for `capMs` at most: after that it lets them go by itself, whoever asked. Resolves when no
   * transaction is open any more. Asked again by the same holder it moves the cap.
   * @throws PgdbaError timeout: transactions did not end within `waitMs`, clients are let go again | step_refused: another holds it
   */
  pause(instance: string, pause: PauseWish): Promise<void>;
  /** Asks the follower to let clients go; nothing to do when it does so already. */
  resume(instance: string, holder: string): Promise<void>;
  /** How the follower sees things; null where there is none. @throws PgdbaError connection_failed */
  follower(instance: string): Promise<FollowerState | null>;
}

export interface PauseWish {
  holder: string;
  /** They go on by themselves after this. */
  capMs: number;
  /** How long open transactions are given to end. */
  waitMs: number;
  /** They go on as well, at once, when this member leads on a later timeline than the one that they were held back on. */
  untilPrimary?: string | undefined;
}

export interface FollowerState {
  /** The member that clients are sent to; null when there is none that answers as the primary. */
  route: { member: string; host: string; port: number; timeline: number | null } | null;
  since: string;
  /** The reason why clients are kept where they are, or let nowhere. */
  why: string | null;
  /** `wait`: they are held back, because somebody asked or because no member leads. */
  clients: "go on" | "wait" | "unknown";
  paused: { holder: string; leftMs: number } | null;
  /** Members as it last saw them. */
  members: { name: string; primary: boolean; timeline: number | null; why: string | null }[];
}
