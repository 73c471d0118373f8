/** Rules of Prometheus beside the alerts of Alertmanager: what fires, and who keeps it from being heard. */
import { parseDuration } from "../../../engine/shared/units.ts";
import type { JsonObject } from "../../../engine/types.ts";
import type { MonitoringAccess } from "../../../providers/monitoring/client.ts";
import { inWords, type Silence } from "./silences.ts";

/** As Prometheus tells them. */
export interface Group {
  name: string;
  file: string;
  rules: Rule[];
}
interface Rule {
  name: string;
  state: "inactive" | "pending" | "firing";
  duration: number;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  health: string;
  lastError?: string;
  alerts?: {
    labels: Record<string, string>;
    annotations: Record<string, string>;
    state: "pending" | "firing";
    activeAt: string;
    value: string;
  }[];
}

/** As they stand in a file of rules. */
export interface Written {
  file: string;
  groups: {
    name: string;
    rules: {
      alert?: string;
      for?: string;
      labels?: Record<string, string>;
      annotations?: Record<string, string>;
    }[];
  }[];
}

/** As Alertmanager tells them. */
export interface Heard {
  fingerprint: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  startsAt: string;
  receivers: { name: string }[];
  status: { state: string; silencedBy: string[]; inhibitedBy: string[] };
}

export interface Row {
  alert: string;
  severity: string | null;
  /** `unknown`: nobody evaluates the rule, and Alertmanager has no alert of it. */
  state: "inactive" | "pending" | "firing" | "broken" | "unknown";
  instance: string | null;
  labels: JsonObject;
  value: number | null;
  since: string | null;
  /** The silences that keep it from being told. */
  silenced_by: string[];
  /** The alerts that keep it from being told. */
  inhibited_by: string[];
  receivers: string[];
  text: string | null;
  /** Null, as `group` and `file` are, of an alert whose rule is not known. */
  for_seconds: number | null;
  group: string | null;
  file: string | null;
}

const STATES: Record<Row["state"], number> = {
  firing: 0,
  broken: 1,
  pending: 2,
  inactive: 3,
  unknown: 4,
};

const NONE = { silenced_by: [], inhibited_by: [], receivers: [] };
const NOTHING = { instance: null, labels: {}, value: null, since: null, ...NONE };

/** The alerting rules that Prometheus has in force. @throws PgdbaError connection_failed | http_failed */
export async function askRules(monitoring: MonitoringAccess): Promise<Group[]> {
  const told = await monitoring.ask("prometheus", "/api/v1/rules", { query: { type: "alert" } });
  return (told as unknown as { groups: Group[] }).groups;
}

/** One row for each alert of a rule that is pending or fires, and one for each rule without any. Alerts of other clusters are left out. */
export function rowsOf(
  cluster: string,
  groups: readonly Group[],
  heard: readonly Heard[],
  silences: readonly Silence[],
): Row[] {
  const byLabels = new Map(heard.map((one) => [keyOf(one.labels), one]));
  const hearing = hearingOf(heard, silences);
  const rows = groups.flatMap(({ name: group, file, rules }) =>
    rules.flatMap((rule) => {
      const base = {
        alert: rule.name,
        severity: rule.labels["severity"] ?? null,
        for_seconds: rule.duration,
        group,
        file: file.split("/").at(-1) ?? file,
      };
      if (rule.health === "err")
        return [{ ...base, ...NOTHING, state: "broken" as const, text: rule.lastError ?? null }];
      const own = (rule.alerts ?? []).filter(
        ({ labels }) => (labels["cluster"] ?? cluster) === cluster,
      );
      if (own.length === 0)
        return [
          {
            ...base,
            ...NOTHING,
            state: "inactive" as const,
            text: rule.annotations["summary"] ?? null,
          },
        ];
      return own.map(({ labels, annotations, state, activeAt, value }): Row => {
        const told = byLabels.get(keyOf(labels));
        const number = Number(value);
        return {
          ...base,
          severity: labels["severity"] ?? base.severity,
          state,
          instance: labels["instance"] ?? null,
          labels,
          value: Number.isFinite(number) ? number : null,
          since: activeAt,
          ...hearing(told),
          text: annotations["description"] ?? annotations["summary"] ?? null,
        };
      });
    }),
  );
  return sorted(rows);
}

/** What is known while Prometheus tells nothing: the alerts that Alertmanager has, and the rules as they stand in the files. */
export function rowsWithoutPrometheus(
  cluster: string,
  files: readonly Written[],
  heard: readonly Heard[],
  silences: readonly Silence[],
): Row[] {
  const hearing = hearingOf(heard, silences);
  const own = heard.filter(({ labels }) => (labels["cluster"] ?? cluster) === cluster);
  const written = files.flatMap(({ file, groups }) =>
    groups.flatMap(({ name: group, rules }) =>
      rules.flatMap((rule) => (rule.alert === undefined ? [] : [{ ...rule, group, file }])),
    ),
  );
  const rows = written.flatMap((rule): Row[] => {
    const severity = rule.labels?.["severity"] ?? null;
    if (own.some((one) => isOf(one, rule))) return [];
    const { summary = null } = rule.annotations ?? {};
    const from = { for_seconds: secondsOf(rule.for), group: rule.group, file: rule.file };
    return [{ alert: rule.alert!, severity, state: "unknown", ...NOTHING, text: summary, ...from }];
  });
  const firing = own.map((one): Row => {
    const { labels, annotations, startsAt } = one;
    const rule = written.find((each) => isOf(one, each));
    return {
      alert: labels["alertname"] ?? "",
      severity: labels["severity"] ?? null,
      state: "firing",
      instance: labels["instance"] ?? null,
      labels,
      value: null,
      since: startsAt,
      ...hearing(one),
      text: annotations["description"] ?? annotations["summary"] ?? null,
      for_seconds: rule === undefined ? null : secondsOf(rule.for),
      group: rule?.group ?? null,
      file: rule?.file ?? null,
    };
  });
  return sorted([...firing, ...rows]);
}

/** Null for a duration that only Prometheus knows, as `2w`. */
function secondsOf(text = "0s"): number | null {
  try {
    return parseDuration(text) / 1000;
  } catch {
    return null;
  }
}

const isOf = (
  { labels }: Heard,
  rule: { alert?: string; labels?: Record<string, string> },
): boolean =>
  labels["alertname"] === rule.alert && labels["severity"] === rule.labels?.["severity"];

/** Who keeps an alert from being told, and who hears of it, in words. */
function hearingOf(heard: readonly Heard[], silences: readonly Silence[]) {
  const nameOf = (fingerprint: string): string => {
    const one = heard.find((each) => each.fingerprint === fingerprint);
    if (one === undefined) return fingerprint;
    const { alertname = fingerprint, instance } = one.labels;
    return instance === undefined ? alertname : `${alertname} (${instance})`;
  };
  const silence = (id: string): string => {
    const one = silences.find((each) => each.id === id);
    return one === undefined
      ? id
      : `${id} until ${one.endsAt} by ${one.createdBy}: ${inWords(one.matchers)}`;
  };
  return (told: Heard | undefined): Pick<Row, "silenced_by" | "inhibited_by" | "receivers"> => ({
    silenced_by: (told?.status.silencedBy ?? []).map(silence),
    inhibited_by: (told?.status.inhibitedBy ?? []).map(nameOf),
    receivers: (told?.receivers ?? []).map(({ name }) => name),
  });
}

const sorted = (rows: readonly Row[]): Row[] =>
  rows.toSorted(
    (a, b) =>
      STATES[a.state] - STATES[b.state] ||
      a.alert.localeCompare(b.alert) ||
      (a.instance ?? "").localeCompare(b.instance ?? ""),
  );

function keyOf(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
