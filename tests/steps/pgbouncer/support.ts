/** A PgBouncer with its follower before two servers, whose Patroni says what the test has it say. */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Client } from "pg";
import { systemClock } from "../../../engine/clock.ts";
import { freePort } from "../../../providers/nodes/embedded/server.ts";
import type { ConnectionSpec } from "../../../providers/postgres/connect.ts";
import type { Effect } from "../../../engine/types.ts";
import { pgbouncerAccess } from "../../../providers/pgbouncer/client.ts";
import type { PgbouncerSpec } from "../../../providers/pgbouncer/contract.ts";
import { Console } from "../../../providers/pgbouncer/console.ts";
import follow from "../../../steps/pgbouncer/follow.ts";
import { type FakeContext, fakeContext } from "../../support/context.ts";
import { CONSOLE_USER, type Pooler, startPooler } from "../../support/pgbouncer.ts";
import { clientOf, sharedServer, type TestServer } from "../../support/postgres.ts";

export type Says = "primary" | "replica" | "promoting" | "stopped" | "silent";

export interface Member {
  name: string;
  server: TestServer;
  says: Says;
  timeline: number;
  stop(): Promise<void>;
  api: string;
}

/** A member's Patroni, as far as a follower asks it. */
function fakePatroni(name: string, server: TestServer, all: Member[], ttl: { s: number }): Member {
  const member: Member = {
    name,
    server,
    says: "replica",
    timeline: 1,
    api: "",
    stop: () => http.stop(true),
  };
  const http = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch({ url }) {
      if (member.says === "silent") return new Promise<Response>(() => {});
      if (url.endsWith("/config")) return Response.json({ ttl: ttl.s });
      if (url.endsWith("/cluster"))
        return Response.json({
          members: all.map((one) => ({
            name: one.name,
            role: one.says,
            state: "running",
            api_url: `${one.api}/patroni`,
            host: one.server.host,
            port: one.server.port,
          })),
        });
      const { says, timeline } = member;
      const body = {
        state: says === "stopped" ? "stopped" : "running",
        role: says === "primary" ? "primary" : "replica",
        timeline,
        patroni: { scope: "x", name, version: "4.0.6" },
      };
      const status = says === "primary" || says === "promoting" ? 200 : 503;
      return Response.json(body, { status });
    },
  });
  member.api = `http://127.0.0.1:${http.port}`;
  all.push(member);
  return member;
}

export interface Followed {
  pooler: Pooler;
  members: [Member, Member];
  ttl: { s: number };
  url: string;
  config: string;
  /** Asks the follower. */
  ask(
    method: "GET" | "POST",
    path: string,
    body?: object,
    password?: string,
  ): Promise<{ status: number; body: any }>;
  /** Waits until its status fits. */
  until(fits: (status: any) => boolean, ms?: number): Promise<any>;
  console(command: string): Promise<Record<string, unknown>[]>;
  /** A client of the application. */
  client(): Promise<Client>;
  follower: RunningFollower;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export interface RunningFollower {
  context: FakeContext;
  ended: Promise<unknown>;
  end(): Promise<void>;
}

export function startFollower(config: string): RunningFollower {
  const context = fakeContext({ clock: systemClock });
  const ended = follow.run(context, { file: config }).then(
    () => undefined,
    (error: unknown) => error,
  );
  return {
    context,
    ended,
    async end() {
      context.abort(new Error("interrupted"));
      await ended;
    },
  };
}

const APP = { user: "follow_app", password: "follow_app" };

/** One for all steps that ask it. */
let shared: Promise<Followed> | undefined;
export function sharedFollowed(): Promise<Followed> {
  shared ??= startFollowed().then(async (at) => {
    await at.until(({ route }) => route !== null);
    return at;
  });
  return shared;
}

/** Whoever pgdba is in the cluster: here a client of the application. */
export const roleOf = ({ host, port }: Pooler): ConnectionSpec => ({
  host,
  port,
  user: APP.user,
  password: () => APP.password,
  database: "postgres",
  sslmode: "prefer",
  application_name: "pgdba",
});

/** A step's context on a cluster with this PgBouncer: as `pool1` with its follower, and once more as each of the `others`. */
export function onPooler(
  at: Followed,
  effect: Effect,
  others: Record<string, string | undefined> = {},
): FakeContext {
  const { host, port, admin: password } = at.pooler;
  const followers = Object.entries({ pool1: at.url, ...others });
  const spec: PgbouncerSpec = {
    user: CONSOLE_USER,
    password,
    instances: followers.map(([name, follower]) => ({
      name,
      host,
      port,
      ...(follower === undefined ? {} : { follower }),
    })),
  };
  const { signal } = new AbortController();
  return fakeContext({
    clock: systemClock,
    target: { use: async () => pgbouncerAccess(spec, { effect, signal }, roleOf(at.pooler)) },
  });
}

/** The server that a session of the application is at; both have the same databases and roles. */
export async function portOf(client: Client): Promise<number> {
  const { rows } = await client.query("SELECT current_setting('port')::int AS port");
  return (rows[0] as { port: number }).port;
}

/** The first member leads, unless `leaderless`; PgBouncer knows no database until its follower tells it. */
export async function startFollowed({ leaderless = false } = {}): Promise<Followed> {
  const servers = [await sharedServer(18), await sharedServer(17)] as const;
  for (const server of servers) {
    const admin = await clientOf(server);
    const { rowCount } = await admin.query("SELECT FROM pg_roles WHERE rolname = $1", [APP.user]);
    if (rowCount === 0)
      await admin.query(`CREATE ROLE ${APP.user} LOGIN PASSWORD '${APP.password}'`);
    await admin.end();
  }
  const all: Member[] = [];
  const ttl = { s: 30 };
  const members: Followed["members"] = [
    fakePatroni("pg1", servers[0], all, ttl),
    fakePatroni("pg2", servers[1], all, ttl),
  ];
  if (!leaderless) members[0].says = "primary";
  const pooler = await startPooler({
    users: { [APP.user]: APP.password },
    route: "",
    settings: { server_login_retry: 1, query_wait_timeout: 30 },
  });
  const port = await freePort();
  const secret = join(pooler.base, "secret");
  await writeFile(secret, `${pooler.admin}\n`, { mode: 0o600 });
  const config = join(pooler.base, "follow.json");
  const file = {
    cluster: "x",
    // The second one is learnt.
    members: members.slice(0, 1).map(({ name, server, api }) => ({
      name,
      // A name of the same place, for the resolver of the machine.
      host: server.host === "127.0.0.1" ? "127.1" : server.host,
      port: server.port,
      api,
    })),
    console: { host: pooler.host, port: pooler.port, user: CONSOLE_USER, password_file: secret },
    route: { file: join(pooler.base, "route.ini"), by: "address" },
    listen: { port },
    poll_ms: 50,
  };
  await writeFile(config, JSON.stringify(file));
  const url = `http://127.0.0.1:${port}`;
  const followed: Followed = {
    pooler,
    members,
    ttl,
    url,
    config,
    follower: startFollower(config),
    async ask(method, path, body, password = pooler.admin) {
      const credentials = Buffer.from(`${CONSOLE_USER}:${password}`).toString("base64");
      const answer = await fetch(`${url}${path}`, {
        method,
        headers: { authorization: `Basic ${credentials}` },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: answer.status, body: await answer.json() };
    },
    async until(fits, ms = 10_000) {
      for (const ends = performance.now() + ms; ; await Bun.sleep(10)) {
        const status = await followed.ask("GET", "/status").then(
          ({ body }) => body,
          () => undefined,
        );
        if (status !== undefined && fits(status)) return status;
        if (performance.now() > ends)
          throw new Error(
            `not so: ${fits}\n${JSON.stringify(status)}\n${JSON.stringify(followed.follower.context.recorded.logs)}\n${await pooler.log()}`,
          );
      }
    },
    async console(command) {
      const { host, port: at, admin } = pooler;
      const console = await Console.open({ host, port: at, user: CONSOLE_USER, password: admin });
      try {
        return await console.ask(command);
      } finally {
        console.close();
      }
    },
    async client() {
      return clientOf({ ...servers[0], port: pooler.port, ...APP });
    },
    async restart() {
      followed.follower = startFollower(config);
    },
    async stop() {
      await followed.follower.end();
      await Promise.all(members.map((member) => member.stop()));
      await pooler.stop();
    },
  };
  return followed;
}
