import type { FromSchema } from "../../../engine/shared/from-schema.ts";
import { hitPercent } from "../collect/units.ts";
import {
  COUNT,
  list,
  maybe,
  MAYBE_COUNT,
  MAYBE_NUMBER,
  MAYBE_TEXT,
  NUMBER,
  object,
  TEXT,
} from "../collect/schema.ts";
import type { Counters, Snapshot } from "../collect/shape.ts";
import type { Kept } from "./store.ts";
import { databasesOf, GROWTH, growth, relationsOf, totalGrowth } from "./growth.ts";
import { size } from "../collect/units.ts";

const FINDING = object({ severity: TEXT, check: TEXT, object: MAYBE_TEXT });

/** The `trends` in the output of `report.compare`. */
export const TRENDS = object({
  snapshots: { ...COUNT, description: "Earlier ones of this server" },
  since: { ...MAYBE_TEXT, description: "The report compared with; null for the first one" },
  seconds: MAYBE_NUMBER,
  transactions_per_second: MAYBE_NUMBER,
  cache_hit_percent: { ...MAYBE_NUMBER, description: "In between" },
  wal_bytes_per_second: MAYBE_NUMBER,
  size: maybe({
    grown_bytes: COUNT,
    grown: TEXT,
    bytes_per_day: { ...MAYBE_COUNT, description: "Null when less than an hour lies in between" },
  }),
  databases: { ...GROWTH, description: "Those that grew or shrank, the largest change first" },
  relations: { ...GROWTH, description: "Those that grew or shrank, the largest change first" },
  statements: {
    ...list(
      object({
        queryid: TEXT,
        database: MAYBE_TEXT,
        user: MAYBE_TEXT,
        query: MAYBE_TEXT,
        calls: COUNT,
        total_ms: NUMBER,
        mean_ms: NUMBER,
        rows: COUNT,
      }),
    ),
    description: "Those that took the most time in between",
  },
  findings: object({ new: list(FINDING), gone: list(FINDING) }),
  series: {
    ...list(
      object({
        taken_at: TEXT,
        bytes: MAYBE_COUNT,
        connections: MAYBE_COUNT,
        transactions_per_second: { ...MAYBE_NUMBER, description: "Since the point before" },
        cache_hit_percent: MAYBE_NUMBER,
        wal_bytes_per_second: MAYBE_NUMBER,
        critical: COUNT,
        warning: COUNT,
        info: COUNT,
      }),
    ),
    description: "All snapshots with this report as the last",
  },
});

export type Trends = FromSchema<typeof TRENDS>;

/** A shorter interval says nothing about a whole day. */
const PER_DAY_FROM_SECONDS = 3600;
/** Rows of each list of changes. */
const MOST = 20;

/** The changes from `before` to `now`, and the course of the figures over all of `history` (oldest first) and `now`. */
export function compare(
  history: readonly Kept[],
  before: Kept | undefined,
  now: Kept,
  snapshot: Snapshot,
): Trends {
  const rates = before === undefined ? null : between(before.counters, now.counters);
  const old = before?.counters;
  const grown = old === undefined ? null : totalGrowth(databasesOf(old), databasesOf(now.counters));
  const findings = before === undefined ? { new: [], gone: [] } : changedFindings(before, now);
  return {
    snapshots: history.length,
    since: old?.taken_at ?? null,
    seconds: rates?.seconds ?? null,
    transactions_per_second: rates?.transactions ?? null,
    cache_hit_percent: rates?.hit ?? null,
    wal_bytes_per_second: rates?.wal ?? null,
    size:
      grown === null || rates === null
        ? null
        : {
            grown_bytes: grown,
            grown: size(grown),
            bytes_per_day:
              rates.seconds < PER_DAY_FROM_SECONDS
                ? null
                : Math.round((grown * 86_400) / rates.seconds),
          },
    databases: old === undefined ? [] : growth(databasesOf(old), databasesOf(now.counters), MOST),
    relations: old === undefined ? [] : growth(relationsOf(old), relationsOf(now.counters), MOST),
    statements: old === undefined ? [] : statementsSince(old, now.counters, snapshot),
    findings,
    series: [...history, now].map((kept, at, all) => point(kept, all[at - 1])),
  };
}

function point({ counters, summary }: Kept, before: Kept | undefined): Trends["series"][number] {
  const rates = before === undefined ? null : between(before.counters, counters);
  return {
    taken_at: counters.taken_at,
    bytes: total(counters),
    connections: counters.connections,
    transactions_per_second: rates?.transactions ?? null,
    cache_hit_percent: rates?.hit ?? null,
    wal_bytes_per_second: rates?.wal ?? null,
    critical: summary.critical,
    warning: summary.warning,
    info: summary.info,
  };
}

/** Rates of what the server counts; null where a counter began anew in between, or where neither side knows it. */
function between(before: Counters, now: Counters) {
  const seconds = (Date.parse(now.taken_at) - Date.parse(before.taken_at)) / 1000;
  if (!(seconds > 0)) return null;
  let transactions: number | null = null;
  let hit = 0;
  let read = 0;
  for (const [name, after] of Object.entries(now.databases)) {
    const old = before.databases[name];
    if (old === undefined || old.stats_reset !== after.stats_reset) continue;
    const done = after.commits + after.rollbacks - old.commits - old.rollbacks;
    if (done < 0 || after.hit < old.hit || after.read < old.read) continue;
    transactions = (transactions ?? 0) + done;
    hit += after.hit - old.hit;
    read += after.read - old.read;
  }
  const written =
    now.wal_position === null || before.wal_position === null
      ? null
      : now.wal_position - before.wal_position;
  return {
    seconds,
    transactions: transactions === null ? null : rounded(transactions / seconds),
    hit: hitPercent(hit, read),
    wal: written === null || written < 0 ? null : Math.round(written / seconds),
  };
}

function total({ databases }: Counters): number | null {
  const known = Object.values(databases).flatMap(({ bytes }) => (bytes === null ? [] : [bytes]));
  return known.length === 0 ? null : known.reduce((sum, bytes) => sum + bytes, 0);
}

function statementsSince(
  before: Counters,
  now: Counters,
  { texts }: Snapshot,
): Trends["statements"] {
  if (before.statements === null || now.statements === null) return [];
  if (before.statements.stats_reset !== now.statements.stats_reset) return [];
  const { complete, entries } = before.statements;
  return Object.entries(now.statements.entries)
    .flatMap(([key, [calls = 0, ms = 0, rows = 0]]) => {
      const old = entries[key] ?? (complete ? [0, 0, 0] : undefined);
      const [oldCalls = 0, oldMs = 0, oldRows = 0] = old ?? [];
      // Evicted and entered anew in between: what it did before is not in its figures any more.
      if (old === undefined || calls <= oldCalls || ms < oldMs) return [];
      const [database = null, user = null, queryid] = JSON.parse(key) as [
        string | null,
        string | null,
        string,
      ];
      const spent = {
        calls: calls - oldCalls,
        total_ms: ms - oldMs,
        rows: Math.max(0, rows - oldRows),
      };
      return [
        {
          queryid,
          database,
          user,
          query: texts[key] ?? null,
          ...spent,
          total_ms: rounded(spent.total_ms),
          mean_ms: rounded(spent.total_ms / spent.calls),
        },
      ];
    })
    .toSorted((a, b) => b.total_ms - a.total_ms)
    .slice(0, MOST);
}

function changedFindings(before: Kept, now: Kept): Trends["findings"] {
  const keyed = (kept: Kept) =>
    new Map(kept.findings.map((finding) => [JSON.stringify(finding), finding]));
  const [old, current] = [keyed(before), keyed(now)];
  const only = (one: ReturnType<typeof keyed>, other: ReturnType<typeof keyed>) =>
    [...one].flatMap(([key, [severity, check, name]]) =>
      other.has(key) ? [] : [{ severity, check, object: name }],
    );
  return { new: only(current, old), gone: only(old, current) };
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
