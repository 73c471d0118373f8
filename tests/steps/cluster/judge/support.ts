import type { Gathered, MemberSeen, PoolerSeen } from "../../../../steps/cluster/gather/cluster.ts";
import type { Answer, ServerNow } from "../../../../steps/cluster/gather/server.ts";
import { clusterIn } from "../../../../providers/patroni/members.ts";
import { statusIn } from "../../../../providers/patroni/status.ts";

export const ok = <T>(value: T): Answer<T> => ({ value, why: null, code: null });
export const no = (why = "no answer"): Answer<never> => ({
  value: null,
  why,
  code: "connection_failed",
});

export function server(more: Partial<ServerNow> = {}): ServerNow {
  return {
    identity: "7",
    version: "17.4 (Debian)",
    standby: true,
    lsn: null,
    receive_lsn: "0/2000000",
    replay_lsn: "0/2000000",
    timeline: 3,
    replay_paused: false,
    receiver: "streaming",
    sender_host: null,
    sender_port: null,
    streams: [],
    slots: [],
    pending_restart: [],
    archive: {
      mode: "on",
      command: "pgbackrest archive-push %p",
      library: "",
      archived: 1,
      failed: 0,
      last_archived_at: "2026-01-01T00:00:00Z",
      last_failed_at: null,
    },
    tls: false,
    connections: 3,
    max_connections: 100,
    started_at: "2026-01-01T00:00:00Z",
    ...more,
  };
}

export function stream(name: string, more: object = {}) {
  return { name, state: "streaming", sync_state: "async", replay_lag_ms: null, ...more };
}

export function primary(more: Partial<ServerNow> = {}): ServerNow {
  return server({
    standby: false,
    lsn: "0/2000000",
    receive_lsn: null,
    replay_lsn: null,
    receiver: null,
    streams: [stream("pg2"), stream("pg3")],
    ...more,
  });
}

export function seen(
  name: string,
  now: ServerNow | null,
  more: Partial<MemberSeen> = {},
): MemberSeen {
  return {
    name,
    reach: { host: name, port: 5432 },
    server: now === null ? no() : ok(now),
    api: null,
    facts: null,
    ...more,
  };
}

/** What its own Patroni says. */
export function api(status: object, leads: boolean | null = false): NonNullable<MemberSeen["api"]> {
  const answer = {
    state: "running",
    role: "replica",
    patroni: { version: "4.0.4", scope: "main" },
    ...status,
  };
  return { url: "http://pg:8008", status: ok(statusIn(answer as never)), leads };
}

export function patroni(
  leader: string | null,
  more: object = {},
  members: object = {},
): Gathered["patroni"] {
  return ok(
    clusterIn({
      members: ["pg1", "pg2", "pg3"].map((name) => ({
        name,
        role: name === leader ? "leader" : "replica",
        state: name === leader ? "running" : "streaming",
        api_url: `http://${name}:8008/patroni`,
        host: name,
        port: 5432,
        ...(members as Record<string, object>)[name],
      })),
      ...more,
    } as never),
  );
}

export function pooler(row: object, follower: PoolerSeen["follower"] = ok(null)): PoolerSeen {
  return {
    name: "pgbouncer1",
    place: "h:6432",
    pools: ok([{ database: "app", ...row }]),
    state: ok([{ key: "paused", value: "no" }]),
    follower,
  };
}

export const route = (member: string | null, more: object = {}): PoolerSeen["follower"] =>
  ok({
    route: member === null ? null : { member, host: "h", port: 1, timeline: 3 },
    why: null,
    clients: "go on" as const,
    since: "2026-01-01T00:00:00Z",
    paused: null,
    members: [],
    ...more,
  });

/** A sound cluster of three under Patroni: pg1 leads. */
export function sound(more: Partial<Gathered> = {}): Gathered {
  return {
    cluster: "main",
    patroni: patroni("pg1"),
    config: ok({ ttl: 20, loop_wait: 5, retry_timeout: 5 }),
    members: [
      seen("pg1", primary(), { api: api({ role: "primary" }, true) }),
      seen("pg2", server(), { api: api({}) }),
      seen("pg3", server(), { api: api({}) }),
    ],
    removed: [],
    dcs: null,
    pgbouncers: [],
    pgbouncerWhy: null,
    nodes: null,
    guard: null,
    faults: null,
    ...more,
  };
}

/** The same with some members as given. */
export function with_(members: Record<string, MemberSeen>, more: Partial<Gathered> = {}): Gathered {
  const base = sound(more);
  return { ...base, members: base.members.map((one) => members[one.name] ?? one) };
}
