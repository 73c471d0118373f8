/** The scope of a real cluster that is stopped, and started again with other data. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chown, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Client } from "pg";
import type { DcsAccess } from "../../../providers/dcs/contract.ts";
import { openDcs } from "../../../providers/dcs/open.ts";
import { debianPostgres } from "../../support/debian.ts";
import { type PatroniCluster, patroniMissing, startPatroni } from "../../support/patroni.ts";

const missing = patroniMissing();

describe.skipIf(missing !== null)(
  `the scope of a stopped cluster${missing === null ? "" : ` (${missing})`}`,
  () => {
    let cluster: PatroniCluster;
    let dcs: DcsAccess;

    beforeAll(async () => {
      cluster = await startPatroni(2);
      const { etcd } = cluster;
      const at = { endpoints: [etcd], scope: "test", namespace: "service" };
      dcs = await openDcs({ kind: "etcd3", ...at });
    }, 300_000);
    afterAll(() => cluster?.stop());

    const state = (member: number): Promise<any> =>
      cluster.get("/patroni", member).catch(() => ({}));
    async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
      for (const ends = performance.now() + 60_000; !(await holds()); await Bun.sleep(100))
        if (performance.now() > ends) throw new Error(`never: ${what}\n${await cluster.logs()}`);
    }
    const leads = (member: number) =>
      until(`${member} leads`, async () => {
        const { role, state: is } = await state(member);
        return is === "running" && (role === "master" || role === "primary");
      });
    async function sql(member: number, text: string): Promise<any[]> {
      const { host, port } = cluster.members[member]!;
      const { user, password } = cluster;
      const client = new Client({ host, port, user, password, database: "postgres" });
      await client.connect();
      try {
        return (await client.query(text)).rows;
      } finally {
        await client.end();
      }
    }
    function run(...argv: string[]): void {
      const { exitCode, stderr } = Bun.spawnSync(argv, { ...cluster.owner, cwd: "/" });
      if (exitCode !== 0) throw new Error(`${argv[0]}: ${stderr.toString()}`);
    }
    const identity = async (member: number): Promise<string> =>
      (await sql(member, "SELECT system_identifier::text AS id FROM pg_control_system()"))[0].id;
    async function stopAll(leader: number): Promise<void> {
      await cluster.halt(1 - leader);
      await cluster.halt(leader);
    }

    test("saved, removed and put back, it takes older data of the same cluster, with its configuration and its history", async () => {
      const leader = (await state(0)).role === "replica" ? 1 : 0;
      const patched = await fetch(`${cluster.members[leader]!.api}/config`, {
        method: "PATCH",
        headers: { authorization: `Basic ${btoa(`${cluster.apiUser}:${cluster.apiPassword}`)}` },
        body: JSON.stringify({ maximum_lag_on_failover: 4242 }),
      });
      expect(patched.status).toBe(200);
      await sql(leader, "CREATE TABLE kept AS SELECT 'before' AS what");
      await stopAll(leader);
      const data = cluster.data(leader);
      run("cp", "-a", data, `${data}.older`);
      await cluster.begin(leader);
      await leads(leader);
      await sql(leader, "INSERT INTO kept VALUES ('after')");
      await cluster.halt(leader);

      const saved = await dcs.save();
      expect(JSON.parse(saved["config"]!)).toMatchObject({ maximum_lag_on_failover: 4242 });
      expect(Object.keys(saved)).toContain("initialize");
      await dcs.remove();
      expect(await dcs.save()).toEqual({});
      await rename(data, `${data}.newer`);
      await rename(`${data}.older`, data);
      await dcs.restore(saved);
      await cluster.begin(leader);
      await leads(leader);
      expect(await sql(leader, "SELECT what FROM kept")).toEqual([{ what: "before" }]);
      expect(await cluster.get("/config", leader)).toMatchObject({ maximum_lag_on_failover: 4242 });
      // The one that was not restored is brought back by Patroni.
      await cluster.begin(1 - leader);
      await until("the other one streams", async () => {
        const rows = await sql(leader, "SELECT application_name AS a FROM pg_stat_replication");
        return rows.some(({ a }) => a === cluster.members[1 - leader]!.name);
      });
      await stopAll(leader);
    }, 300_000);

    test("data of another cluster is refused under the old scope, and taken when only the configuration is put back", async () => {
      const data = cluster.data(0);
      await rename(data, `${data}.old`);
      const secret = join(dirname(data), "password");
      await writeFile(secret, cluster.password, { mode: 0o600 });
      if (cluster.owner !== null) await chown(secret, cluster.owner.uid, cluster.owner.gid);
      const { bin } = debianPostgres()!;
      run(join(bin, "initdb"), "-D", data, "-U", cluster.user, `--pwfile=${secret}`, "--no-sync");
      const saved = await dcs.save();
      await cluster.begin(0);
      await until("it is refused", async () =>
        (await cluster.logs()).includes("system ID mismatch"),
      );
      await until("it has ended", async () => (await state(0)).state === undefined);
      await dcs.remove();
      await dcs.restore({ config: saved["config"]! });
      await cluster.begin(0);
      await leads(0);
      expect(await cluster.get("/config", 0)).toMatchObject({ maximum_lag_on_failover: 4242 });
      const now = await dcs.save();
      expect(now["initialize"]).toBe(await identity(0));
      expect(now["initialize"]).not.toBe(saved["initialize"]);
    }, 300_000);
  },
);
