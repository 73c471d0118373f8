/** Who hears of which alert: judged by amtool, and by a real Alertmanager that delivers to a webhook. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { freePort } from "../../providers/nodes/embedded/server.ts";
import { prometheusMissing } from "../support/monitoring/programs.ts";
import { groupsOf } from "./rules/cases.ts";

const root = join(import.meta.dir, "../..");
const CONFIG = join(root, "monitoring/alertmanager/alertmanager.yml");
const missing = prometheusMissing("amtool", "prometheus-alertmanager");

interface Config {
  inhibit_rules: { target_matchers: string[] }[];
  route: { group_wait?: string; routes: { group_wait: string }[] };
  receivers: { name: string; webhook_configs?: object[] }[];
}
const config = parse(readFileSync(CONFIG, "utf8")) as Config;
const folder = join(root, "monitoring/prometheus/rules");
const alerts = new Set(
  readdirSync(folder)
    .flatMap((name) => groupsOf(readFileSync(join(folder, name), "utf8")))
    .flatMap(({ rules }) => rules.flatMap(({ alert }) => (alert === undefined ? [] : [alert]))),
);

function amtool(...words: string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["amtool", ...words]);
  if (exitCode !== 0) throw new Error(`${stdout.toString()}${stderr.toString()}`);
  return stdout.toString().trim();
}

const names = (matchers: string[]): string[] =>
  matchers.flatMap((one) => /^alertname=~?"([^"]+)"$/.exec(one)?.[1]?.split("|") ?? []);

test("no alert is named that does not exist, and the gravest are muted by none", () => {
  const text = readFileSync(CONFIG, "utf8");
  const all = [...text.matchAll(/'(alertname=~?"[^"]+")'/g)].flatMap(([, one]) =>
    names([one ?? ""]),
  );
  expect(all.length).toBeGreaterThan(20);
  expect(all.filter((name) => !alerts.has(name))).toEqual([]);
  const muted = config.inhibit_rules.flatMap((rule) => {
    const targets = names(rule.target_matchers);
    // The warning of the same alert is the only thing that may be muted without a name.
    if (targets.length === 0) expect(rule.target_matchers).toEqual(['severity="warning"']);
    return targets;
  });
  for (const grave of ["TwoPrimaries", "ChecksumFailures", "DiskUsed", "NoLeader", "PostgresDown"])
    expect(muted).not.toContain(grave);
  expect(muted.filter((name) => /^(Archive|Backup|Drill|Wraparound)/.test(name))).toEqual([]);
});

describe.skipIf(missing !== null)(`amtool${missing === null ? "" : ` (${missing})`}`, () => {
  test("the file is as Alertmanager reads it", () => {
    expect(amtool("check-config", CONFIG)).toContain("SUCCESS");
  });

  const route = (...labels: string[]): string =>
    amtool("config", "routes", "test", `--config.file=${CONFIG}`, ...labels);

  test.each([
    ["urgent", ["alertname=NoLeader", "severity=critical", "cluster=shop"]],
    ["urgent", ["alertname=DiskUsed", "severity=critical", "instance=pg1"]],
    ["people", ["alertname=ReplicationLag", "severity=warning", "cluster=shop"]],
    ["people", ["alertname=OfTheUser"]],
    ["watchdog", ["alertname=Watchdog", "severity=none"]],
  ])("%s hear of %p", (receiver, labels) => {
    expect(route(...labels)).toBe(receiver);
  });
});

interface Delivery {
  receiver: string;
  status: string;
  groupLabels: Record<string, string>;
  alerts: { labels: Record<string, string> }[];
}

describe.skipIf(missing !== null)("a real Alertmanager", () => {
  const base = mkdtempSync(join(tmpdir(), "pgdba-alertmanager-"));
  const delivered: Delivery[] = [];
  let hook: Bun.Server<unknown>;
  let child: Bun.Subprocess;
  let url: string;

  beforeAll(async () => {
    hook = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      async fetch(request) {
        delivered.push((await request.json()) as Delivery);
        return new Response();
      },
    });
    const quick = structuredClone(config);
    // The routes and what is muted are those of the file; only the waiting is shorter.
    quick.route.group_wait = "1s";
    for (const one of quick.route.routes) one.group_wait = "1s";
    for (const one of quick.receivers)
      one.webhook_configs = [{ url: `http://127.0.0.1:${hook.port}/`, send_resolved: true }];
    writeFileSync(join(base, "alertmanager.yml"), stringify(quick));
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    child = Bun.spawn(
      [
        "prometheus-alertmanager",
        `--config.file=${join(base, "alertmanager.yml")}`,
        `--storage.path=${join(base, "data")}`,
        `--web.listen-address=127.0.0.1:${port}`,
        "--cluster.listen-address=",
      ],
      { stdin: "ignore", stdout: "ignore", stderr: Bun.file(join(base, "log")) },
    );
    for (const ends = performance.now() + 20_000; ; await Bun.sleep(50)) {
      if ((await fetch(`${url}/-/ready`).catch(() => null))?.ok === true) break;
      if (performance.now() > ends) throw new Error(readFileSync(join(base, "log"), "utf8"));
    }
  }, 300_000);
  afterAll(async () => {
    child?.kill("SIGKILL");
    await child?.exited;
    await hook?.stop(true);
    rmSync(base, { recursive: true });
  });

  const post = async (...list: Record<string, string>[]): Promise<void> => {
    const answer = await fetch(`${url}/api/v2/alerts`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(
        list.map((labels) => ({
          labels: { cluster: "shop", ...labels },
          startsAt: new Date().toISOString(),
        })),
      ),
    });
    if (!answer.ok) throw new Error(await answer.text());
  };

  test("an alert of two members arrives once, as one message, and what it explains does not", async () => {
    await post(
      { alertname: "PostgresDown", severity: "critical", instance: "pg1" },
      { alertname: "PostgresDown", severity: "critical", instance: "pg2" },
      { alertname: "TargetDown", severity: "warning", instance: "pg1", job: "postgres" },
      { alertname: "TargetDown", severity: "warning", instance: "pg3", job: "postgres" },
      { alertname: "DiskUsed", severity: "warning", instance: "pg3", mountpoint: "/data" },
      { alertname: "DiskUsed", severity: "critical", instance: "pg3", mountpoint: "/data" },
      { alertname: "DiskUsed", severity: "warning", instance: "pg3", mountpoint: "/wal" },
      { alertname: "DiskUsed", severity: "critical", instance: "pg1", mountpoint: "/data" },
      { alertname: "Watchdog", severity: "none", cluster: "" },
    );
    const told = (): string[] =>
      delivered
        .map(
          ({ receiver, status, alerts: list }) =>
            `${receiver} ${status} ${list
              .map(({ labels }) =>
                [labels["alertname"], labels["severity"], labels["instance"], labels["mountpoint"]]
                  .filter(Boolean)
                  .join(" "),
              )
              .toSorted()
              .join(", ")}`,
        )
        .toSorted();
    for (const ends = performance.now() + 20_000; delivered.length < 5; await Bun.sleep(50))
      if (performance.now() > ends) break;
    const expected = [
      "people firing DiskUsed warning pg3 /wal",
      "people firing TargetDown warning pg3",
      "urgent firing DiskUsed critical pg1 /data, DiskUsed critical pg3 /data",
      "urgent firing PostgresDown critical pg1, PostgresDown critical pg2",
      "watchdog firing Watchdog none",
    ];
    expect(told()).toEqual(expected);
    // Prometheus sends them again and again: nobody hears it twice.
    await post({ alertname: "PostgresDown", severity: "critical", instance: "pg1" });
    await post({ alertname: "NoLeader", severity: "critical", cluster: "other" });
    for (const ends = performance.now() + 20_000; delivered.length < 6; await Bun.sleep(50))
      if (performance.now() > ends) break;
    expect(told()).toEqual([...expected, "urgent firing NoLeader critical"].toSorted());
  }, 300_000);

  test("silenced and muted alerts stay to be seen", async () => {
    const list = (await (await fetch(`${url}/api/v2/alerts`)).json()) as {
      labels: Record<string, string>;
      status: { state: string; inhibitedBy: string[] };
    }[];
    const muted = list.filter(({ status }) => status.inhibitedBy.length > 0);
    expect(
      muted.map(({ labels }) => `${labels["alertname"]} ${labels["instance"]}`).toSorted(),
    ).toEqual(["DiskUsed pg3", "TargetDown pg1"]);
  });
});
