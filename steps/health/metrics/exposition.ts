/** The text in which Prometheus reads metrics, by the list of them in `monitoring/metrics.yaml`. */
import { parseYaml } from "../../../engine/shared/yaml.ts";
import listed from "../../../monitoring/metrics.yaml" with { type: "text" };

export interface Metric {
  name: string;
  type: "gauge" | "counter";
  unit?: string;
  labels: string[];
  help: string;
  /** The source that gives its values; null for what is told of the sources themselves. */
  source: string | null;
}

export interface SourceTimes {
  /** Durations as they are written. */
  refresh: string;
  max_age: string;
}

export interface Sample {
  name: string;
  labels?: Record<string, string>;
  value: number;
}

export interface Listed {
  sources: Record<string, SourceTimes>;
  metrics: Metric[];
}

let read: Promise<Listed> | undefined;

/** All metrics that pgdba serves. */
export function metricsListed(): Promise<Listed> {
  read ??= parseYaml(listed, "monitoring/metrics.yaml", {
    code: "internal",
  }) as Promise<Listed>;
  return read;
}

export const PLAIN = "text/plain; version=0.0.4; charset=utf-8";
export const OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/** The format that is asked for: OpenMetrics has units, and says where it ends. */
export function formatFor(accept: string | null): typeof PLAIN | typeof OPEN {
  return /application\/openmetrics-text/.test(accept ?? "") ? OPEN : PLAIN;
}

/** Samples that the list does not name, or whose value is unknown, are left out. */
export function exposition(
  metrics: readonly Metric[],
  samples: readonly Sample[],
  format: typeof PLAIN | typeof OPEN,
): string {
  const byName = Map.groupBy(samples, ({ name }) => name);
  const lines: string[] = [];
  for (const { name, type, unit, labels, help } of metrics) {
    const own = (byName.get(name) ?? []).filter(({ value }) => Number.isFinite(value));
    if (own.length === 0) continue;
    lines.push(`# HELP ${name} ${escapedHelp(help)}`, `# TYPE ${name} ${type}`);
    // OpenMetrics wants the unit at the end of the name; `…_seconds_max` has it within.
    if (format === OPEN && unit !== undefined && name.endsWith(`_${unit}`))
      lines.push(`# UNIT ${name} ${unit}`);
    const seen = new Set<string>();
    for (const sample of own) {
      const line = `${name}${labelsOf(labels, sample.labels ?? {})}`;
      // Two samples of one series would make the whole scrape fail.
      if (!seen.has(line)) lines.push(`${line} ${sample.value}`);
      seen.add(line);
    }
  }
  if (format === OPEN) lines.push("# EOF");
  return lines.map((line) => `${line}\n`).join("");
}

function labelsOf(names: readonly string[], values: Readonly<Record<string, string>>): string {
  const pairs = names.flatMap((name) =>
    values[name] === undefined ? [] : [`${name}="${escapedLabel(values[name])}"`],
  );
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

const escapedHelp = (text: string): string => text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n");
const escapedLabel = (text: string): string => escapedHelp(text).replace(/"/g, '\\"');
