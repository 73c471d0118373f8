import { PgdbaError } from "../../../engine/errors.ts";
import type { ForeignBackup, ForeignTool } from "./contract.ts";

/** The parts of `pgbackrest info --output=json` that are used; times are seconds since 1970. */
interface Stanza {
  name: string;
  status: { code: number; message: string };
  db?: { id: number; "repo-key"?: number; "system-id": number | string }[];
  backup?: {
    label: string;
    type: "full" | "diff" | "incr";
    prior: string | null;
    error?: boolean | null;
    timestamp: { start: number; stop: number };
    archive: { start: string | null; stop: string | null };
    database: { id: number; "repo-key"?: number };
    info: { size: number; repository: { delta?: number; size?: number } };
  }[];
}

const TYPES = { full: "full", diff: "differential", incr: "incremental" } as const;
const HINT =
  "Run `pgbackrest info` there as the user that PostgreSQL runs as: it must be able to read its configuration and the repository.";

export const pgbackrest: ForeignTool = {
  name: "pgBackRest",
  async list(run, identity) {
    const said = await run(["pgbackrest", "version"]).catch((error: unknown) => {
      if (error instanceof PgdbaError && error.code === "command_failed") return null;
      throw error;
    });
    const [, version] = /^pgBackRest (\S+)/.exec(said?.stdout ?? "") ?? [];
    if (version === undefined) return null;
    const ran = await run(["pgbackrest", "info", "--output=json"], { maxBytes: 64 * 1024 * 1024 });
    if (ran.exit_code !== 0) {
      const why = (ran.stderr.trim() || ran.stdout.trim()).split("\n").at(-1) ?? "";
      throw new PgdbaError(
        "command_failed",
        `pgbackrest info failed (${ran.exit_code ?? ran.signal}): ${why}`,
        { hint: HINT },
      );
    }
    const stanzas = stanzasIn(keepingIdentifiers(ran.stdout));
    const ours = stanzas.filter(({ db = [] }) =>
      db.some((one) => String(one["system-id"]) === identity),
    );
    return {
      version,
      backups: ours.flatMap((stanza) => backupsOf(stanza, identity)),
      problems: ours
        .filter(({ status }) => status.code !== 0)
        .map(({ name, status }) => `${name}: ${status.message}`),
    };
  },
};

/** A system identifier has 64 bits: as a number of JSON its last digits would be lost. */
function keepingIdentifiers(text: string): string {
  return text.replace(/("system-id"\s*:\s*)(\d+)/g, '$1"$2"');
}

function stanzasIn(text: string): Stanza[] {
  try {
    return JSON.parse(text) as Stanza[];
  } catch (cause) {
    throw new PgdbaError("command_failed", "pgbackrest info did not answer with JSON", {
      cause,
      hint: HINT,
    });
  }
}

/** A stanza may have had other clusters before, which an upgrade or a new initdb has ended. */
function backupsOf({ name, db = [], backup = [] }: Stanza, identity: string): ForeignBackup[] {
  const ours = db.filter((one) => String(one["system-id"]) === identity);
  return backup
    .filter(({ database }) =>
      ours.some((one) => one.id === database.id && one["repo-key"] === database["repo-key"]),
    )
    .map(({ label, type, prior, error, timestamp, archive, info }) => ({
      id: label,
      set: name,
      type: TYPES[type],
      parent: prior,
      started_at: new Date(timestamp.start * 1000).toISOString(),
      finished_at: new Date(timestamp.stop * 1000).toISOString(),
      bytes: info.size,
      stored_bytes: info.repository.delta ?? info.repository.size ?? null,
      wal_start: archive.start,
      wal_end: archive.stop,
      error: error === true,
    }));
}
