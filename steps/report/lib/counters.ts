import type { JsonObject } from "../../../engine/types.ts";
import type { Answers } from "./read.ts";
import type { Counters } from "./shape.ts";

/** What is kept of the answers, to be compared with later ones. */
export function counters({ server, rows }: Answers): Counters {
  const sizes = new Map(
    (rows.get("database_sizes") ?? []).map((row) => [row["name"], row["bytes"]]),
  );
  const number = (value: unknown): number => Number(value ?? 0);
  const maybe = (value: unknown): number | null =>
    value === null || value === undefined ? null : Number(value);
  const listed = rows.get("statements");
  return {
    taken_at: String(server["taken_at"]),
    node: String(server["node"]),
    database: String(server["database"]),
    role: String(server["role"]),
    started_at: String(server["started_at"]),
    databases: Object.fromEntries(
      (rows.get("databases") ?? []).map((row) => [
        String(row["name"]),
        {
          bytes: maybe(sizes.get(row["name"])),
          stats_reset: row["stats_reset"] as string | null,
          commits: number(row["commits"]),
          rollbacks: number(row["rollbacks"]),
          hit: number(row["blks_hit"]),
          read: number(row["blks_read"]),
          temp_bytes: number(row["temp_bytes"]),
          deadlocks: number(row["deadlocks"]),
        },
      ]),
    ),
    relations: Object.fromEntries(
      (rows.get("relations") ?? []).map((row) => [String(row["name"]), number(row["bytes"])]),
    ),
    statements:
      listed === undefined
        ? null
        : {
            stats_reset: (rows.get("statements_info")?.[0]?.["stats_reset"] ?? null) as
              | string
              | null,
            complete: listed.length >= number(listed[0]?.["others"]),
            entries: Object.fromEntries(
              listed
                .filter((row) => row["queryid"] !== null)
                .map((row) => [
                  statementKey(row),
                  [number(row["calls"]), number(row["total_ms"]), number(row["rows"])],
                ]),
            ),
          },
    connections: maybe(rows.get("connections")?.[0]?.["used"]),
    wal_position: maybe(rows.get("wal")?.[0]?.["position"]),
    wal_bytes: maybe(rows.get("wal_files")?.[0]?.["bytes"]),
  };
}

/** One statement of one user in one database. */
export function statementKey(row: JsonObject): string {
  return JSON.stringify([row["database"], row["user"], row["queryid"]]);
}
