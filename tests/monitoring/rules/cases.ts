/** What Prometheus is given, and which alerts must fire then; `promtool test rules` judges it. */
import { parse, stringify } from "yaml";
import { parseDuration } from "../../../engine/shared/units.ts";

export interface Alert {
  severity: string;
  /** Labels beside those of the rule and of the cluster. */
  labels?: Record<string, string>;
  /** The description, as it must read. */
  says: string;
}

export interface Case {
  alert: string;
  /** What the case is about. */
  when: string;
  /** `metric instance label=value …` → the value, or `first+step` for one that moves; `- metric …` for samples as promtool writes them. */
  series: Record<string, number | string>;
  /** How far the clock goes before the look. */
  after: string;
  /** Distance of the samples; 15 s without it. */
  every?: string;
  /** Empty where all must be quiet. */
  fires: Alert[];
  /** The alerts that go on when the data is gone: those that tell of just this. */
  goneFires?: Alert[];
  /** How long after the end of the data they are looked for; 20 min without it. */
  gone?: string;
}

export interface Rule {
  alert?: string;
  record?: string;
  expr: string;
  for?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

interface Group {
  name: string;
  interval: string;
  rules: Rule[];
}

export const groupsOf = (text: string): Group[] => (parse(text) as { groups: Group[] }).groups;

/** The rules that an alert needs, in their groups: itself, the series that it reads, and TargetDown. All others would only cost time. */
export function neededBy(alert: string, groups: readonly Group[]): Group[] {
  const all = groups.flatMap(({ rules }) => rules);
  const wanted = new Set(all.filter((rule) => rule.alert === alert || rule.alert === "TargetDown"));
  for (const rule of wanted)
    for (const one of all) {
      const [name = "", { check, param } = {}] = [one.record, one.labels];
      const selected = check === undefined ? name : `${name}{check="${check}",param="${param}"}`;
      if (rule.alert === "ThresholdsMissing" && name === "pgdba:threshold") wanted.add(one);
      if (name !== "" && rule.expr.includes(selected)) wanted.add(one);
    }
  return groups
    .map((group) => ({ ...group, rules: group.rules.filter((rule) => wanted.has(rule)) }))
    .filter(({ rules }) => rules.length > 0);
}

const JOBS = ["patroni", "pgdba", "pgbouncer", "etcd", "node", "prometheus", "alertmanager"];
const jobOf = (metric: string): string =>
  JOBS.find((job) => metric.startsWith(`${job}_`)) ?? "postgres";

/** Labels that the real exporters give and that no rule asks for: metrics that differ in them match only where a rule says by what. */
const ALSO: readonly [RegExp, (instance: string) => Record<string, string>][] = [
  [/^patroni_/, (instance) => ({ name: instance, scope: "shop" })],
  [
    /^pg_(settings|stat_archiver|stat_activity|replication_slots|stat_replication)_/,
    (instance) => ({ server: `${instance}:5432` }),
  ],
  [/^pg_stat_database_/, () => ({ datid: "16384" })],
  [/^pg_stat_wal_receiver_/, () => ({ slot_name: "pg2", upstream_host: "pg1" })],
  [/^node_filesystem_/, () => ({ device: "/dev/vda1" })],
  [/^pgbouncer_databases_/, () => ({ force_user: "", pool_mode: "", port: "5432" })],
  [
    /^prometheus_notifications_(sent|errors)_/,
    () => ({ alertmanager: "http://127.0.0.1:9093/api/v2/alerts" }),
  ],
];

const alsoOn = (metric: string, instance: string): Record<string, string> =>
  Object.assign({}, ...ALSO.map(([of, labels]) => (of.test(metric) ? labels(instance) : {})));

interface Series {
  metric: string;
  labels: Record<string, string>;
  values: string;
  isRaw: boolean;
}

/** A blank within a label's value is written %20. */
function seriesOf([key, value]: [string, number | string]): Series {
  const isRaw = key.startsWith("- ");
  const [metric = "", instance = "", ...pairs] = key.replace(/^- /, "").split(" ");
  const given = Object.fromEntries(pairs.map((pair) => decodeURIComponent(pair).split("=")));
  const labels = {
    cluster: "shop",
    instance,
    job: jobOf(metric),
    ...alsoOn(metric, instance),
    ...given,
  };
  return { metric, labels, values: String(value), isRaw };
}

const selector = (metric: string, labels: Record<string, string>): string =>
  `${metric}{${Object.entries(labels)
    .filter(([, value]) => value !== "")
    .map(([name, value]) => `${name}="${value}"`)
    .join(",")}}`;

/** Text of an annotation without its words about the value, which the case states. */
const filled = (text: string, labels: Record<string, string>): string =>
  text.replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, (_, name: string) => labels[name] ?? "");

function expected(rules: Rule[], alert: string, { severity, labels = {}, says }: Alert): object {
  const all: Record<string, string> = { cluster: "shop", ...labels };
  const rule = rules.find(
    (one) =>
      one.alert === alert &&
      one.labels?.["severity"] === severity &&
      (one.labels["seen_by"] ?? "") === (labels["seen_by"] ?? ""),
  );
  if (rule === undefined) throw new Error(`no rule ${alert} with severity ${severity}`);
  const { description: _, ...annotations } = rule.annotations ?? {};
  return {
    exp_labels: Object.fromEntries(
      Object.entries({ ...all, severity }).filter(([, value]) => value !== ""),
    ),
    exp_annotations: {
      ...Object.fromEntries(
        Object.entries(annotations).map(([name, text]) => [name, filled(text, all)]),
      ),
      description: says,
    },
  };
}

/** The case itself, and the same when its data ends: nobody may go on firing then but those whose subject it is. */
function testsOf(rules: Rule[], one: Case): object[] {
  const { alert, when, after, every = "15s", gone = "20m", fires, goneFires = [] } = one;
  const all = Object.entries(one.series).map(seriesOf);
  const steps = Math.ceil(parseDuration(after) / parseDuration(every));
  const more = Math.ceil(parseDuration(gone) / parseDuration(every)) + 1;
  const plain = (values: string): string => (/^-?[\d.e]+$/.test(values) ? `${values}+0` : values);
  const targets = new Map(
    all.map(({ labels: { cluster = "", instance = "", job = "" } }) => {
      const labels = { cluster, instance, job };
      return [selector("up", labels), labels];
    }),
  );
  const given = new Set(all.map(({ metric, labels }) => selector(metric, labels)));
  const input = (isGone: boolean): object[] => [
    ...all.map(({ metric, labels, values, isRaw }) => ({
      series: selector(metric, labels),
      values: isRaw
        ? values
        : `${plain(values)}x${steps}${isGone ? (metric === "up" ? ` 0x${more}` : " stale") : ""}`,
    })),
    ...[...targets.keys()]
      .filter((series) => !given.has(series))
      .map((series) => ({ series, values: `1x${steps}${isGone ? ` 0x${more}` : ""}` })),
  ];
  const end = steps * parseDuration(every);
  const look = (at: number, alerts: Alert[], name = alert): object => ({
    eval_time: `${at / 1000}s`,
    alertname: name,
    exp_alerts: alerts.map((each) => expected(rules, name, each)),
  });
  const judged: object[] = [
    {
      name: `${alert}: ${when}`,
      interval: every,
      input_series: input(false),
      alert_rule_test: [look(end, fires)],
    },
  ];
  if (fires.length > 0 && all.some(({ metric }) => metric !== "up")) {
    // Whoever no longer knows says so: TargetDown stands for what went silent.
    const missing = [...targets.values()].map(({ cluster, instance, job }) => ({
      severity: "warning",
      labels: { cluster, instance, job },
      says: `Nothing is known of ${instance} of ${cluster} from ${job}. Alerts that need it stay silent.`,
    }));
    judged.push({
      name: `${alert}: no data after ${when}`,
      interval: every,
      input_series: input(true),
      alert_rule_test: [
        look(end + parseDuration(gone), goneFires),
        ...(alert === "TargetDown" ? [] : [look(end + parseDuration(gone), missing, "TargetDown")]),
      ],
    });
  }
  return judged;
}

/** The file for `promtool test rules`. */
export const promtoolFile = (file: string, rules: Rule[], cases: Case[]): string =>
  stringify(
    {
      rule_files: [file],
      // promtool evaluates all groups at this one interval; a day is not judged every 15 s.
      evaluation_interval: cases.find((one) => one.every !== undefined)?.every ?? "15s",
      group_eval_order: ["thresholds"],
      tests: cases.flatMap((one) => testsOf(rules, one)),
    },
    { lineWidth: 0, aliasDuplicateObjects: false },
  );
