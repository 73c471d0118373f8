import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Client } from "pg";
import { freePort } from "../../../providers/nodes/embedded/server.ts";
import { type PatroniCluster, patroniMissing, startPatroni } from "../../support/patroni.ts";
import {
  CONSOLE_USER,
  pgbouncerMissing,
  type Pooler,
  startPooler,
} from "../../support/pgbouncer.ts";
import { startWriter, type Writer } from "../../support/writer.ts";
import { type RunningFollower, startFollower } from "./support.ts";
import { PGDBA_SOURCE } from "../../support/source.ts";

setDefaultTimeout(300_000);
const APP = { user: "app", password: "app" };

/** One cluster, in synchronous mode, so that no acknowledged row may be lost, whoever dies. */
describe.skipIf(patroniMissing() !== null || pgbouncerMissing() !== null)(
  "the follower of a PgBouncer before a Patroni cluster",
  () => {
    let cluster: PatroniCluster;
    let pooler: Pooler;
    let config: string;
    let url: string;
    let follower: RunningFollower;
    let writer: Writer;

    const ask = async (method: "GET" | "POST", path: string, body?: object) => {
      const credentials = Buffer.from(`${CONSOLE_USER}:${pooler.admin}`).toString("base64");
      const answer = await fetch(`${url}${path}`, {
        method,
        headers: { authorization: `Basic ${credentials}` },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: answer.status, body: (await answer.json()) as any };
    };
    const until = async <T>(look: () => Promise<T | undefined | false>): Promise<T> => {
      for (const ends = performance.now() + 60_000; ; await Bun.sleep(50)) {
        const found = await look().catch(() => undefined);
        if (found !== undefined && found !== false) return found;
        if (performance.now() > ends)
          throw new Error(
            `${look}\n${await pooler.log()}\n${JSON.stringify(follower.context.recorded.logs)}\n${await cluster.logs()}`,
          );
      }
    };
    const routed = async () => (await ask("GET", "/status")).body.route?.member as string;
    const indexOf = (name: string) => cluster.members.findIndex((one) => one.name === name);
    const client = async (place: { host: string; port: number }, who = APP) => {
      const { host, port } = place;
      const made = new Client({ host, port, ...who, database: "app" });
      made.on("error", () => {});
      await made.connect();
      return made;
    };
    /** All members but those in `without` are up, and one of them is the synchronous standby of the leader. */
    const settled = (without: string[] = []) =>
      until(async () => {
        const member = cluster.members.findIndex(({ name }) => !without.includes(name));
        const { members } = await cluster.get("/cluster", member);
        const those = members.filter(({ name }: { name: string }) => !without.includes(name));
        const leader = those.find(({ role }: { role: string }) => role === "leader");
        const sync = those.find(({ role }: { role: string }) => role === "sync_standby");
        const isUp = those.every(
          ({ state, timeline }: { state: string; timeline: number }) =>
            ["running", "streaming"].includes(state) && timeline === leader?.timeline,
        );
        const all = those.length === cluster.members.length - without.length;
        return (
          all &&
          isUp &&
          leader &&
          sync && { leader: leader.name as string, sync: sync.name as string }
        );
      });

    beforeAll(async () => {
      cluster = await startPatroni(3, { dcs: { synchronous_mode: true } });
      const { leader } = await settled();
      const place = cluster.members[indexOf(leader)] as PatroniCluster["members"][number];
      const admin = new Client({
        host: place.host,
        port: place.port,
        database: "postgres",
        user: cluster.user,
        password: cluster.password,
      });
      await admin.connect();
      await admin.query(`CREATE ROLE ${APP.user} LOGIN PASSWORD '${APP.password}'`);
      await admin.query(`CREATE DATABASE app OWNER ${APP.user}`);
      await admin.end();
      pooler = await startPooler({
        users: { [APP.user]: APP.password },
        route: "[databases]\n* = host=127.0.0.1 port=1\n",
        settings: { server_login_retry: 1 },
      });
      const port = await freePort();
      url = `http://127.0.0.1:${port}`;
      const secret = join(pooler.base, "secret");
      await writeFile(secret, pooler.admin, { mode: 0o600 });
      config = join(pooler.base, "follow.json");
      const file = {
        cluster: "test",
        members: cluster.members.slice(0, 1),
        console: {
          host: pooler.host,
          port: pooler.port,
          user: CONSOLE_USER,
          password_file: secret,
        },
        route: { file: join(pooler.base, "route.ini") },
        listen: { port },
      };
      await writeFile(config, JSON.stringify(file));
      follower = startFollower(config);
      await until(async () => (await routed()) === leader);
      writer = await startWriter({ ...pooler, ...APP, database: "app", restMs: 2 });
      await writer.next();
    }, 300_000);
    afterAll(async () => {
      await writer?.stop();
      await follower?.end();
      await pooler?.stop();
      await cluster?.stop();
    });

    test("switchovers under a pause: not one transaction fails", async () => {
      for (let times = 0; times < 2; times++) {
        const { leader, sync } = await settled();
        const from = writer.now();
        const holder = `switchover-${times}`;
        const asked = { holder, cap_ms: 30_000, wait_ms: 5000 };
        expect((await ask("POST", "/pause", asked)).status).toBe(200);
        const { apiUser, apiPassword } = cluster;
        const answer = await fetch(`${cluster.members[indexOf(leader)]?.api}/switchover`, {
          method: "POST",
          headers: {
            authorization: `Basic ${Buffer.from(`${apiUser}:${apiPassword}`).toString("base64")}`,
          },
          body: JSON.stringify({ leader, candidate: sync }),
        });
        expect(answer.status).toBe(200);
        const resumed = await ask("POST", "/resume", { holder });
        expect(resumed).toMatchObject({ status: 200, body: { route: { member: sync } } });
        await writer.next();
        const { failures, longestGapMs, acknowledged } = writer.report(from);
        expect(failures).toEqual([]);
        expect(acknowledged).toBeGreaterThan(0);
        expect(longestGapMs).toBeLessThan(asked.cap_ms);
      }
    });

    test("kill -9 of a follower while clients wait: the next one lets them go", async () => {
      await settled();
      await follower.end();
      const env = { ...process.env, PGDBA_SOURCE, PGDBA_HOME: join(pooler.base, "home") };
      const argv = [join(import.meta.dir, "../../../engine/pgdba"), "pgbouncer", "follow", config];
      const spawned = Bun.spawn(argv, { env, stdout: "pipe", stderr: "ignore" });
      await until(routed);
      const from = writer.now();
      const asked = { holder: "run-1", cap_ms: 60_000, wait_ms: 5000 };
      expect((await ask("POST", "/pause", asked)).status).toBe(200);
      spawned.kill("SIGKILL");
      await spawned.exited;
      const again = Bun.spawn(argv, { env, stdout: "pipe", stderr: "ignore" });
      await writer.next();
      expect(writer.report(from).failures).toEqual([]);
      again.kill("SIGTERM");
      expect(await again.exited).toBe(0);
      const said = await new Response(again.stdout).text();
      expect(JSON.parse(said)).toMatchObject({ success: true });
      expect(said).not.toContain(pooler.admin);
      follower = startFollower(config);
      await until(routed);
    });

    test("a leader that stands still: clients are cut off and go to the new one, and not back when it goes on", async () => {
      const { leader, sync } = await settled();
      const at = indexOf(leader);
      await cluster.signal(at, "SIGSTOP");
      await cluster.signalPostgres(at, "SIGSTOP");
      try {
        // As its ttl would, which takes longer than a test may.
        await cluster.expireLeader();
        await until(async () => (await routed()) === sync);
        await writer.next();
        const begun = follower.context.recorded.logs.length;
        await cluster.signalPostgres(at, "SIGCONT");
        await cluster.signal(at, "SIGCONT");
        // It believes for a moment that it leads, and then that it does not.
        await until(async () =>
          (await ask("GET", "/status")).body.members.some(
            (one: any) => one.name === leader && /does not lead|not up/.test(one.why),
          ),
        );
        await writer.next();
        const since = follower.context.recorded.logs.slice(begun).map(({ message }) => message);
        expect(since.filter((message) => message.includes(`clients go to ${leader}`))).toEqual([]);
      } finally {
        await cluster.signal(at, "SIGCONT");
      }
    });

    test("kill -9 of the leader's Patroni and PostgreSQL at once: clients go to the new one; nothing that was acknowledged is lost", async () => {
      const frozen = follower.context.recorded.logs.length;
      const leader = await routed();
      const other = cluster.members.map(({ name }) => name).filter((name) => name !== leader);
      const { sync } = await until(async () => {
        const { members } = await cluster.get("/cluster", indexOf(other[0] as string));
        const found = members.find(({ role }: { role: string }) => role === "sync_standby");
        return found && { sync: found.name as string };
      });
      const at = indexOf(leader);
      await cluster.signal(at, "SIGKILL");
      await cluster.signalPostgres(at, "SIGKILL");
      await cluster.expireLeader();
      await until(async () => (await routed()) === sync);
      await writer.next();
      expect(follower.context.recorded.logs.length).toBeGreaterThan(frozen);
      const { acknowledged } = await writer.stop();
      expect(acknowledged).toBeGreaterThan(100);
      const primary = await client(
        cluster.members[indexOf(sync)] as { host: string; port: number },
      );
      expect(await writer.check(primary)).toEqual({ lost: [], ghosts: [] });
      // A checker that can't fail proves nothing.
      await primary.query("DELETE FROM pgdba_writes WHERE id = (SELECT min(id) FROM pgdba_writes)");
      await primary.query("INSERT INTO pgdba_writes VALUES (1000000000)");
      expect(await writer.check(primary)).toMatchObject({ ghosts: [1_000_000_000] });
      expect((await writer.check(primary)).lost.length).toBe(1);
      await primary.end();
    });
  },
);
