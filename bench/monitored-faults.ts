/** Faults on a cluster of containers that an alert is for: each is planted by means that are no pgdba's own where there are such, and taken back. */
import type { Live } from "../tests/support/live.ts";
import { until } from "../tests/support/rehearsed.ts";

export interface Planted {
  /** When it was in force, by `performance.now()`. */
  at: number;
  heal(): Promise<void>;
}

export interface Fault {
  what: string;
  alert: string;
  /** Seconds from the fault to `firing` that were asked for. */
  atMost?: number;
  plant(live: Live): Promise<Planted>;
}

const LASTS_MS = 14 * 60_000;
/** The lag in bytes warns from 256 on. */
const LAG_MIB = 300;

const TRIES = 10;

/** Whoever can't get in on a busy machine tries again. */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++)
    try {
      return await work();
    } catch (error) {
      if (tries === TRIES || (error as { code?: string }).code !== "connection_failed") throw error;
    }
}

const ask = (live: Live, node: string, text: string) => patiently(() => live.ask(node, text));

async function leaderOf(live: Live): Promise<{ leader: string; standby: string }> {
  const [leader] = await until(
    () => live.writable(),
    ({ length }) => length > 0,
  );
  const standby = live.servers().find((node) => node !== leader);
  if (leader === undefined || standby === undefined) throw new Error("nobody leads or follows");
  return { leader, standby };
}

async function clientAt(live: Live, node: string) {
  const { host, port } = live.entry()!.nodes!.find(({ name }) => name === node)!.reach!;
  return patiently(() => live.client(host, Number(port)));
}

let held = 0;

/**
 * The standby's process that replays is stopped, and goes on when nobody needs that any more: Patroni resumes a replay that is paused by SQL within its loop.
 */
async function replayHeld(live: Live, bytes: boolean): Promise<Planted> {
  const { leader, standby } = await leaderOf(live);
  const nodes = await live.nodes();
  const signal = (name: string) =>
    nodes.exec(standby, ["pkill", `-${name}`, "-f", "startup recovering"]);
  held += 1;
  await signal("STOP");
  const write = (length: number) =>
    ask(live, leader, `SELECT pg_logical_emit_message(true, 'lag', repeat('x', ${length}))`);
  if (bytes) for (let n = 0; n < LAG_MIB; n++) await write(1024 * 1024);
  else await write(1);
  return {
    at: performance.now(),
    async heal() {
      held -= 1;
      if (held === 0) await signal("CONT");
      else
        await until(
          () => held,
          (now) => now === 0,
          LASTS_MS,
        );
    },
  };
}

/** They don't disturb one another, and are planted at once. */
export const BESIDE: readonly Fault[] = [
  {
    what: "the standby does not replay, a little is written",
    alert: "ReplicationLag",
    plant: (live) => replayHeld(live, false),
  },
  {
    what: "the standby does not replay, 300 MiB of WAL are written",
    alert: "ReplicationLagBytes",
    plant: (live) => replayHeld(live, true),
  },
  {
    what: "85 % of the connections taken",
    alert: "ConnectionsUsed",
    async plant(live) {
      const { leader } = await leaderOf(live);
      const [[usable, taken]] = (await ask(
        live,
        leader,
        "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int - current_setting('reserved_connections')::int, (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend')",
      )) as [[number, number]];
      const clients: Awaited<ReturnType<typeof clientAt>>[] = [];
      // One of those that were counted has asked.
      for (let n = taken - 1; n < Math.ceil(usable * 0.85); n++)
        clients.push(await clientAt(live, leader));
      return {
        at: performance.now(),
        heal: async () => void (await Promise.all(clients.map((client) => client.end()))),
      };
    },
  },
  {
    what: "a session waits for a lock",
    alert: "LockWait",
    async plant(live) {
      const { leader } = await leaderOf(live);
      await ask(live, leader, "CREATE TABLE IF NOT EXISTS held (id int)");
      const [holds, waits] = [await clientAt(live, leader), await clientAt(live, leader)];
      await holds.query("BEGIN; LOCK TABLE held");
      const waited = waits.query("SELECT FROM held");
      return {
        at: performance.now(),
        async heal() {
          await holds.query("ROLLBACK");
          await waited;
          await Promise.all([holds.end(), waits.end()]);
        },
      };
    },
  },
  {
    what: "the standby's disk 85 % full",
    alert: "DiskUsed",
    async plant(live) {
      const { standby } = await leaderOf(live);
      const nodes = await live.nodes();
      const disk = (await nodes.facts(standby)).disks.find(({ of }) => of === "data")!;
      const id = `disk-${crypto.randomUUID().slice(0, 8)}`;
      const what = { of: "data" as const, leaveBytes: Math.floor(disk.totalBytes * 0.15) };
      await nodes.fillDisk(standby, what, { id, afterMs: LASTS_MS });
      return { at: performance.now(), heal: async () => void (await nodes.heal({ id })) };
    },
  },
  {
    what: "archive_command fails",
    alert: "ArchiveFailing",
    async plant(live) {
      const { leader } = await leaderOf(live);
      await ask(live, leader, "ALTER SYSTEM SET archive_command = 'false'");
      await ask(live, leader, "SELECT pg_reload_conf()");
      const at = performance.now();
      await ask(live, leader, "SELECT pg_create_restore_point('archive')");
      await ask(live, leader, "SELECT pg_switch_wal()");
      return {
        at,
        async heal() {
          await ask(live, leader, "ALTER SYSTEM RESET archive_command");
          await ask(live, leader, "SELECT pg_reload_conf()");
        },
      };
    },
  },
];

/** Each alone, for the whole cluster stands still or is in danger. */
export const ALONE: readonly Fault[] = [
  {
    what: "a standby promoted by hand while Patroni is paused: both take writes",
    alert: "TwoPrimaries",
    atMost: 25,
    async plant(live) {
      const { standby } = await leaderOf(live);
      await live.well("cluster", "pause");
      await ask(live, standby, "SELECT pg_promote()");
      const at = performance.now();
      if ((await live.writable()).length !== 2) throw new Error("there are no two primaries");
      return {
        at,
        async heal() {
          await live.well("cluster", "resume");
          await live.settled(300_000);
        },
      };
    },
  },
  {
    what: "all servers' nodes killed",
    alert: "NoLeader",
    atMost: 45,
    async plant(live) {
      const nodes = await live.nodes();
      const servers = live.servers();
      await Promise.all(servers.map((node) => nodes.kill(node, "node")));
      return {
        at: performance.now(),
        async heal() {
          await Promise.all(servers.map((node) => nodes.start(node)));
          await live.settled();
        },
      };
    },
  },
  {
    what: "all servers' nodes stand still",
    alert: "NoLeader",
    atMost: 45,
    async plant(live) {
      const nodes = await live.nodes();
      const servers = live.servers();
      await Promise.all(servers.map((node) => nodes.freeze(node)));
      return {
        at: performance.now(),
        async heal() {
          await Promise.all(servers.map((node) => nodes.thaw(node)));
          await live.settled();
        },
      };
    },
  },
];
