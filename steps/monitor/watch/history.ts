/** What Prometheus has kept of the figures that a DBA looks at first, each as one series of a cluster. Pure. */
import { parseDuration } from "../../../engine/shared/units.ts";

export interface Figure {
  what: string;
  unit: string;
  /** PromQL that gives one series at most. */
  expr: string;
}

/** Rates need two scrapes, which come every 15 s. */
const LEAST_RATE_SECONDS = 60;
const BARS = "▁▂▃▄▅▆▇█";

/** `stepSeconds`: the time between two points, over which rates are taken. */
export function figuresOf(cluster: string, stepSeconds: number): Figure[] {
  const C = `cluster=${JSON.stringify(cluster)}`;
  const over = `${Math.max(LEAST_RATE_SECONDS, Math.ceil(stepSeconds))}s`;
  const rate = (name: string): string => `rate(${name}{${C}}[${over}])`;
  const primary = `and on (cluster, instance) max by (cluster, instance) (pg_replication_is_replica{${C}}) == 0`;
  const ofPrimary = (expr: string): string =>
    `max(sum by (cluster, instance) (${expr}) ${primary})`;
  const hits = ofPrimary(rate("pg_stat_database_blks_hit"));
  const reads = ofPrimary(rate("pg_stat_database_blks_read"));
  return [
    {
      what: "lag",
      unit: "s",
      expr: `max(pgdba:replication_lag:seconds{${C}})`,
    },
    {
      what: "lag",
      unit: "bytes",
      expr: `max(pgdba:replication_lag:bytes{${C}})`,
    },
    {
      what: "transactions",
      unit: "/s",
      expr: ofPrimary(
        `${rate("pg_stat_database_xact_commit")} + ${rate("pg_stat_database_xact_rollback")}`,
      ),
    },
    {
      what: "connections",
      unit: "",
      expr: ofPrimary(`pg_stat_activity_count{backend_type="client backend",${C}}`),
    },
    {
      what: "cache hits",
      unit: "%",
      // Without any read there is no share.
      expr: `100 * ${hits} / (${hits} + ${reads} > 0)`,
    },
    {
      what: "WAL",
      unit: "bytes/s",
      expr: `max(${rate("patroni_xlog_location")} and on (cluster, instance) patroni_primary{${C}} == 1)`,
    },
  ];
}

/** From when to when is asked, in seconds since 1970, and how far two points are apart: `points` of them at most. */
export function gridOf(
  now: Date,
  window: string,
  points: number,
): { start: number; end: number; step: number } {
  const seconds = parseDuration(window) / 1000;
  const step = Math.max(5, Math.ceil(seconds / points));
  const end = Math.floor(now.getTime() / 1000);
  return { start: end - step * (Math.floor(seconds / step) - 1), end, step };
}

/** The values at each point of the grid; null where Prometheus has none. */
export function onGrid(
  { start, end, step }: { start: number; end: number; step: number },
  found: readonly (readonly [number, string])[],
): (number | null)[] {
  const byTime = new Map(found.map(([at, value]) => [Math.round(at), Number(value)]));
  const values: (number | null)[] = [];
  for (let at = start; at <= end; at += step) {
    const value = byTime.get(at);
    values.push(value === undefined || !Number.isFinite(value) ? null : rounded(value));
  }
  return values;
}

/** Two digits after the point say enough. */
const rounded = (value: number): number => Math.round(value * 100) / 100;

/** A bar for each value, from the least to the most of them; a value that never changes is a line, and one that is not known a dot. */
export function sparkline(values: readonly (number | null)[]): string {
  const known = values.filter((one): one is number => one !== null);
  const least = Math.min(...known);
  const range = Math.max(...known) - least;
  return values
    .map((one) => {
      if (one === null) return "·";
      const share = range === 0 ? 0 : (one - least) / range;
      return BARS[Math.min(BARS.length - 1, Math.floor(share * BARS.length))]!;
    })
    .join("");
}
