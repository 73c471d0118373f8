/** Rules of Prometheus beside the alerts of Alertmanager: what fires, and who keeps it from being heard. */
import type { JsonObject } from "../../../engine/types.ts";
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

/** As Alertmanager tells them. */
export interface Heard {
  fingerprint: string;
  labels: Record<string, string>;
  receivers: { name: string }[];
  status: { state: string; silencedBy: string[]; inhibitedBy: string[] };
}

export interface Row {
  alert: string;
  severity: string | null;
  state: "inactive" | "pending" | "firing" | "broken";
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
  for_seconds: number;
  group: string;
  file: string;
}

const STATES: Record<Row["state"], number> = { firing: 0, broken: 1, pending: 2, inactive: 3 };

/** One row for each alert of a rule that is pending or fires, and one for each rule without any. Alerts of other clusters are left out. */
export function rowsOf(
  cluster: string,
  groups: readonly Group[],
  heard: readonly Heard[],
  silences: readonly Silence[],
): Row[] {
  const byLabels = new Map(heard.map((one) => [keyOf(one.labels), one]));
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
  const rows = groups.flatMap(({ name: group, file, rules }) =>
    rules.flatMap((rule) => {
      const base = {
        alert: rule.name,
        severity: rule.labels["severity"] ?? null,
        for_seconds: rule.duration,
        group,
        file: file.split("/").at(-1) ?? file,
      };
      const none = { silenced_by: [], inhibited_by: [], receivers: [] };
      const nothing = { instance: null, labels: {}, value: null, since: null, ...none };
      if (rule.health === "err")
        return [{ ...base, ...nothing, state: "broken" as const, text: rule.lastError ?? null }];
      const own = (rule.alerts ?? []).filter(
        ({ labels }) => (labels["cluster"] ?? cluster) === cluster,
      );
      if (own.length === 0)
        return [
          {
            ...base,
            ...nothing,
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
          silenced_by: (told?.status.silencedBy ?? []).map(silence),
          inhibited_by: (told?.status.inhibitedBy ?? []).map(nameOf),
          receivers: (told?.receivers ?? []).map(({ name }) => name),
          text: annotations["description"] ?? annotations["summary"] ?? null,
        };
      });
    }),
  );
  return rows.toSorted(
    (a, b) =>
      STATES[a.state] - STATES[b.state] ||
      a.alert.localeCompare(b.alert) ||
      (a.instance ?? "").localeCompare(b.instance ?? ""),
  );
}

function keyOf(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
