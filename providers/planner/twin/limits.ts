import type { JsonObject } from "../../../engine/types.ts";
import type { Catalogue, Limit } from "./catalogue.ts";
import { bareOrQuoted } from "./names.ts";

/** Names of range types; those of users are cloned without their statistics as well. */
const RANGE = /(int[48]|num|ts|tstz|date)(multi)?range$/;

/**
 * The objects of a catalogue that the role could not see, and those that a twin can't have.
 * @param asked the tables asked for, with their oid or null
 * @param extended extended statistics
 * @param more what else is not cloned
 */
export function limitsOf(
  catalogue: Catalogue,
  asked: JsonObject[],
  extended: JsonObject[],
  more: JsonObject[],
): Limit[] {
  const { relations, user, block_size, statistics } = catalogue;
  const major = Math.floor(catalogue.version_num / 10_000);
  const limits: Limit[] = asked
    .filter((row) => row["oid"] === null)
    .map((row) => ({
      object: String(row["name"]),
      reason: "the server has no such table in this database, or the role may not use its schema",
      missing: true,
    }));
  if (block_size !== 8192)
    limits.push({
      object: "block size",
      reason: `the server has pages of ${block_size} bytes, the twin of 8192: costs differ`,
    });
  const ranges = new Set(
    catalogue.columns.filter(({ type }) => RANGE.test(type)).map(({ relid }) => relid),
  );
  const hasStatistics = new Set(statistics.map((row) => `${row.schemaname}.${row.tablename}`));
  for (const relation of relations) {
    const object = `${relation.schema}.${relation.name}`;
    if (relation.kind === "f") limits.push({ object, reason: "a foreign table is not cloned" });
    if (relation.kind === "v" || relation.kind === "f") continue;
    if (!relation.readable) {
      const table = `${bareOrQuoted(relation.schema)}.${bareOrQuoted(relation.name)}`;
      const all = major < 14 ? "" : `, or GRANT pg_read_all_data TO ${bareOrQuoted(user)}`;
      limits.push({
        object,
        reason: `its statistics can't be read: GRANT SELECT ON ${table} TO ${bareOrQuoted(user)}${all}`,
      });
    } else if (relation.rls) {
      limits.push({
        object,
        reason: `row level security hides its statistics from ${user}, and its policies are not cloned: only its owner, or a role with BYPASSRLS, sees them`,
      });
    } else if (!hasStatistics.has(object) && relation.bytes > 0) {
      limits.push({ object, reason: "it has no statistics: run ANALYZE on it" });
    } else if (major < 17 && ranges.has(relation.oid)) {
      limits.push({
        object,
        reason: "the statistics of its range columns can't be read before PostgreSQL 17",
      });
    }
  }
  for (const { name, own } of more)
    limits.push({
      object: String(name),
      reason: own
        ? "its page costs are not cloned"
        : "not cloned: a statement that uses it can't be planned",
    });
  for (const row of extended)
    limits.push({
      object: String(row["name"]),
      reason: "extended statistics can't be restored before PostgreSQL 19",
    });
  return limits;
}
