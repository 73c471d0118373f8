import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Client } from "pg";
import { PgdbaError } from "../../../engine/errors.ts";
import { writeWhole } from "../../../engine/shared/write-file.ts";
import { conninfo } from "../../postgres/conninfo.ts";
import { fromPostgres } from "../../postgres/errors.ts";
import { type Home, HOST, type NodeRecord, type Place } from "./home.ts";
import { copyTree } from "./tree.ts";

/** Files that a server writes anew when it starts, or must not find; pg_basebackup leaves them out, too (basebackup.c). */
const EMPTIED = [
  "pg_wal",
  "pg_replslot",
  "pg_dynshmem",
  "pg_notify",
  "pg_serial",
  "pg_snapshots",
  "pg_stat_tmp",
  "pg_subtrans",
];
const LEFT_OUT =
  /^(postmaster\.(pid|opts)|backup_label(\.old)?|tablespace_map(\.old)?|standby\.signal|recovery\.signal|current_logfiles|postgresql\.auto\.conf\.tmp|backup_manifest)$|(^|\/)(pgsql_tmp[^/]*|pg_internal\.init[^/]*)$/;

/** The slot that a standby has on its primary. */
const slotOf = (node: string): string => `pgdba_${node.replaceAll("-", "_")}`;

/**
 * Fills the data directory of a new standby from its running primary: a slot first, so that no WAL it needs goes, then an online copy.
 * @throws PgdbaError query_failed | io_failed | step_refused
 */
export async function cloneInto(
  home: Home,
  from: { client: Client; at: Place; record: NodeRecord },
  to: { at: Place; record: NodeRecord },
  signal: AbortSignal,
): Promise<void> {
  const { client, at, record } = from;
  await assertNoTablespaces(at);
  const ask = async (sql: string, values: unknown[] = []) => {
    try {
      return (await client.query(sql, values)).rows as { [column: string]: unknown }[];
    } catch (error) {
      throw fromPostgres(error, `${record.node} could not be copied`, "query_failed");
    }
  };
  const slot = slotOf(to.record.node);
  await ask(
    `SELECT pg_create_physical_replication_slot($1, true)
     WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1)`,
    [slot],
  );
  const isNew = record.version >= 15;
  await ask(
    isNew ? "SELECT pg_backup_start($1, true)" : "SELECT pg_start_backup($1, true, false)",
    [`pgdba ${to.record.node}`],
  );
  await rm(to.at.data, { recursive: true, force: true });
  await copyTree(at.data, to.at.data, {
    owner: home.user ?? undefined,
    sync: false,
    mayGo: true,
    signal,
    leaveOut: (path) =>
      LEFT_OUT.test(path) || EMPTIED.some((folder) => path.startsWith(`${folder}/`)),
  });
  const [stopped] = await ask(
    isNew
      ? "SELECT labelfile FROM pg_backup_stop(false)"
      : "SELECT labelfile FROM pg_stop_backup(false, false)",
  );
  const file = async (name: string, text: string) =>
    writeWhole(join(to.at.data, name), text, { owner: home.user ?? undefined });
  await file("backup_label", String(stopped?.["labelfile"]));
  await file("standby.signal", "");
  const automatic = await readFile(join(to.at.data, "postgresql.auto.conf"), "utf8");
  const settings = {
    primary_conninfo: conninfo({
      host: HOST,
      port: record.port,
      user: record.replication.user,
      passfile: to.at.passfile,
      application_name: to.record.node,
      sslmode: "disable",
    }),
    primary_slot_name: slot,
  };
  const lines = Object.entries(settings).map(
    ([name, value]) => `${name} = '${value.replaceAll("'", "''")}'`,
  );
  await file("postgresql.auto.conf", `${automatic.trimEnd()}\n${lines.join("\n")}\n`);
}

/** Removes the slot of a standby that is gone: it would keep WAL for ever. */
export async function dropSlot(client: Client, node: string): Promise<void> {
  const slot = slotOf(node);
  try {
    const deadline = performance.now() + 5_000;
    for (;;) {
      const { rows } = await client.query<{ active_pid: number | null }>(
        "SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1",
        [slot],
      );
      if (rows.length === 0) return;
      const pid = rows[0]!.active_pid;
      if (pid === null) break;
      if (performance.now() > deadline) break;
      await client.query("SELECT pg_terminate_backend($1)", [pid]);
      await Bun.sleep(20);
    }
    await client.query("SELECT pg_drop_replication_slot($1)", [slot]);
  } catch (error) {
    throw fromPostgres(error, `The slot ${slot} could not be dropped`, "query_failed");
  }
}

/** Two nodes of one machine would write to one folder. */
async function assertNoTablespaces(at: Place): Promise<void> {
  const entries = await readdir(join(at.data, "pg_tblspc"), { withFileTypes: true });
  const link = entries.find((entry) => entry.isSymbolicLink());
  if (link === undefined) return;
  throw new PgdbaError(
    "step_refused",
    "The primary has tablespaces outside of its data directory",
    {
      hint: "Nodes of one machine would share them; move their tables, or choose another provider.",
      nothingDone: true,
    },
  );
}
