import type { JsonObject } from "../../../engine/types.ts";
import { hitPercent } from "./units.ts";
import { UNREAD } from "../../../providers/postgres/recorded-texts.ts";
import { maskQuery } from "../../mask.ts";
import { isStatement, statementKey } from "./counters.ts";
import type { Answers } from "./read.ts";

/** Characters of a statement in the report, and in a list of changes, where it only has to differ from the others. */
const LONG = 500;
const SHORT = 300;

/** The answer when pg_stat_statements gives none. */
function absent({ server, missing }: Answers) {
  const installed = (server["extensions"] as { name: string }[]).some(
    ({ name }) => name === "pg_stat_statements",
  );
  const note = missing.find(({ section }) => section === "statements");
  return {
    available: false,
    reason: installed
      ? (note?.reason ?? "pg_stat_statements gave no answer")
      : `pg_stat_statements is not installed in ${String(server["database"])}`,
    hint: installed
      ? (note?.hint ?? null)
      : "Add pg_stat_statements to shared_preload_libraries, restart, and create extension pg_stat_statements;",
    entries: 0,
    hidden: 0,
    total_ms: 0,
    calls: 0,
    own_ms: 0,
    evicted: null,
    stats_reset: null,
    top: [],
  };
}

/** The statements that took the most time in all. */
export function statements(answers: Answers, top: number) {
  const rows = answers.rows.get("statements");
  if (rows === undefined) return absent(answers);
  const info = answers.rows.get("statements_info")?.[0];
  const total = Number(rows[0]?.["all_ms"] ?? 0);
  const seen = rows.filter(isStatement);
  return {
    available: true,
    reason: null,
    hint: null,
    entries: Number(rows[0]?.["entries"] ?? 0),
    hidden: Number(rows[0]?.["hidden"] ?? 0),
    total_ms: total,
    calls: Number(rows[0]?.["all_calls"] ?? 0),
    own_ms: Number(rows[0]?.["own_ms"] ?? 0),
    evicted: info?.["evicted"] ?? null,
    stats_reset: info?.["stats_reset"] ?? null,
    top: seen.slice(0, top).map((row) => {
      const detail = row["detail"] as JsonObject;
      const { queryid, database, user, calls, total_ms, rows: count } = row;
      return {
        queryid,
        database,
        user,
        query: clipped(maskQuery(String(detail["query"] ?? UNREAD)), LONG),
        calls,
        total_ms,
        share_percent: total === 0 ? 0 : Math.round((1000 * Number(total_ms)) / total) / 10,
        mean_ms: detail["mean_ms"],
        max_ms: detail["max_ms"],
        rows: count,
        cache_hit_percent: hitPercent(detail["hit"], detail["read"]),
        read_ms: detail["read_ms"],
        temp_blocks: detail["temp"],
        wal_bytes: detail["wal_bytes"],
      };
    }),
  };
}

/** The beginning of each statement that has a text, by its key. */
export function texts({ rows }: Answers): Record<string, string> {
  const known = (rows.get("statements") ?? []).filter(({ detail }) => detail !== null);
  return Object.fromEntries(
    known.map((row) => [
      statementKey(row),
      clipped(maskQuery(String((row["detail"] as JsonObject)["query"] ?? UNREAD)), SHORT),
    ]),
  );
}

function clipped(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}
