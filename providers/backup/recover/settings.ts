/** The settings of a server that recovers. They stand on its command line, and so before all that the backup brings with it. */
import { shellQuoted } from "../../../engine/shared/shell-words.ts";
import { HELD } from "../../postgres/control-file.ts";
import { lsnText } from "../../postgres/lsn.ts";
import type { Stop } from "../when.ts";

export interface Recovery {
  version: number;
  timeline: number;
  stop: Stop;
  /** The words of `pgdba` as the server starts it, and the file that says where the repository is. */
  pgdba: readonly string[];
  settings: string;
  /** Mark what the server writes once it has ended its recovery; whoever runs it then archives that. */
  archive: boolean;
}

/** A repository that does not answer for so long ends the recovery with an error. */
const PATIENCE_S = 60;

export function recoverySettings(recovery: Recovery): Record<string, string> {
  const { version, timeline, stop, archive } = recovery;
  // PostgreSQL replaces what stands behind a `%`, also in the words of a path.
  const words = [...recovery.pgdba, "wal", "get", "--settings", recovery.settings];
  const get = [...words, "--patience", String(PATIENCE_S)]
    .map((word) => shellQuoted(word).replaceAll("%", "%%"))
    .join(" ");
  return {
    restore_command: `${get} %f %p`,
    recovery_target_timeline: String(timeline),
    recovery_target: "",
    recovery_target_time: "",
    recovery_target_name: "",
    recovery_target_xid: "",
    recovery_target_lsn: stop === null ? "" : lsnText(stop.lsn),
    recovery_target_inclusive: stop?.inclusive === false ? "off" : "on",
    recovery_target_action: "pause",
    recovery_min_apply_delay: "0",
    recovery_end_command: "",
    archive_cleanup_command: "",
    archive_mode: archive ? "on" : "off",
    // Until then it may all be taken back, and the repository keeps for ever what it has.
    archive_command: "",
    ...(version >= 15 ? { archive_library: "" } : {}),
    // Longer than a look into the repository takes: only a server that waits here is seen to be at the end.
    wal_retrieve_retry_interval: "3s",
    ...quietSettings(version),
  };
}

/** Nothing that the data bring with them runs by itself, and whoever lives on the same machine has room. */
export function quietSettings(version: number): Record<string, string> {
  return {
    synchronous_standby_names: "",
    session_preload_libraries: "",
    local_preload_libraries: "",
    ...(version >= 17 ? { event_triggers: "off" } : {}),
    // The original may run on the same machine.
    shared_buffers: "128MB",
    huge_pages: "off",
    jit: "off",
    restart_after_crash: "off",
  };
}

const KEPT = ["shared_preload_libraries", "track_commit_timestamp"] as const;

/** At least as much as the backup says, and as pg_control says of all WAL that was replayed so far. */
export function heldSettings(
  recorded: Readonly<Record<string, string>>,
  control: ReadonlyMap<string, number> | null,
): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const name of HELD) {
    const most = Math.max(Number(recorded[name] ?? 0), control?.get(name) ?? 0);
    if (most > 0) settings[name] = String(most);
  }
  for (const name of KEPT) if (recorded[name] !== undefined) settings[name] = recorded[name];
  return settings;
}
