import type { Gathered } from "../gather/cluster.ts";
import type { CertificateSeen } from "../gather/certificates.ts";
import type { ArchiveNow } from "../gather/server.ts";
import type { Holder } from "./members.ts";

/** What stands beside the members: all of it as the output has it. */
export interface Beside {
  slots: {
    member: string;
    name: string;
    type: string;
    active: boolean;
    wal_status: string | null;
    retained_bytes: number | null;
  }[];
  pgbouncers: PoolerNow[];
  disks: { node: string; of: string; path: string; total_bytes: number; free_bytes: number }[];
  certificates: {
    member: string;
    of: string;
    not_after: string;
    days_left: number;
    issuer: string;
  }[];
  archive: {
    member: string;
    mode: string;
    /** False when the WAL goes nowhere; null when that can't be told. */
    kept: boolean | null;
    why: string;
    failing: boolean;
    archived: number | null;
    failed: number | null;
    last_archived_at: string | null;
    last_failed_at: string | null;
  } | null;
}

export interface PoolerNow {
  name: string;
  place: string;
  why: string | null;
  /** The member that clients are sent to; null where nobody tells. */
  route: string | null;
  /** Who holds clients back. */
  paused: string | null;
  /** After this they go on by themselves; null where nothing ends the pause. */
  held_ms: number | null;
  clients: number;
  waiting: number;
  max_wait_s: number;
  servers: number;
  follower: boolean;
  follower_why: string | null;
  /** Why the follower keeps clients where they are, or lets them nowhere. */
  held: string | null;
}

const DAY_MS = 86_400_000;

/** WAL that a slot may hold back before it is worth a word. */
const SPARE_BYTES = 64 * 1024 * 1024;

/** From Patroni 4 on each standby has a slot for every other member, in case that it leads one day; nobody uses them until then. */
function isSpare({ type, active, wal_status: status, retained_bytes }: Beside["slots"][number]) {
  const isKept = status === null || status === "reserved" || status === "extended";
  return type === "physical" && !active && isKept && (retained_bytes ?? 0) <= SPARE_BYTES;
}

export function besideOf(
  g: Gathered,
  holder: Holder,
  certificates: readonly CertificateSeen[],
  now: Date,
): Beside {
  const leader = g.members.find(({ name }) => name === holder.name);
  return {
    slots: g.members.flatMap(({ name: member, server }) =>
      (server.value?.slots ?? [])
        .map(({ name, type, active, wal_status, retained_bytes }) => ({
          member,
          name,
          type,
          active,
          wal_status,
          retained_bytes,
        }))
        .filter((slot) => member === holder.name || !isSpare(slot)),
    ),
    pgbouncers: g.pgbouncers.map(poolerNow),
    disks: g.members.flatMap(({ name: node, facts }) =>
      (facts?.value?.disks ?? []).map(({ of, path, totalBytes, freeBytes }) => ({
        node,
        of,
        path,
        total_bytes: totalBytes,
        free_bytes: freeBytes,
      })),
    ),
    certificates: certificates.map(({ member, of, certificate }) => ({
      member,
      of,
      not_after: certificate.notAfter,
      days_left: Math.floor((Date.parse(certificate.notAfter) - now.getTime()) / DAY_MS),
      issuer: certificate.issuer,
    })),
    archive: leader?.server.value ? archiveNow(leader.name, leader.server.value.archive) : null,
  };
}

/** Of a pause that no follower was asked for. */
const CONSOLE_PAUSE = "somebody at its console";

function poolerNow({
  name,
  place,
  pools,
  state: said,
  follower,
}: Gathered["pgbouncers"][number]): PoolerNow {
  const rows = (pools.value ?? []).filter((row) => row["database"] !== "pgbouncer");
  const sum = (key: string): number =>
    rows.reduce((all, row) => all + (Number(row[key] ?? 0) || 0), 0);
  const wait = rows.map(
    (row) => Number(row["maxwait"] ?? 0) + Number(row["maxwait_us"] ?? 0) / 1e6,
  );
  const { value: state } = follower;
  // A follower holds clients back as well while nobody leads, and tells of nobody then; that is another finding.
  const isForeign =
    state === null
      ? (said.value ?? []).some(isPaused)
      : state.clients === "wait" && state.route !== null && state.why !== null;
  return {
    name,
    place,
    why: pools.why,
    route: state?.route?.member ?? null,
    paused: state?.paused?.holder ?? (isForeign ? CONSOLE_PAUSE : null),
    held_ms: state?.paused?.leftMs ?? null,
    clients: sum("cl_active"),
    waiting: sum("cl_waiting"),
    max_wait_s: Math.max(0, ...wait.filter((one) => Number.isFinite(one))),
    servers: sum("sv_active") + sum("sv_idle") + sum("sv_used"),
    follower: state !== null,
    held: state?.why ?? null,
    follower_why: follower.code === null ? null : follower.why,
  };
}

function isPaused({ key, value }: Record<string, unknown>): boolean {
  return key === "paused" && value === "yes";
}

/** Programs that succeed and keep nothing, by which people stand in for an archive. */
const DISCARDS = /^\s*(?:\/(?:usr\/)?bin\/)?(?:true|:|exit\s+0|cd\s+\.|echo\b[^|;&>]*)\s*$/;

/** Whether WAL goes to an archive at all. */
function archiveNow(member: string, archive: ArchiveNow): NonNullable<Beside["archive"]> {
  const { mode, command, library, archived, failed, last_archived_at, last_failed_at } = archive;
  const [kept, why] = destination(mode, command, library);
  const failing =
    kept !== false &&
    last_failed_at !== null &&
    (last_archived_at === null || last_failed_at > last_archived_at);
  return { member, mode, kept, why, failing, archived, failed, last_archived_at, last_failed_at };
}

function destination(
  mode: string,
  command: string | null,
  library: string | null,
): [boolean | null, string] {
  if (mode === "off") return [false, "archive_mode is off"];
  if (library) return [true, `by the library ${library}`];
  if (command === null) return [null, "the role may not read archive_command"];
  if (command === "" || command === "(disabled)") return [false, "archive_command is empty"];
  return DISCARDS.test(command)
    ? [false, `archive_command is ${JSON.stringify(command)}, which discards it`]
    : [true, "by archive_command"];
}
