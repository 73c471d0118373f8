/** All that a move of the primary role is judged by. */

/** A fact, or the reason why nobody could see it: that is never taken for a good one. */
export type Seen<T> = { value: T } | { unseen: string };

/** The moment at which a server's place in the WAL was read: its own monotonic time, ms. */
export interface Lsns {
  at: number;
  /** Of a primary the place of its next record, of a standby what it has on disk. */
  received: bigint;
  /** The same as `received` on a primary. */
  replayed: bigint;
}

export interface Facts {
  /** The members that hold the leader's role, as Patroni tells it. */
  leaders: string[];
  members: MemberFacts[];
  patroni: {
    pause: boolean;
    synchronous: "off" | "on" | "strict" | "quorum";
    /** `maximum_lag_on_failover`. */
    maxLag: number;
    ttl: number;
    loopWait: number;
    scheduled: { from: string | null; to: string | null; at: string } | null;
    /** The member that began the newest timeline, as Patroni's history tells it; null where it does not. */
    lastLeader: string | null;
    /** Where each earlier timeline ended, in bytes, by its number. */
    ends: Record<number, bigint>;
  };
  dcs: Seen<DcsFacts>;
  poolers: PoolerFacts[];
}

export interface DcsFacts {
  quorum: boolean;
  reachable: number;
  members: number;
  alarms: string[];
  /** The holder of the leader key; null when nobody holds it. */
  holder: string | null;
  /** Seconds that are left of the key. */
  ttlSeconds: number | null;
  /** The last place in the WAL that a leader has reported. */
  optime: bigint | null;
}

export interface MemberFacts {
  name: string;
  /** As Patroni's store has it: `leader`, `replica`, `sync_standby`, …; `gone` for one that is none of its members now. */
  role: string;
  state: string;
  patroni: Seen<PatroniFacts>;
  server: Seen<ServerFacts>;
  /** Read twice, with some time between. */
  lsns: Seen<[Lsns, Lsns]>;
  disk: Seen<DiskFacts[]>;
}

/** What a member's own Patroni says of it. */
export interface PatroniFacts {
  running: boolean;
  primary: boolean;
  state: string;
  identity: string | null;
  timeline: number | null;
  pendingRestart: boolean;
  scheduledRestart: boolean;
  watchdogFailed: boolean;
  /** Seconds since it last saw the store; null where it does not tell. */
  dcsAge: number | null;
  nofailover: boolean;
  nosync: boolean;
  /** Null without the tag. */
  priority: number | null;
}

export interface ServerFacts {
  standby: boolean;
  /** `server_version_num`. */
  version: number;
  identity: string | null;
  timeline: number | null;
  replayPaused: boolean;
  /** The state of its WAL receiver; null where it has none. */
  receiver: string | null;
  settings: Record<string, string>;
  connections: Seen<number>;
  /** Bytes written since the last checkpoint. */
  sinceCheckpoint: Seen<number>;
  standbys: Seen<{ name: string; state: string; sync: string }[]>;
  slots: Seen<SlotFacts[]>;
  prepared: Seen<{ gid: string; database: string; seconds: number }[]>;
  transactions: Seen<TransactionFacts[]>;
  baseBackups: Seen<{ pid: number; phase: string }[]>;
  archiver: Seen<{ failing: boolean; lastFailed: string | null; ready: number | null } | null>;
}

export interface SlotFacts {
  name: string;
  logical: boolean;
  temporary: boolean;
  active: boolean;
  status: string | null;
  /** Null before 17. */
  failover: boolean | null;
  synced: boolean | null;
  retained: number | null;
}

export interface TransactionFacts {
  pid: number;
  user: string;
  database: string;
  application: string;
  state: string;
  seconds: number;
}

export interface DiskFacts {
  of: string;
  path: string;
  freeBytes: number;
}

export interface PoolerFacts {
  name: string;
  /** Null where it has no follower. */
  follower: Seen<{
    route: string | null;
    paused: string | null;
    /** The members that it sees; the empty list of one that has not looked yet. */
    members: string[];
  } | null>;
}

export function valueOf<T>(seen: Seen<T>): T | undefined {
  return "value" in seen ? seen.value : undefined;
}

export function memberOf(facts: Facts, name: string | null): MemberFacts | undefined {
  return facts.members.find((member) => member.name === name);
}

/** The one leader; undefined when there is none or more than one. */
export function leaderOf(facts: Facts): MemberFacts | undefined {
  return facts.leaders.length === 1 ? memberOf(facts, facts.leaders[0]!) : undefined;
}

/** The bytes that a standby has still to receive and to replay, at the last reading; undefined where that was not seen. */
export function lagOf(
  leader: MemberFacts | undefined,
  standby: MemberFacts,
): { receive: number; replay: number; trend: number } | undefined {
  const ahead = leader && valueOf(leader.lsns);
  const own = valueOf(standby.lsns);
  if (ahead === undefined || own === undefined) return undefined;
  const behind = (from: bigint, to: bigint): number => Math.max(0, Number(from - to));
  return {
    receive: behind(ahead[1].received, own[1].received),
    replay: behind(ahead[1].received, own[1].replayed),
    trend: behind(ahead[1].received, own[1].replayed) - behind(ahead[0].received, own[0].replayed),
  };
}
