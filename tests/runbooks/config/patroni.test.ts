import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { systemClock } from "../../../engine/clock.ts";
import { resolveTarget } from "../../../providers/target/resolve.ts";
import apply from "../../../steps/config/apply.ts";
import { examine, shortly, until } from "../health/support.ts";
import { fakeContext } from "../../support/context.ts";
import { libraryOf } from "../../steps/health/support.ts";
import { type PatroniCluster, patroniMissing, startPatroni } from "../../support/patroni.ts";
import { type Ended, pgdba } from "./cli.ts";

const missing = patroniMissing();
const PRELOAD = join(import.meta.dir, "driver.ts");

describe.skipIf(missing !== null)(
  `config on a real Patroni${missing === null ? "" : ` (${missing})`}`,
  () => {
    let cluster: PatroniCluster;
    let home: string;
    let leader: number;
    let env: Record<string, string>;

    beforeAll(async () => {
      [cluster, home] = await Promise.all([
        startPatroni(2),
        mkdtemp(join(tmpdir(), "pgdba-config-")),
      ]);
      const states = await Promise.all(cluster.members.map((_, n) => cluster.get("/patroni", n)));
      leader = states.findIndex((state) => state.role !== "replica");
      await mkdir(join(home, "clusters"));
      // One endpoint that nobody listens on, and the SQL of the leader: it is restarted as well.
      const { host, port, api } = cluster.members[leader]!;
      await writeFile(
        join(home, "clusters", "pat.yaml"),
        `ownership: connected
postgres: {host: ${host}, port: ${port}, user: postgres, password_env: SQL_PASSWORD, sslmode: disable}
patroni: {endpoints: ["http://127.0.0.1:1", "${api}"], user: admin, password_env: API_PASSWORD}
`,
      );
      env = { PGDBA_HOME: home, SQL_PASSWORD: cluster.password, API_PASSWORD: cluster.apiPassword };
    }, 300_000);
    afterAll(async () => {
      await cluster.stop();
      await rm(home, { recursive: true, force: true });
    });

    async function sql(text: string): Promise<any[]> {
      return Promise.all(
        cluster.members.map(async ({ host, port }) => {
          const client = new Client({
            host,
            port,
            user: cluster.user,
            password: cluster.password,
            database: "postgres",
          });
          await client.connect();
          const { rows } = await client.query(text);
          await client.end();
          return rows[0].value;
        }),
      );
    }
    const shown = (name: string) => sql(`SELECT current_setting('${name}') AS value`);
    const parameters = async () => (await cluster.get("/config", leader)).postgresql.parameters;
    const run = (...args: string[]): Promise<Ended> =>
      pgdba([...args, "--cluster", "pat", "--quiet"], env);
    const settings = (values: object): string[] => ["--settings", JSON.stringify(values)];

    test("settings go through the dynamic configuration, reach every member, and come back by rollback", async () => {
      const was = await parameters();
      const done = await run(
        "config",
        "apply",
        ...settings({ work_mem: "6MB", max_connections: 70, wal_keep_size: null }),
      );
      expect(done.envelope.error).toBeNull();
      const { data } = done.envelope;
      expect([data.place, data.awaiting_restart]).toEqual(["patroni", ["max_connections"]]);
      expect(data.members.map((member: any) => member.pending_restart)).toEqual([true, true]);
      expect(data.changes.map((change: any) => change.before.value)).toEqual(["5MB", 60, "64MB"]);
      expect(await parameters()).toEqual({ work_mem: "6MB", max_connections: 70 });
      expect(await shown("work_mem")).toEqual(["6MB", "6MB"]);
      expect(await shown("max_connections")).toEqual(["60", "60"]);
      expect(
        await sql(
          "SELECT count(*)::int AS value FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf'",
        ),
      ).toEqual([0, 0]);

      const again = await run("config", "apply", ...settings({ work_mem: "6144kB" }));
      expect(again.envelope.data.run.steps.at(-1)).toMatchObject({ id: "apply", changed: false });
      const show = await run("config", "show", "work_mem");
      expect(
        show.envelope.data.settings.map((one: any) => [one.name, one.managed_by_patroni]),
      ).toContainEqual(["work_mem", true]);
      expect(
        show.envelope.data.settings.map((one: any) => [one.name, one.managed_by_patroni]),
      ).toContainEqual(["maintenance_work_mem", false]);

      const back = await run("config", "rollback", "--run", data.run.id);
      expect(back.envelope.error).toBeNull();
      expect(await parameters()).toEqual(was);
      expect(await shown("work_mem")).toEqual(["5MB", "5MB"]);
    }, 300_000);

    test("what Patroni would not take is refused before anything is written", async () => {
      const was = await cluster.get("/config", leader);
      const bad = await run(
        "config",
        "apply",
        ...settings({
          work_mem: "9MB",
          max_connections: 20,
          port: 5433,
          primary_conninfo: "host=x",
          wal_level: "minimal",
          hot_standby: "off",
        }),
      );
      expect(
        bad.envelope.error.data.problems.map((one: any) => `${one.name} ${one.problem}`),
      ).toEqual([
        "max_connections must be at least 25 under Patroni",
        "port is decided by Patroni itself",
        "primary_conninfo is decided by Patroni itself",
        "wal_level must be replica or logical under Patroni",
        "hot_standby is decided by Patroni itself",
      ]);
      expect(await cluster.get("/config", leader)).toEqual(was);
    });

    test("ALTER SYSTEM is not used on a member, also when nobody said that Patroni runs it", async () => {
      const { host, port } = cluster.members[leader]!;
      const bare = [
        "--host",
        host,
        "--port",
        String(port),
        "--user",
        "postgres",
        "--database",
        "postgres",
      ];
      const refused = await pgdba(
        ["config", "apply", ...bare, ...settings({ work_mem: "9MB" }), "--quiet"],
        {
          ...env,
          PGPASSWORD: cluster.password,
        },
      );
      expect(refused.envelope.error).toMatchObject({ code: "step_refused" });
      expect(refused.envelope.error.hint).toContain("endpoints");
    });

    test("what ALTER SYSTEM hides from Patroni is found, and gone once its remedy was run", async () => {
      const { host, port } = cluster.members[leader]!;
      const about = { host, port, user: cluster.user, password: cluster.password };
      const look = () => examine(about, { only: ["patroni-overridden", "work-mem-small"] });
      const was = await parameters();
      expect(shortly(await look())).toEqual([]);
      const client = new Client({ ...about, database: "postgres" });
      await client.connect();
      await client.query("alter system set work_mem = '512kB'");
      await client.query("select pg_reload_conf()");
      const found = await until(look, ({ findings }) => findings.length === 2);
      expect(shortly(found)).toEqual([
        "warning patroni-overridden work_mem",
        "warning work-mem-small work_mem",
      ]);
      // A setting of a member of Patroni's is no matter of ALTER SYSTEM.
      const small = found.findings.find(({ check }) => check === "work-mem-small")!.remedy;
      expect([small.sql, small.runbook, small.params]).toEqual([
        null,
        "config/apply",
        { settings: { work_mem: "4MB" } },
      ]);
      const { sql } = found.findings.find(({ check }) => check === "patroni-overridden")!.remedy;
      for (const statement of String(sql)
        .split(";")
        .filter((part) => part.trim() !== ""))
        await client.query(statement);
      await client.end();
      expect(shortly(await until(look, ({ findings }) => findings.length === 0))).toEqual([]);
      expect(await parameters()).toEqual(was);
    }, 300_000);

    test("as many synchronous standbys as asked for are enough while Patroni has another one to take", async () => {
      const { host, port } = cluster.members[leader]!;
      const about = { host, port, user: cluster.user, password: cluster.password };
      const file = new URL(
        "../../../runbooks/health/checks/sync-standbys-short.yaml",
        import.meta.url,
      );
      const text = await readFile(file, "utf8");
      const found = async (candidates: number, standbys: number) => {
        const sql =
          `select 'pg2' as names, 1 as needed, ${candidates} as candidates, ${standbys} as standbys, ${standbys === 0} as alone,
          'pg2' as streaming, '' as others, '' as missing, '' as proposal`.replace(/\s+/g, " ");
        const short = text.replace(/^sql: \|\n(?: .*\n)+/m, `sql: ${sql}\n`);
        const report = await examine(about, {}, await libraryOf({ short }));
        return report.findings.map(({ severity }) => severity);
      };
      expect(await found(1, 2)).toEqual([]);
      expect(await found(1, 1)).toEqual(["warning"]);
      // None of those that are there is named: commits hang until Patroni has named one.
      expect(await found(0, 2)).toEqual(["critical"]);
    });

    test("wrong credentials change nothing", async () => {
      const denied = await pgdba(
        ["config", "apply", "--cluster", "pat", ...settings({ work_mem: "9MB" }), "--quiet"],
        { ...env, API_PASSWORD: "wrong" },
      );
      expect(denied.envelope.error).toMatchObject({ code: "http_failed" });
      expect(denied.envelope.error.hint).toContain("password_env");
      expect(await parameters()).toMatchObject({ work_mem: "5MB" });
    });

    test("a member's own configuration that would win is named before anything is written", async () => {
      const was = await parameters();
      const target = await resolveTarget({
        flags: { cluster: "pat" },
        env,
        stateDir: home,
        onSecret: () => {},
      });
      const started = performance.now();
      // Time passes eight times as fast, so that giving up comes soon; Patroni's loop of a second stays within it.
      const clock = {
        ...systemClock,
        monotonic: () => (performance.now() - started) * 8,
        sleep: (ms: number) => Bun.sleep(ms),
      };
      const ctx = Object.assign(fakeContext({ clock, run: { id: "local", stateDir: home } }), {
        target,
      });
      const input = { settings: { shared_buffers: "24MB", work_mem: "7MB" } } as never;
      for (const work of [() => apply.plan!(ctx, input), () => apply.run(ctx, input)]) {
        const failed = await work().catch((error) => error);
        expect(failed).toMatchObject({ code: "step_refused" });
        expect(failed.message).toMatch(
          /pg1 has shared_buffers = 16MB by its own patroni.yml \(.*\/postgresql.conf:\d+\); pg2 has/,
        );
        expect(failed.message).not.toContain("work_mem");
      }
      await target.close();
      expect(await parameters()).toEqual(was);
    }, 300_000);

    test("killed around the PATCH, resume brings the new values and rollback the old ones", async () => {
      const was = await parameters();
      for (const [kill, go] of [
        ["before", "resume"],
        ["after", "rollback"],
      ] as const) {
        const place = await mkdtemp(join(home, "kill-"));
        await mkdir(join(place, "clusters"));
        await Bun.write(
          join(place, "clusters/pat.yaml"),
          Bun.file(join(home, "clusters/pat.yaml")),
        );
        const own = { ...env, PGDBA_HOME: place };
        const killed = await pgdba(
          ["config", "apply", "--cluster", "pat", ...settings({ work_mem: "8MB" }), "--quiet"],
          { ...own, KILL_PATCH: kill },
          PRELOAD,
        );
        expect(killed.signal).toBe("SIGKILL");
        expect((await parameters()).work_mem).toBe(kill === "after" ? "8MB" : "5MB");
        const id = (await readdir(join(place, "config-before")))[0]!.replace(".json", "");
        const after = await pgdba(
          go === "resume"
            ? ["resume", id, "--quiet"]
            : ["config", "rollback", id, "--cluster", "pat", "--quiet"],
          own,
        );
        expect([go, after.exit, after.envelope.error]).toEqual([go, 0, null]);
        expect((await parameters()).work_mem).toBe(go === "resume" ? "8MB" : "5MB");
        if (go === "resume")
          expect(
            (await pgdba(["config", "rollback", id, "--cluster", "pat", "--quiet"], own)).exit,
          ).toBe(0);
      }
      expect(await parameters()).toEqual(was);
    }, 300_000);

    test("apply-restart restarts the standby first and the leader after it, smaller values included", async () => {
      const values = settings({ max_connections: 40 });
      const planned = await run("config", "apply-restart", "--plan", ...values);
      const { status, steps } = planned.envelope.data.run;
      expect(status).toBe("planned");
      const { preview } = steps.find((step: any) => step.path === "restart/restart");
      expect(preview.order.map((one: any) => one.role)).toEqual(["replica", "leader"]);

      const done = await run("config", "apply-restart", "--yes", ...values);
      expect(done.envelope.error).toBeNull();
      const { restarted, pending_restart } = done.envelope.data;
      // A standby can't have less than the primary, so that it had to be restarted once more.
      expect(restarted.map((one: any) => one.role)).toEqual(["replica", "leader", "replica"]);
      expect(pending_restart).toEqual([]);
      expect(await shown("max_connections")).toEqual(["40", "40"]);
      const idle = await run("config", "restart", "--yes");
      expect([idle.envelope.data.restarted, idle.envelope.data.run.steps[0].changed]).toEqual([
        [],
        false,
      ]);
    }, 300_000);

    test("what went there and back needs no restart, whatever the servers say", async () => {
      const done = await run("config", "apply", ...settings({ max_files_per_process: 900 }));
      const order = async () =>
        (await run("config", "restart", "--plan")).envelope.data.run.steps.find(
          ({ preview }: any) => preview?.order !== undefined,
        ).preview.order;
      for (const member of await order())
        expect(member).toMatchObject({
          pending_restart: true,
          settings: ["max_files_per_process"],
        });
      expect((await run("config", "rollback", done.envelope.data.run.id)).exit).toBe(0);
      // PostgreSQL goes on saying so until it is restarted.
      expect(
        await sql("SELECT count(*)::int AS value FROM pg_settings WHERE pending_restart"),
      ).toEqual([1, 1]);
      for (const member of await order())
        expect(member).toMatchObject({ pending_restart: false, settings: [] });
      const idle = await run("config", "restart", "--yes");
      expect([idle.exit, idle.envelope.data]).toMatchObject([
        0,
        { restarted: [], pending_restart: [] },
      ]);
    }, 300_000);

    test("a setting with which no member would start again is refused before a restart, and with a word stops at the first standby", async () => {
      const was = await parameters();
      const started = () => sql("SELECT pg_postmaster_start_time()::text AS value");
      const before = await started();
      // No test machine has set huge pages aside.
      const pages = settings({ huge_pages: "on" });
      const refused = await run("config", "apply-restart", "--yes", ...pages);
      expect([refused.exit, refused.envelope.error.run.status]).toEqual([5, "undone"]);
      expect(refused.envelope.error.message).toMatch(
        /^pg1: .*huge_pages = on.*\. pg2: .*\. Nothing was restarted$/,
      );
      expect(await parameters()).toEqual(was);
      expect(await started()).toEqual(before);

      const { data } = (await run("config", "apply", ...pages)).envelope;
      const failed = await run("config", "restart", "--force", "--yes", "--timeout", "10s");
      expect(failed.envelope.error.message).toMatch(/^pg[12] did not restart/);
      expect((await run("config", "rollback", data.run.id)).exit).toBe(0);
      expect(await parameters()).toEqual(was);
      const state = await cluster.get("/patroni", leader);
      expect(state.state).toBe("running");
      expect(state.role).not.toBe("replica");
    }, 300_000);
  },
);
