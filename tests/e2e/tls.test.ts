/** A cluster whose connections are all by TLS, by the command line: a small one, for its whole life in plain is tried elsewhere. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { PgdbaError } from "../../engine/errors.ts";
import { connect } from "../../providers/postgres/connect.ts";
import { dockerMissing } from "../support/docker.ts";
import { Live } from "../support/live.ts";
import { filesWithSecrets, tellsSecrets } from "../support/monitoring/secrets.ts";
import { Watched } from "../support/monitoring/watched.ts";
import { until } from "../support/rehearsed.ts";
import { startWriter } from "../support/writer.ts";
import { removePlaces } from "./support.ts";

const missing = dockerMissing();

describe.skipIf(missing !== null)(
  `a cluster by TLS${missing === null ? "" : ` (${missing})`}`,
  () => {
    const live = new Live("docker");
    let made: any;

    beforeAll(async () => {
      const small = ["--replicas", "1", "--etcd", "1", "--tls-names", "db.example.com"];
      made = await live.init("--tls", ...small);
    }, 900_000);
    afterAll(async () => {
      if (live.entry() !== undefined) await live.destroy();
      await live.close();
      removePlaces();
    }, 300_000);

    test("nobody gets in without it, and whoever trusts the cluster's authority knows whom they reach", async () => {
      expect(made.connect[0]).toEndWith(`?sslmode=verify-full&sslrootcert=${live.cafile()}`);
      const plain = (to: { host: string; port?: number | string }) =>
        connect({
          host: to.host,
          port: Number(to.port),
          user: "app",
          database: "app",
          password: () => live.secret("owner"),
          sslmode: "disable",
          application_name: "somebody",
        }).then(
          () => "in",
          (error: PgdbaError) => error.code,
        );
      const { nodes, pgbouncer, patroni, dcs } = live.entry()!;
      // PgBouncer's own words for it have no class.
      expect(await plain(pgbouncer!.instances[0]!)).toBe("query_failed");
      for (const node of live.servers())
        expect(await plain(nodes!.find(({ name }) => name === node)!.reach!)).toBe(
          "connection_failed",
        );
      const follower = `${pgbouncer!.instances[0]!.follower}/status`;
      for (const url of [...patroni!.endpoints, ...dcs!.endpoints, follower]) {
        expect(url).toStartWith("https://");
        // The authority is nobody's that this machine trusts.
        expect(await fetch(url).then(String, ({ code }) => code)).toMatch(/CERT|ISSUER|VERIFY/);
      }
      const links = await live.ask(
        "pg1",
        "SELECT bool_and(ssl), count(*) > 1 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE client_addr IS NOT NULL",
      );
      expect(links).toEqual([[true, true]]);
    }, 300_000);

    test("certificates are renewed while clients go on, and only when they are due", async () => {
      expect((await live.well("cluster", "certificates")).renewed).toEqual([]);
      const { certificates: before, findings } = await live.well("cluster", "status");
      expect(before.map(({ member, of }: any) => `${member} ${of}`).toSorted()).toEqual([
        "etcd1 etcd",
        "pg1 Patroni",
        "pg1 PostgreSQL",
        "pg2 Patroni",
        "pg2 PostgreSQL",
        "pgbouncer1 PgBouncer",
      ]);
      expect(findings.map(({ check }: any) => check)).not.toContain("certificate");
      const writer = await startWriter(live.writer({ connections: 1, restMs: 10 }));
      await writer.next();
      const { renewed, certificates, unseen } = await live.well("cluster", "certificates", "--all");
      await writer.next();
      expect(await writer.stop()).toMatchObject({ failed: 0, unknown: 0, refused: 0 });
      expect([renewed.length, unseen]).toEqual([4, []]);
      for (const { member, of, not_after } of certificates) {
        const was = before.find((one: any) => one.member === member && one.of === of);
        expect([member, of, not_after > was.not_after]).toEqual([member, of, true]);
      }
    }, 300_000);

    test("it is watched: each target answers by TLS, an alert arrives once, its end is told, and no secret is", async () => {
      const watched = await Watched.of(live);
      try {
        const { node, targets, up, silent, rules } = await watched.setup();
        expect([silent, up]).toEqual([[], targets]);
        expect(rules).toBeGreaterThan(80);
        const { activeTargets } = await watched.ask("/api/v1/targets?state=active");
        const asked = activeTargets.map(({ labels }: any) => `${labels.job} ${labels.instance}`);
        expect(asked.toSorted()).toEqual([
          "alertmanager monitor1",
          "etcd etcd1",
          ...["node", "patroni"].flatMap((job) => [`${job} pg1`, `${job} pg2`]),
          "pgbouncer pgbouncer1",
          "pgdba monitor1",
          "postgres pg1",
          "postgres pg2",
          "prometheus monitor1",
        ]);
        const add = ["monitor", "alerts", "add", "Always", "vector(1)", "--severity", "critical"];
        expect((await live.well(...add)).seconds).toBeLessThan(15);
        await until(
          async () => watched.told("Always", "firing"),
          ({ length }) => length > 0,
          120_000,
        );
        await live.well("monitor", "alerts", "test");
        await until(
          async () => watched.told("PgdbaTest", "resolved"),
          ({ length }) => length > 0,
          120_000,
        );
        expect([
          watched.told("Always", "firing").length,
          watched.told("PgdbaTest", "firing").length,
        ]).toEqual([1, 1]);
        const status = await live.well("monitor", "status", "--window", "1s");
        expect(status).toMatchObject({ leader: "pg1", members: { length: 2 } });
        expect(status.alerts.map(({ alert }: any) => alert)).toContain("Always");

        for (const one of [node, "pg1", "pgbouncer1", "etcd1"]) {
          const files = await filesWithSecrets(live, one);
          expect(files).not.toEqual([]);
          expect([one, files.filter((file) => !/^[46]00 /.test(file))]).toEqual([one, []]);
        }
        expect(await tellsSecrets(watched, node)).toEqual([]);

        expect((await live.well("monitor", "remove")).removed).toEqual([node]);
        expect((await (await live.nodes()).list()).map((one) => one.node)).not.toContain(node);
        expect(live.entry()).not.toHaveProperty("monitoring");
        expect(
          await live.ask("pg1", "SELECT FROM pg_roles WHERE rolname = 'pgdba_monitor'"),
        ).toEqual([]);
      } finally {
        await watched.stop();
      }
    }, 600_000);

    test("a standby is added, and the primary role moves there: all go on by TLS", async () => {
      expect((await live.well("replica", "add")).added).toBe("pg3");
      const { new_primary, client } = await live.well("failover", "trigger", "--target", "pg3");
      expect(new_primary).toBe("pg3");
      expect(client).toMatchObject({ failed: 0, through: "pgbouncer1" });
      expect(await live.settled()).toBe("pg3");
      const { error } = (await live.destroy()).envelope;
      expect(error).toBeNull();
      expect(live.cafile()).toBeUndefined();
    }, 300_000);
  },
);
