/** What no answer shows to whoever writes the SQL: passwords, and what serves as one. */
import { PgdbaError } from "../../engine/errors.ts";
import type { Json, JsonObject } from "../../engine/types.ts";
import type { Names } from "../../providers/postgres/guard/names.ts";
import { maskSetting } from "../mask.ts";

const CATALOGUES = new Set(
  "pg_authid pg_shadow pg_subscription pg_user_mapping pg_user_mappings user_mapping_options".split(
    " ",
  ),
);

/** @throws PgdbaError step_refused for a catalogue that holds passwords */
export function refuseSecrets(names: Names | null): void {
  const secret = names?.relations.find(({ name }) => CATALOGUES.has(name));
  if (secret === undefined) return;
  throw new PgdbaError("step_refused", `${secret.name} holds passwords, which are never shown`, {
    hint: "pgdba role list shows roles, pgdba subscription list subscriptions; pg_roles and pg_stat_subscription have the rest.",
    nothingDone: true,
  });
}

/** Rows as they may be shown. */
export function maskedRows(rows: readonly JsonObject[]): JsonObject[] {
  return rows.map((row) => masked(row) as JsonObject);
}

/** Verifiers of passwords are none that a DBA needs to see, and connection strings have passwords in clear. */
function masked(value: Json): Json {
  if (typeof value === "string")
    return maskSetting(value).replace(/\bSCRAM-SHA-256\$[^\s'"]+|\bmd5[0-9a-f]{32}\b/g, "***");
  if (Array.isArray(value)) return value.map(masked);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, masked(one)]));
}
