/** The files for a Prometheus of the user's own: a real one includes them, and its targets answer. Grafana is played by a server of ours: it can't be had here. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { systemClock } from "../../../engine/clock.ts";
import type { JsonObject } from "../../../engine/types.ts";
import { freePort } from "../../../providers/nodes/embedded/server.ts";
import { clusterFile } from "../../../providers/registry/folder.ts";
import account from "../../../steps/monitor/account.ts";
import files from "../../../steps/monitor/files.ts";
import grafana from "../../../steps/monitor/grafana.ts";
import { onlyWatched } from "../../../steps/monitor/include/rules.ts";
import { scrapeConfig, targetsOf } from "../../../steps/monitor/include/scrape.ts";
import { RULE_FILES } from "../../../steps/monitor/node/rules.ts";
import { fakeContext } from "../../support/context.ts";
import { programsOf } from "../../support/monitoring/programs.ts";
import { clientOf, startServer, type TestServer } from "../../support/postgres.ts";
import { through } from "../../support/target.ts";
import { targetOf } from "../report/support.ts";

test("jobs have names of their own, and series the job that rules ask for; of TLS the target says so", async () => {
  const { scrape_configs: jobs } = (await scrapeConfig("exporter:1", true)) as unknown as {
    scrape_configs: JsonObject[];
  };
  // Who watches the user's own Prometheus, Alertmanager and Grafana is the user's matter.
  expect(jobs.map(({ job_name }) => String(job_name)).toSorted()).toEqual(
    ["etcd", "node", "patroni", "pgbouncer", "pgdba", "postgres"].map((job) => `pgdba-${job}`),
  );
  const named = (name: string) => jobs.find(({ job_name }) => job_name === name)!;
  expect(named("pgdba-patroni")).toMatchObject({
    tls_config: { ca_file: "authorities.pem" },
    relabel_configs: [{ target_label: "job", replacement: "patroni" }],
  });
  expect(named("pgdba-node")["tls_config"]).toBeUndefined();
  // Not as rarely as a Prometheus does by default, whose file may say nothing of it.
  expect(named("pgdba-node")).toMatchObject({ scrape_interval: "15s", scrape_timeout: "10s" });
  expect(named("pgdba-patroni")).toMatchObject({ scrape_interval: "5s", scrape_timeout: "4s" });
  expect(JSON.stringify(named("pgdba-postgres"))).toContain('"replacement":"exporter:1"');
  expect(named("pgdba-postgres")["params"]).toBeUndefined();
  const group = { targets: ["a:1"], labels: { cluster: "o", instance: "a" } };
  expect(
    targetsOf("o", { postgres: [group], patroni: [group], prometheus: [group] }, ["patroni"]),
  ).toEqual({
    postgres: [{ targets: ["a:1"], labels: { ...group.labels, __param_auth_module: "o" } }],
    patroni: [{ targets: ["a:1"], labels: { ...group.labels, __scheme__: "https" } }],
  });
});

const programs = await programsOf("trixie");

describe("a server alone", () => {
  let server: TestServer;
  let target: ReturnType<typeof targetOf>;
  let stateDir = "";
  let to = "";
  const children: Bun.Subprocess[] = [];

  beforeAll(async () => {
    server = await startServer({ settings: { listen_addresses: "127.0.0.1" } });
    target = targetOf(server);
    stateDir = await mkdtemp(join(tmpdir(), "pgdba-files-"));
    to = join(stateDir, "include");
    await mkdir(join(stateDir, "clusters"), { mode: 0o700 });
    for (const name of ["one", "two"])
      await writeFile(
        clusterFile(stateDir, name),
        stringify({
          ownership: "connected",
          postgres: { host: "127.0.0.1", port: server.port, user: server.user },
        }),
        { mode: 0o600 },
      );
  }, 300_000);
  afterAll(async () => {
    for (const child of children) {
      child.kill("SIGKILL");
      await child.exited;
    }
    const admin = await clientOf(server);
    await admin.query("drop role if exists pgdba_monitor");
    await admin.end();
    await target?.close();
    await server?.stop();
    await rm(stateDir, { recursive: true, force: true });
  }, 300_000);

  const context = (cluster: string) =>
    fakeContext({
      target: { ...through(target), cluster },
      run: { stateDir },
      clock: systemClock,
    });
  const write = async (cluster: string, input: JsonObject = {}) => {
    const ctx = context(cluster);
    return { told: (await files.run(ctx, { to, ...input })) as { files: string[] }, ctx };
  };
  const login = async () =>
    (
      parse(await readFile(join(to, "exporters/postgres_exporter.yml"), "utf8")) as {
        auth_modules: Record<string, { userpass: { username: string; password: string } }>;
      }
    ).auth_modules;

  test("the password stands in one file of mode 0600; what is right already stays; another cluster's part stays, too", async () => {
    await account.run(context("one"), {});
    const { told, ctx: first } = await write("one");
    expect(told.files).toContain("scrape.yml");
    const { userpass } = (await login())["one"]!;
    expect(userpass.username).toBe("pgdba_monitor");
    for (const name of told.files) {
      const file = join(to, name);
      const isLogin = name === "exporters/postgres_exporter.yml";
      expect([name, (await readFile(file, "utf8")).includes(userpass.password)]).toEqual([
        name,
        isLogin,
      ]);
      expect([name, (await stat(file)).mode & 0o777]).toEqual([name, isLogin ? 0o600 : 0o644]);
    }
    const again = await write("one");
    expect(again.told.files).toEqual([]);
    expect(again.ctx.recorded.unchanged).toBe(1);
    await account.run(context("two"), {});
    const other = await write("two", { node: { two: "db2:9100" }, prometheus: "http://p:9090" });
    expect(Object.keys(await login())).toEqual(["one", "two"]);
    expect(JSON.parse(await readFile(join(to, "targets/node-two.json"), "utf8"))).toEqual([
      { targets: ["db2:9100"], labels: { cluster: "two", instance: "two" } },
    ]);
    expect(existsSync(join(to, "targets/node-one.json"))).toBe(true);
    const source = join(to, "grafana/provisioning/datasources/pgdba.yml");
    expect(await readFile(source, "utf8")).toContain("http://p:9090");
    // Taken back, what was there before stays.
    await files.undo!(other.ctx, { to }, undefined);
    expect(existsSync(join(to, "targets/node-two.json"))).toBe(false);
    expect(existsSync(join(to, "scrape.yml"))).toBe(true);
    // A dead run that is given up takes nothing from a later one, also not of what another cluster has in common with it.
    const later = context("two");
    await files.run({ ...later, run: { ...later.run, id: "run-later" } }, { to });
    await files.undo!(first, { to }, undefined);
    expect(first.recorded.warnings).toEqual([expect.stringContaining("Run run-later has written")]);
    expect(existsSync(join(to, "scrape.yml"))).toBe(true);
    await write("two");
    await files.undo!(first, { to }, undefined);
    expect(existsSync(join(to, "scrape.yml"))).toBe(false);
    expect(existsSync(join(to, ".last-run"))).toBe(false);
  }, 300_000);

  test("what was given stays where it is not given again, and so does who may read a file", async () => {
    await account.run(context("one"), {});
    const given = {
      exporter: "ex:9187",
      pgdba: "me:1",
      node: { one: "n:9100" },
      pgbouncer: { pool: "p:9127" },
      prometheus: "http://prom:9090",
      receivers: ["http://people/hook"],
      thresholds: { "disk-used": { warning: 70 } },
    };
    const { ctx: first } = await write("one", given);
    const routes = join(to, "alertmanager.yml");
    await chmod(routes, 0o600);
    expect((await write("one")).told.files).toEqual([]);
    const { told } = await write("one", { receivers: [], thresholds: {}, node: {} });
    expect(told.files.toSorted()).toEqual([
      "alertmanager.yml",
      "rules/thresholds.rules.yml",
      "targets/node-one.json",
      "thresholds.json",
    ]);
    expect((await stat(routes)).mode & 0o777).toBe(0o600);
    expect(await readFile(routes, "utf8")).not.toContain("people/hook");
    await files.undo!(first, { to }, undefined);
  }, 300_000);

  test("an alert that speaks of a cluster is one of the folder's, and the others are few", () => {
    const left = Object.values(RULE_FILES).flatMap((text) => {
      const { groups } = parse(onlyWatched(text)) as {
        groups: { rules: { alert?: string; expr: string }[] }[];
      };
      return groups.flatMap(({ rules }) =>
        rules.flatMap(({ alert, expr }) =>
          alert === undefined || expr.endsWith(") and on (cluster) pgdba:watched") ? [] : [alert],
        ),
      );
    });
    expect(left.toSorted()).toEqual([
      "AlertsNotDelivered",
      "NothingMonitored",
      "PrometheusConfigBroken",
      "RulesFail",
      "ThresholdsMissing",
      "Watchdog",
    ]);
  });

  const missing = "missing" in programs ? programs.missing : null;
  const name = "a real Prometheus includes them, and the server answers by its exporter";
  test.skipIf(missing !== null)(
    missing === null ? name : `${name} (${missing})`,
    async () => {
      const { bin } = programs as { bin: string };
      const run = (argv: string[]) =>
        children.push(Bun.spawn(argv, { stdout: "ignore", stderr: "ignore", stdin: "ignore" }));
      const [exporter, port] = [await freePort(), await freePort()];
      await account.run(context("one"), {});
      const { told } = await write("one", { exporter: `127.0.0.1:${exporter}` });
      const { include } = told as unknown as { include: string };
      const config = join(stateDir, "prometheus.yml");
      // It watches others, too, by names that are pgdba's as well.
      const others = {
        job_name: "etcd",
        scrape_interval: "1s",
        static_configs: [{ targets: ["127.0.0.1:9"], labels: { cluster: "elsewhere" } }],
      };
      await writeFile(config, `${include}${stringify({ scrape_configs: [others] })}`);
      run([
        join(bin, "prometheus-postgres-exporter"),
        `--web.listen-address=127.0.0.1:${exporter}`,
        `--config.file=${to}/exporters/postgres_exporter.yml`,
      ]);
      run([
        join(bin, "prometheus"),
        `--config.file=${config}`,
        `--storage.tsdb.path=${stateDir}/data`,
        `--web.listen-address=127.0.0.1:${port}`,
      ]);
      const ask = async (query: string) => {
        const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`;
        const answer = await fetch(url).catch(() => null);
        if (answer?.ok !== true) return [];
        const { data } = (await answer.json()) as { data: { result: { metric: JsonObject }[] } };
        return data.result.map(({ metric }) => metric);
      };
      const query = 'pg_up == 1 and on (instance) up{job="postgres"} == 1';
      let seen: JsonObject[] = [];
      for (
        const ends = performance.now() + 60_000;
        performance.now() < ends;
        await Bun.sleep(300)
      ) {
        seen = await ask(query);
        if (seen.length > 0) break;
      }
      expect(seen).toMatchObject([{ cluster: "one", instance: "one", job: "postgres" }]);
      // Nobody serves pgdba's own metrics here, and nothing answers for the others.
      const alerts = async (folder: string) => {
        const rules = [];
        for (const name of await readdir(folder)) {
          const { groups } = parse(await readFile(join(folder, name), "utf8")) as {
            groups: { rules: { alert?: string; expr: string }[] }[];
          };
          rules.push(...groups.flatMap((group) => group.rules));
        }
        const given: string[] = [];
        for (const { alert, expr } of rules)
          if (alert !== undefined)
            for (const { cluster } of await ask(expr)) given.push(`${alert} ${String(cluster)}`);
        return given;
      };
      let fires: string[] = [];
      for (
        const ends = performance.now() + 30_000;
        performance.now() < ends;
        await Bun.sleep(300)
      ) {
        fires = await alerts(join(to, "rules"));
        if (fires.includes("TargetDown one")) break;
      }
      expect(fires).toContain("TargetDown one");
      expect(fires.filter((one) => one.endsWith(" elsewhere"))).toEqual([]);
      const plain = await alerts(join(import.meta.dir, "../../../monitoring/prometheus/rules"));
      expect(plain).toContain("TargetDown elsewhere");
      expect(plain).toContain("EtcdMemberDown elsewhere");
    },
    120_000,
  );
});

describe("Grafana's API", () => {
  const asked: string[] = [];
  const boards = new Map<string, JsonObject>();
  let folder: JsonObject | null = null;
  let source: JsonObject | null = null;
  let url = "";
  let grafanaServer: Bun.Server<unknown>;

  beforeAll(() => {
    grafanaServer = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      async fetch(request) {
        const { pathname } = new URL(request.url);
        asked.push(`${request.method} ${pathname}`);
        if (request.headers.get("authorization") !== "Bearer a-token-of-grafana")
          return Response.json({ message: "Invalid API key" }, { status: 401 });
        const uid = pathname.split("/").at(-1)!;
        const none = () => Response.json({ message: "not found" }, { status: 404 });
        if (request.method === "GET" && pathname.startsWith("/api/dashboards/uid/"))
          return boards.has(uid) ? Response.json({ dashboard: boards.get(uid) }) : none();
        if (request.method === "DELETE") {
          boards.delete(uid);
          return Response.json({ message: "deleted" });
        }
        if (request.method === "GET" && pathname.startsWith("/api/folders/"))
          return folder === null ? none() : Response.json(folder);
        if (request.method === "GET" && pathname.startsWith("/api/datasources/uid/"))
          return source === null ? none() : Response.json(source);
        const body = (await request.json()) as JsonObject;
        if (pathname === "/api/folders") return Response.json((folder = body));
        if (pathname === "/api/datasources") return Response.json((source = body));
        const { dashboard, folderUid, overwrite } = body as {
          dashboard: JsonObject;
          folderUid: string;
          overwrite: boolean;
        };
        if (folderUid !== folder?.["uid"] || !overwrite)
          return Response.json({ message: "folder not found" }, { status: 400 });
        const version = Number(boards.get(String(dashboard["uid"]))?.["version"] ?? 0) + 1;
        boards.set(String(dashboard["uid"]), { ...dashboard, version });
        return Response.json({
          uid: dashboard["uid"] ?? null,
          url: `/d/${String(dashboard["uid"])}/x`,
          status: "success",
          version,
        });
      },
    });
    url = `http://127.0.0.1:${grafanaServer.port}`;
  });
  afterAll(() => grafanaServer.stop(true));

  const context = (token: string) =>
    fakeContext({ target: { cluster: "orders" }, env: { GRAFANA_TOKEN: token } });
  const input = () => ({ url, token_env: "GRAFANA_TOKEN", prometheus: "http://p:9090" });

  test("folder, data source and dashboards come there, again in their own place, and go when taken back", async () => {
    const ctx = context("a-token-of-grafana");
    const first = (await grafana.run(ctx, input())) as JsonObject;
    expect(first).toMatchObject({
      data_source_made: true,
      dashboards: [
        { uid: "pgdba-cluster-overview", version: 1 },
        { uid: "pgdba-performance", version: 1 },
        { uid: "pgdba-replication", version: 1 },
      ],
    });
    expect(ctx.recorded.secrets).toContain("a-token-of-grafana");
    expect(source).toMatchObject({
      uid: "pgdba-prometheus",
      url: "http://p:9090",
      type: "prometheus",
    });
    const again = context("a-token-of-grafana");
    expect(await grafana.run(again, input())).toMatchObject({
      data_source_made: false,
      dashboards: [{ version: 2 }, { version: 2 }, { version: 2 }],
    });
    expect(asked.filter((one) => one === "POST /api/folders")).toHaveLength(1);
    await grafana.undo!(again, input(), undefined);
    expect(boards.size).toBe(3);
    // Those that a later run has saved again stay when the one that made them is given up.
    await grafana.undo!(ctx, input(), undefined);
    expect(boards.size).toBe(3);
    expect(ctx.recorded.warnings).toHaveLength(3);
    boards.clear();
    const alone = context("a-token-of-grafana");
    await grafana.run(alone, input());
    await grafana.undo!(alone, input(), undefined);
    expect(boards.size).toBe(0);
  });

  test("a token that is missing or has no rights is told with what to do", async () => {
    await expect(grafana.run(context(""), input())).rejects.toThrow("Not set: GRAFANA_TOKEN");
    const refused = grafana.run(context("another-token-here"), input());
    await expect(refused).rejects.toMatchObject({ code: "http_failed", data: { status: 401 } });
    const gone = { ...input(), url: "http://127.0.0.1:1" };
    await expect(grafana.run(context("a-token-of-grafana"), gone)).rejects.toMatchObject({
      code: "connection_failed",
    });
  });
});
