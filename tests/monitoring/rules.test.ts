/** The alerts, judged by promtool: each fires, each is quiet, and none lies when its data is gone. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { prometheusMissing } from "../support/monitoring/programs.ts";
import { AVAILABILITY } from "./rules/availability.ts";
import { BACKUP } from "./rules/backup.ts";
import { type Case, promtoolFile, groupsOf, neededBy } from "./rules/cases.ts";
import { PERFORMANCE } from "./rules/performance.ts";
import { REPLICATION } from "./rules/replication.ts";

const root = join(import.meta.dir, "../..");
const folder = join(root, "monitoring/prometheus/rules");
const files = readdirSync(folder).map((name) => join(folder, name));
const groups = files.flatMap((file) => groupsOf(readFileSync(file, "utf8")));
const rules = groups.flatMap((group) => group.rules);
const alerts = rules.filter(({ alert }) => alert !== undefined);

const CASES: Record<string, Case[]> = {
  "availability.rules.yml": AVAILABILITY,
  "backup.rules.yml": BACKUP,
  "performance.rules.yml": PERFORMANCE,
  "replication.rules.yml": REPLICATION,
};
const cases = Object.values(CASES).flat();

const missing = prometheusMissing("promtool");
const base = mkdtempSync(join(tmpdir(), "pgdba-rules-"));
afterAll(() => rmSync(base, { recursive: true }));

function promtool(...words: string[]): { code: number; said: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["promtool", ...words]);
  return { code: exitCode, said: `${stdout.toString()}${stderr.toString()}` };
}

describe.skipIf(missing !== null)(`promtool${missing === null ? "" : ` (${missing})`}`, () => {
  test("the files are as Prometheus reads them", () => {
    const { code, said } = promtool("check", "rules", "--lint=all", "--lint-fatal", ...files);
    expect(said).not.toContain("FAILED");
    expect(code).toBe(0);
  });

  for (const [name, list] of Object.entries(CASES))
    test(`${name}: alerts fire, are quiet, and end with their data`, () => {
      const names = [...new Set(list.map(({ alert }) => alert))];
      const { code, said } = promtool("test", "rules", ...names.map((one) => judged(one, groups)));
      if (code !== 0) throw new Error(failed(said));
    });

  test("without the thresholds that is what fires", () => {
    const others = groups.filter((group) => group.name !== "thresholds");
    const { code, said } = promtool("test", "rules", judged("ThresholdsMissing", others, [NONE]));
    if (code !== 0) throw new Error(failed(said));
  });
});

/** The cases that failed, without the list of files. */
const failed = (said: string): string =>
  said.slice(Math.max(0, said.indexOf("FAILED:"))).slice(0, 6000);

const MISSING = {
  severity: "critical",
  labels: { cluster: "" },
  says: "thresholds.rules.yml is not loaded, so that alerts compare with nothing and stay silent.",
};
const NONE: Case = {
  alert: "ThresholdsMissing",
  when: "their file is not loaded",
  series: { "pg_up pg1": 1 },
  after: "3m",
  fires: [MISSING],
  goneFires: [MISSING],
};

/** Writes the cases of an alert, with the rules that it needs; the name of the file for promtool. */
function judged(alert: string, from: typeof groups, of = cases): string {
  const file = join(base, `${alert}.rules.yml`);
  const list = of.filter((one) => one.alert === alert);
  writeFileSync(file, stringify({ groups: neededBy(alert, from) }));
  writeFileSync(`${file}.test.yml`, promtoolFile(file, rules, list));
  return `${file}.test.yml`;
}

const key = (alert = "", labels: Record<string, string> = {}): string =>
  [alert, labels["severity"], labels["seen_by"]].filter(Boolean).join(" ");

test("each alert has a case in which it fires, and its name one in which all are quiet", () => {
  const fired = new Set(
    cases.flatMap(({ alert, fires }) =>
      fires.map(({ severity, labels }) => key(alert, { ...labels, severity })),
    ),
  );
  const quiet = new Set(cases.filter(({ fires }) => fires.length === 0).map(({ alert }) => alert));
  const all = alerts.map(({ alert, labels }) => key(alert, labels));
  expect(all.filter((one) => !fired.has(one))).toEqual(["ThresholdsMissing critical"]);
  // It always fires: that is its work.
  expect(
    [...new Set(alerts.map(({ alert = "" }) => alert))].filter((name) => !quiet.has(name)),
  ).toEqual(["Watchdog"]);
  expect(new Set(alerts.map(({ alert }) => alert)).size).toBeGreaterThan(45);
});

test("an alert says what the health check says", () => {
  const judged = alerts.filter(({ annotations }) => annotations?.["check"] !== undefined);
  expect(judged.length).toBeGreaterThan(30);
  for (const { annotations } of judged) {
    const file = join(root, "runbooks/health/checks", `${annotations?.["check"]}.yaml`);
    const { title } = parse(readFileSync(file, "utf8")) as { title: string };
    expect(`${annotations?.["check"]}: ${annotations?.["summary"]}`).toBe(
      `${annotations?.["check"]}: ${title}`,
    );
  }
});

test("an alert compares with the threshold of the check that it names", () => {
  for (const { expr, annotations } of alerts)
    for (const [, name] of expr.matchAll(/pgdba:threshold\{check="([^"]+)"/g)) {
      const own = existsCheck(name ?? "");
      if (own && annotations?.["check"] !== undefined)
        expect(annotations["check"]).toBe(name ?? "");
    }
});

function existsCheck(name: string): boolean {
  return readdirSync(join(root, "runbooks/health/checks")).includes(`${name}.yaml`);
}

test("each alert has a severity, its words, and a command that pgdba has", () => {
  const { documents } = JSON.parse(readFileSync(join(root, "runbooks/_index.json"), "utf8")) as {
    documents: Record<string, unknown>;
  };
  const commands = new Set(
    Object.keys(documents).map((name) => name.replace(/^runbooks\//, "").replace(/\.yaml$/, "")),
  );
  for (const { alert, labels, annotations } of alerts) {
    expect([alert, labels?.["severity"]]).toEqual([
      alert,
      expect.stringMatching(/^(warning|critical|none)$/),
    ]);
    expect([alert, Object.keys(annotations ?? {}).filter((name) => name !== "check")]).toEqual([
      alert,
      ["summary", "description", "runbook"],
    ]);
    const [program, family, verb] = (annotations?.["runbook"] ?? "").split(" ");
    expect([alert, program, commands.has(`${family}/${verb}`)]).toEqual([alert, "pgdba", true]);
  }
});

/** What a runbook silences while it works: the alerts of each group, and whether only those about some members. */
function silencedBy(steps: unknown): { names: string[]; isOfMembers: boolean }[] {
  if (typeof steps !== "object" || steps === null) return [];
  return Object.entries(steps).flatMap(([key, value]) => {
    if (key !== "monitor.silence") return silencedBy(value);
    const { of } = value as { of: { alerts: string[]; members?: unknown }[] | string };
    if (typeof of !== "string")
      return of.map(({ alerts: names, members }) => ({
        names,
        isOfMembers: members !== undefined,
      }));
    // As an expression, whose names are quoted.
    return [...of.matchAll(/\{'alerts': \[([^\]]*)\]([^}]*)/g)].map(([, list = "", more = ""]) => ({
      names: [...list.matchAll(/'(\w+)'/g)].map(([, name = ""]) => name),
      isOfMembers: more.includes("'members'"),
    }));
  });
}

const working = [...new Bun.Glob("*/**/*.yaml").scanSync(join(root, "runbooks"))]
  .filter((file) => !file.startsWith("monitor/") && !file.endsWith(".test.yaml"))
  .flatMap((file) => {
    const silenced = silencedBy(parse(readFileSync(join(root, "runbooks", file), "utf8")));
    return silenced.length === 0 ? [] : [{ name: file.replace(/\.yaml$/, ""), silenced }];
  })
  .toSorted((one, other) => one.name.localeCompare(other.name));

test("planned work silences alerts: those who do have been found", () => {
  expect(working.map(({ name }) => name)).toContain("cluster/restart");
});

test.each(working)(
  "$name silences alerts that there are, and by its members only what is about a member",
  ({ silenced }) => {
    const known = new Set(alerts.map(({ alert }) => alert));
    const all = silenced.flatMap(({ names }) => names);
    expect(all.length).toBeGreaterThan(1);
    expect(all.filter((one) => !known.has(one))).toEqual([]);
    const ofMembers = silenced.flatMap(({ names, isOfMembers }) => (isOfMembers ? names : []));
    const instances = cases
      .filter(({ alert }) => ofMembers.includes(alert))
      .flatMap(({ alert, fires }) => fires.map(({ labels }) => [alert, labels?.["instance"]]));
    expect(instances.filter(([, instance]) => !/^pg\d$/.test(instance ?? ""))).toEqual([]);
  },
);

test("every threshold that rules and dashboards ask for is recorded", () => {
  const recorded = new Set(
    rules
      .filter(({ record }) => record === "pgdba:threshold")
      .map(({ labels }) => `${labels?.["check"]}.${labels?.["param"]}`),
  );
  const asked = alerts.flatMap(({ expr }) =>
    [...expr.matchAll(/pgdba:threshold\{check="([^"]+)",param="([^"]+)"\}/g)].map(
      ([, check, param]) => `${check}.${param}`,
    ),
  );
  expect(asked.length).toBeGreaterThan(35);
  expect(asked.filter((one) => !recorded.has(one))).toEqual([]);
  expect([...recorded].filter((one) => !asked.includes(one))).toEqual([]);
});
