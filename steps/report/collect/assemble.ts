import type { JsonObject } from "../../../engine/types.ts";
import { backups } from "./backups.ts";
import { counters } from "./counters.ts";
import { maskSetting } from "../../mask.ts";
import type { Answers } from "./read.ts";
import type { Snapshot } from "./shape.ts";
import { statements, texts } from "./statements.ts";
import { shown, size } from "./units.ts";
import { hitPercent } from "./units.ts";

/** The answers of a server as the report has them. `identity` is its system_identifier, `top` the number of statements listed. */
export function assemble(
  answers: Answers,
  about: { identity: string | null; top: number },
): Snapshot {
  const { server, missing } = answers;
  const rows = (name: string) => answers.rows.get(name) ?? [];
  const one = (name: string) => rows(name)[0] ?? null;
  const { monitor: _, user_quoted: __, newest_oid: ___, ...facts } = server;
  const wal = one("wal");
  const files = one("wal_files");
  return {
    server: {
      ...facts,
      identity: about.identity,
      extensions: (server["extensions"] as JsonObject[]).map(({ name, version }) => ({
        name,
        version,
      })),
    },
    configuration: {
      settings: rows("settings")
        .map(setting)
        .filter(({ value, default: usual, pending_restart }) => value !== usual || pending_restart),
      role_settings: rows("role_settings").map((row) => ({
        ...row,
        settings: (row["settings"] as string[]).map(maskSetting),
      })),
    },
    statements: statements(answers, about.top),
    sizes: sizes(answers),
    connections: one("connections"),
    replication: {
      standbys: rows("standbys"),
      receiver: one("receiver"),
      slots: rows("slots"),
      subscriptions: rows("subscriptions"),
    },
    wal: {
      level: wal?.["level"] ?? null,
      lsn: wal?.["lsn"] ?? null,
      max_size: wal?.["max_size"] ?? null,
      synchronous_standby_names: wal?.["synchronous_standby_names"] ?? null,
      directory: files === null ? null : { ...files, size: size(Number(files["bytes"])) },
      statistics: one("wal_statistics"),
      checkpoints: one("checkpoints"),
    },
    backups: backups(answers),
    missing,
    counters: counters(answers),
    texts: texts(answers),
    // The rows have the columns that the SQL files give them; the tests hold both to the schema.
  } as unknown as Snapshot;
}

function setting(row: JsonObject) {
  const { name, source, where, pending_restart, context, category } = row;
  const usual = row["default_raw"] as string | null;
  return {
    name,
    value: maskSetting(String(row["value"])),
    default: usual === null ? null : maskSetting(shown(usual, row["unit"] as string | null)),
    source,
    where: where ?? null,
    pending_restart,
    context,
    category,
  };
}

function sizes({ rows }: Answers) {
  const bytes = new Map(
    (rows.get("database_sizes") ?? []).map((row) => [row["name"], row["bytes"] as number | null]),
  );
  const databases = (rows.get("databases") ?? []).map((row) => {
    const own = bytes.get(row["name"]) ?? null;
    const {
      name,
      owner,
      connections: open,
      commits,
      rollbacks,
      temp_bytes,
      deadlocks,
      xid_age,
      stats_reset,
    } = row;
    return {
      name,
      owner,
      bytes: own,
      size: own === null ? null : size(own),
      connections: open,
      commits,
      rollbacks,
      cache_hit_percent: hitPercent(row["blks_hit"], row["blks_read"]),
      temp_bytes,
      deadlocks,
      xid_age,
      stats_reset,
    };
  });
  // The total of the listed databases, so that it is the sum of what a reader sees and of what is kept for later reports.
  const known = databases.flatMap(({ bytes: own }) => (own === null ? [] : [own]));
  const total = known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0);
  return {
    total_bytes: total,
    total: total === null ? null : size(total),
    databases: databases.toSorted((a, b) => (b.bytes ?? -1) - (a.bytes ?? -1)),
    relations: (rows.get("relations") ?? []).map((row) => {
      const { name, kind, bytes: own, ...rest } = row;
      const { live_rows: _, oid: __, others: ___, ...figures } = rest;
      return { name, kind, bytes: own, size: size(Number(own)), ...figures };
    }),
    counts: rows.get("relation_counts")?.[0] ?? null,
    tablespaces: (rows.get("tablespaces") ?? []).map((row) => ({
      ...row,
      size: row["bytes"] === null ? null : size(Number(row["bytes"])),
    })),
  };
}
