import type { JsonObject } from "../../../engine/types.ts";
import type { Answers } from "./read.ts";
import type { Counters } from "./shape.ts";

/** From here on oids are of what users made. Source: FirstNormalObjectId in transam.h. */
export const FIRST_OWN_OID = 16_384;

/** The part of the answers that is kept, to be compared with later ones. */
export function counters({ server, rows }: Answers): Counters {
  const sizes = new Map(
    (rows.get("database_sizes") ?? []).map((row) => [row["name"], row["bytes"]]),
  );
  const number = (value: unknown): number => Number(value ?? 0);
  const maybe = (value: unknown): number | null =>
    value === null || value === undefined ? null : Number(value);
  const listed = rows.get("statements");
  const relations = rows.get("relations");
  return {
    taken_at: String(server["taken_at"]),
    node: String(server["node"]),
    database: String(server["database"]),
    role: String(server["role"]),
    started_at: String(server["started_at"]),
    newest_oid: maybe(server["newest_oid"]),
    database_oids: oids(rows.get("databases")),
    relation_oids: oids(relations),
    relations_complete:
      relations !== undefined &&
      relations.filter(({ oid }) => number(oid) >= FIRST_OWN_OID).length >=
        number(relations[0]?.["others"]),
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
      (relations ?? []).map((row) => [String(row["name"]), number(row["bytes"])]),
    ),
    statements:
      listed === undefined
        ? null
        : {
            stats_reset: (rows.get("statements_info")?.[0]?.["stats_reset"] ?? null) as
              | string
              | null,
            complete:
              listed.filter(isStatement).length >= number(listed[0]?.["others"]) &&
              number(listed[0]?.["hidden"]) === 0,
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

function oids(rows: readonly JsonObject[] = []): Record<string, number> {
  return Object.fromEntries(rows.map(({ name, oid }) => [String(name), Number(oid)]));
}

/** Sums alone come in a row without a statement. */
export function isStatement(row: JsonObject): boolean {
  return row["calls"] !== null;
}

/** The key of a statement of one user in one database. */
export function statementKey(row: JsonObject): string {
  return JSON.stringify([row["database"], row["user"], row["queryid"]]);
}
