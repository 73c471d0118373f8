/** A real Patroni cluster with a PgBouncer and its follower before it, registered as `ha` in a state folder of its own. */

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { stringify } from "yaml";
import { systemClock } from "../../engine/clock.ts";
import { freePort } from "../../providers/nodes/embedded/server.ts";
import follow from "../../steps/pgbouncer/follow.ts";
import { fakeContext } from "./context.ts";
import {
  type PatroniCluster,
  patroniMissing,
  type PatroniOptions,
  startPatroni,
} from "./patroni.ts";
import { CONSOLE_USER, pgbouncerMissing, type Pooler, startPooler } from "./pgbouncer.ts";

export interface Ha {
  cluster: PatroniCluster;
  pooler: Pooler;
  /** The state folder, and the environment for the command line. */
  home: string;
  env: Record<string, string>;
  /** The name of the member that takes writes; waits for one. */
  leader(): Promise<string>;
  /** The other members. */
  standbys(): Promise<string[]>;
  sql(member: string, text: string): Promise<any[]>;
  /** A client of a member; it ends with the cluster. */
  client(member: string): Promise<Client>;
  follower(): Promise<any>;
  /** Asks again until it holds. */
  until(holds: () => Promise<boolean>, what: string, ms?: number): Promise<void>;
  /** All members stream from one leader. */
  whole(): Promise<void>;
  stop(): Promise<void>;
}

export function haMissing(): string | null {
  return patroniMissing() ?? pgbouncerMissing();
}

/** About 8 s. */
export async function startHa(
  count: number,
  { pollMs = 50, ...options }: PatroniOptions & { pollMs?: number } = {},
): Promise<Ha> {
  const [cluster, home] = await Promise.all([
    startPatroni(count, options),
    mkdtemp(join(tmpdir(), "pgdba-ha-")),
  ]);
  const { user, password } = cluster;
  const pooler = await startPooler({
    users: { [user]: password },
    route: "[databases]\n* = host=127.0.0.1 port=1\n",
    settings: { server_login_retry: 1, query_wait_timeout: 60 },
  });
  const port = await freePort();
  const secret = join(pooler.base, "secret");
  await writeFile(secret, `${pooler.admin}\n`, { mode: 0o600 });
  const config = join(pooler.base, "follow.json");
  await writeFile(
    config,
    JSON.stringify({
      cluster: "test",
      members: cluster.members,
      console: { host: pooler.host, port: pooler.port, user: CONSOLE_USER, password_file: secret },
      route: { file: join(pooler.base, "route.ini") },
      listen: { port },
      poll_ms: pollMs,
    }),
  );
  const context = fakeContext({ clock: systemClock });
  const following = follow.run(context, { file: config }).catch(() => {});
  const [first] = cluster.members;
  await mkdir(join(home, "clusters"));
  await writeFile(
    join(home, "clusters", "ha.yaml"),
    stringify({
      ownership: "connected",
      postgres: {
        host: first!.host,
        port: first!.port,
        user,
        password_env: "SQL_PASSWORD",
        sslmode: "disable",
      },
      patroni: {
        endpoints: cluster.members.map(({ api }) => api),
        user: cluster.apiUser,
        password_env: "API_PASSWORD",
        scope: "test",
      },
      dcs: { kind: "etcd3", endpoints: [cluster.etcd] },
      pgbouncer: {
        user: CONSOLE_USER,
        password_env: "POOLER_PASSWORD",
        instances: [
          {
            name: "pgbouncer1",
            host: pooler.host,
            port: pooler.port,
            follower: `http://127.0.0.1:${port}`,
          },
        ],
      },
    }),
  );
  const ha: Ha = {
    cluster,
    pooler,
    home,
    env: {
      PGDBA_HOME: home,
      SQL_PASSWORD: password,
      API_PASSWORD: cluster.apiPassword,
      POOLER_PASSWORD: pooler.admin,
    },
    async leader() {
      for (const ends = performance.now() + 40_000; ; await Bun.sleep(50)) {
        const states = await Promise.all(
          cluster.members.map((_, n) => cluster.get("/patroni", n).catch(() => null)),
        );
        const at = states.findIndex(
          (state) => ["master", "primary"].includes(state?.role) && state.state === "running",
        );
        if (at !== -1) return cluster.members[at]!.name;
        if (performance.now() > ends) throw new Error(`nobody leads\n${await cluster.logs()}`);
      }
    },
    async standbys() {
      const leader = await ha.leader();
      return cluster.members.map(({ name }) => name).filter((name) => name !== leader);
    },
    async client(member) {
      const { host, port: at } = cluster.members.find(({ name }) => name === member)!;
      const client = new Client({ host, port: at, user, password, database: "postgres" });
      client.on("error", () => {});
      await client.connect();
      return client;
    },
    async sql(member, text) {
      const client = await ha.client(member);
      try {
        return (await client.query(text)).rows;
      } finally {
        await client.end();
      }
    },
    async follower() {
      const credentials = Buffer.from(`${CONSOLE_USER}:${pooler.admin}`).toString("base64");
      const headers = { authorization: `Basic ${credentials}` };
      return (await fetch(`http://127.0.0.1:${port}/status`, { headers })).json();
    },
    async until(holds, what, ms = 30_000) {
      for (
        const ends = performance.now() + ms;
        !(await holds().catch(() => false));
        await Bun.sleep(50)
      )
        if (performance.now() > ends)
          throw new Error(
            `not within ${ms / 1000} s: ${what}\n${await cluster.logs()}\n${await pooler.log()}`,
          );
    },
    async whole() {
      await ha.until(async () => {
        const leader = await ha.leader();
        const rows = await ha.sql(
          leader,
          "SELECT application_name AS name FROM pg_stat_replication WHERE state = 'streaming'",
        );
        const streaming = new Set(rows.map(({ name }) => name));
        return cluster.members.every(({ name }) => name === leader || streaming.has(name));
      }, "all stream from one leader");
    },
    async stop() {
      context.abort(new Error("the test is over"));
      await following;
      await pooler.stop();
      await cluster.stop();
      await rm(home, { recursive: true, force: true });
    },
  };
  try {
    await ha.until(async () => (await ha.follower()).route !== null, "PgBouncer has a route");
  } catch (error) {
    await ha.stop();
    throw error;
  }
  return ha;
}
