/**
 * Rules and dashboards before a real cluster: each name of a metric that they read is one that the real exporters give, each query of a dashboard gives
 * at least one series, and no rule fails.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { figuresOf } from "../../steps/monitor/watch/history.ts";
import { programsOf } from "../support/monitoring/programs.ts";
import { type Stack, startStack, type Target } from "../support/monitoring/stack.ts";
import { type PatroniCluster, patroniMissing, startPatroni } from "../support/patroni.ts";
import { CONSOLE_USER, pgbouncerMissing, type Pooler, startPooler } from "../support/pgbouncer.ts";
import { clientOf, startServer, type TestServer } from "../support/postgres.ts";
import { namesIn } from "./names.ts";
import { groupsOf } from "./rules/cases.ts";

const root = join(import.meta.dir, "../..");
const rules = join(root, "monitoring/prometheus/rules");
const dashboards = join(root, "monitoring/grafana/dashboards");
const CLUSTER = "test";

test("names are found in expressions", () => {
  expect(
    namesIn(
      '100 * max by (cluster) (a:b{x="y (z) or w"} - on (instance) group_left () c) > scalar(d{e="f"}) and rate(g[5m]) or {__name__=~"hs?_i"}',
    ),
  ).toEqual({ exact: ["a:b", "c", "d", "g"], patterns: ["hs?_i"] });
});

interface Panel {
  title: string;
  targets?: { expr: string }[];
}
const panels = readdirSync(dashboards).flatMap((name) => {
  const { panels: list } = JSON.parse(readFileSync(join(dashboards, name), "utf8")) as {
    panels: Panel[];
  };
  return list.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({ where: `${name}: ${title}`, expr })),
  );
});
const filled = (expr: string): string =>
  expr
    .replaceAll("$cluster", CLUSTER)
    .replaceAll("$instance", ".*")
    .replaceAll("$__rate_interval", "30s");
const expressions = [
  ...readdirSync(rules)
    .flatMap((name) => groupsOf(readFileSync(join(rules, name), "utf8")))
    .flatMap((group) => group.rules.map(({ expr }) => expr)),
  ...panels.map(({ expr }) => filled(expr)),
];

interface Metric {
  name: string;
  type: string;
  labels: string[];
  help: string;
}

/** What pgdba serves, by the list of its metrics, each with one plausible series: a repository and certificates are not part of this cluster. */
function exposition(instances: string[]): string {
  const { metrics, sources } = parse(
    readFileSync(join(root, "monitoring/metrics.yaml"), "utf8"),
  ) as { metrics: Metric[]; sources: Record<string, unknown> };
  const values: Record<string, string[]> = {
    instance: instances,
    source: Object.keys(sources),
    check: ["fsync-off"],
    group: ["configuration"],
    severity: ["critical", "warning", "info"],
    why: ["skipped"],
    datname: ["postgres"],
    type: ["full"],
    mountpoint: ["/data"],
    holds: ["data"],
    service: ["postgres"],
    version: ["0"],
  };
  const now = Math.round(Date.now() / 1000);
  const value = (name: string): number => {
    if (name.endsWith("_timestamp_seconds")) return now + (name.includes("expiry") ? 1e7 : -60);
    if (name === "pgdba_disk_size_bytes") return 100;
    if (name === "pgdba_disk_avail_bytes") return 70;
    return /_up$|members_writable|drill_last_passed|pgdba_backups$/.test(name) ? 1 : 0;
  };
  return metrics
    .map(({ name, type, labels, help }) => {
      const combined = labels.reduce<string[][]>(
        (all, label) =>
          all.flatMap((one) => (values[label] ?? []).map((each) => [...one, `${label}="${each}"`])),
        [[]],
      );
      const lines = combined.map((pairs) => `${name}{${pairs.join(",")}} ${value(name)}`);
      return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("\n")}\n`;
    })
    .join("");
}

/** The suites whose exporters differ in names. */
const SUITES = ["trixie", "forky"] as const;
const found = new Map(
  await Promise.all(SUITES.map(async (suite) => [suite, await programsOf(suite)] as const)),
);
const missing = patroniMissing() ?? pgbouncerMissing();

describe.skipIf(missing !== null)(
  `a real cluster${missing === null ? "" : ` (${missing})`}`,
  () => {
    let cluster: PatroniCluster;
    let newer: TestServer;
    let pooler: Pooler;
    let pgdba: Bun.Server<unknown>;

    beforeAll(async () => {
      [cluster, newer] = await Promise.all([
        startPatroni(2),
        startServer({ version: 17, settings: { listen_addresses: "127.0.0.1" } }),
      ]);
      pooler = await startPooler({
        users: { [cluster.user]: cluster.password },
        route: `[databases]\npostgres = host=127.0.0.1 port=${await leader(cluster)}\n`,
        settings: { ignore_startup_parameters: "extra_float_digits" },
      });
      const sql = new Bun.SQL(
        `postgres://${cluster.user}:${cluster.password}@127.0.0.1:${await leader(cluster)}/postgres`,
      );
      await sql`CREATE TABLE orders AS SELECT 1 AS id`;
      await sql.end();
      pgdba = Bun.serve({
        hostname: "127.0.0.1",
        port: 0,
        fetch: () =>
          new Response(exposition(cluster.members.map(({ name }) => name)), {
            headers: { "content-type": "text/plain; version=0.0.4" },
          }),
      });
      // One password for all servers, as in a cluster.
      await asUser(newer, cluster.user, cluster.password);
    }, 300_000);
    afterAll(async () => {
      await pgdba?.stop(true);
      await pooler?.stop();
      await Promise.all([cluster?.stop(), newer?.stop()]);
    }, 300_000);

    for (const suite of SUITES) {
      const programs = found.get(suite) ?? { missing: "not looked for" };
      const without = "missing" in programs ? ` (${programs.missing})` : "";
      describe.skipIf("missing" in programs)(`the programs of ${suite}${without}`, () => {
        let stack: Stack;

        beforeAll(async () => {
          if ("missing" in programs) throw new Error(programs.missing);
          const member = (instance: string, address: string): Target => ({
            cluster: CLUSTER,
            instance,
            address,
          });
          stack = await startStack({
            bin: programs.bin,
            login: { username: cluster.user, password: cluster.password },
            poolers: [
              {
                cluster: CLUSTER,
                instance: "pgbouncer1",
                url: `postgres://${CONSOLE_USER}:${pooler.admin}@127.0.0.1:${pooler.port}/pgbouncer?sslmode=disable`,
              },
            ],
            targets: {
              patroni: cluster.members.map(({ name, api }) => member(name, new URL(api).host)),
              postgres: [
                ...cluster.members.map(({ name, host, port }) => member(name, `${host}:${port}`)),
                // A version whose checkpoints stand in another view.
                { cluster: "newer", instance: "pg17", address: `127.0.0.1:${newer.port}` },
              ],
              etcd: [member("etcd1", new URL(cluster.etcd).host)],
              pgdba: [member(CLUSTER, `127.0.0.1:${pgdba.port}`)],
            },
          });
        }, 300_000);
        afterAll(async () => {
          await stack?.stop();
        });

        test("all targets are scraped", async () => {
          const up = async () => {
            const all = await stack.query("up == 1");
            return new Set(all.map(({ metric }) => `${metric["job"]} ${metric["instance"]}`));
          };
          const wanted = [
            ...["patroni", "postgres", "node"].flatMap((job) => [`${job} pg1`, `${job} pg2`]),
            "postgres pg17",
            "pgbouncer pgbouncer1",
            "etcd etcd1",
            `pgdba ${CLUSTER}`,
            "prometheus monitor1",
          ];
          expect(await never(wanted, async (one) => (await up()).has(one))).toEqual([]);
        }, 300_000);

        test("each name that rules and dashboards read is one that the exporters give", async () => {
          const names = expressions.map(namesIn);
          const given = async () => (await stack.get("/api/v1/label/__name__/values")) as string[];
          const exact = [...new Set(names.flatMap((one) => one.exact))];
          expect(exact.length).toBeGreaterThan(100);
          expect(await never(exact, async (one) => (await given()).includes(one))).toEqual([]);
          const patterns = [...new Set(names.flatMap((one) => one.patterns))];
          expect(patterns.length).toBeGreaterThan(1);
          const some = async (one: string) =>
            (await given()).some((name) => new RegExp(`^(${one})$`).test(name));
          expect(await never(patterns, some)).toEqual([]);
        }, 300_000);

        test("each query of the dashboards gives a series", async () => {
          const queries = panels.map(({ where, expr }) => ({ where, expr: filled(expr) }));
          expect(queries.length).toBeGreaterThan(80);
          const gives = async ({ expr }: { expr: string }) => (await stack.query(expr)).length > 0;
          expect(await never(queries, gives)).toEqual([]);
        }, 300_000);

        test("each figure that monitor status shows over time gives a series", async () => {
          const gives = async ({ expr }: { expr: string }) =>
            (await stack.query(expr)).length === 1;
          expect(await never(figuresOf(CLUSTER, 60), gives)).toEqual([]);
        }, 300_000);

        test("no rule fails, and a healthy cluster has no alert but the watchdog", async () => {
          const { groups } = (await stack.get("/api/v1/rules")) as {
            groups: { rules: { name: string; health: string; lastError?: string }[] }[];
          };
          const all = groups.flatMap((group) => group.rules);
          expect(all.length).toBeGreaterThan(140);
          expect(all.filter(({ health }) => health !== "ok")).toEqual([]);
          const firing = await stack.query('ALERTS{alertstate="firing"}');
          expect(firing.map(({ metric }) => metric["alertname"])).toEqual(["Watchdog"]);
        });
      });
    }
  },
);

/** Those of which `seen` was never true for two minutes: rates need two scrapes, and a busy machine misses some. */
async function never<T>(all: readonly T[], seen: (one: T) => Promise<boolean>): Promise<T[]> {
  let left = [...all];
  for (const ends = performance.now() + 120_000; ; await Bun.sleep(500)) {
    const still = await Promise.all(left.map(async (one) => !(await seen(one))));
    left = left.filter((_, index) => still[index]);
    if (left.length === 0 || performance.now() > ends) return left;
  }
}

/** The port of the member that leads. */
async function leader({ members, get }: PatroniCluster): Promise<number> {
  for (const [index, { port }] of members.entries())
    if (/master|primary/.test((await get("/patroni", index)).role)) return port;
  throw new Error("nobody leads");
}

/** Gives a server a superuser with this name and password. */
async function asUser(server: TestServer, user: string, password: string): Promise<void> {
  const client = await clientOf(server);
  try {
    const exists = await client.query("SELECT 1 FROM pg_roles WHERE rolname = $1", [user]);
    const verb = exists.rowCount === 0 ? "CREATE" : "ALTER";
    await client.query(
      `${verb} ROLE ${client.escapeIdentifier(user)} SUPERUSER LOGIN PASSWORD ${client.escapeLiteral(password)}`,
    );
  } finally {
    await client.end();
  }
}
