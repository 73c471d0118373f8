/** Takes a physical backup: a base backup by the replication protocol, streamed into the repository, and the proof that its WAL is there. */
import { PgdbaError } from "../../engine/errors.ts";
import { parseLsn } from "../../engine/shared/units.ts";
import { lsnText } from "../postgres/lsn.ts";
import { baseBackup, type Position, type Tablespace } from "../postgres/replication/base-backup.ts";
import { identify, timelineHistory, uploadManifest } from "../postgres/replication/commands.ts";
import type { ReplicationSession } from "../postgres/replication/session.ts";
import type { PgSession } from "../postgres/session.ts";
import type { Repository } from "../repository/contract.ts";
import { backupPrefix, type ClusterKey, recordName, walName } from "../repository/layout.ts";
import { begin } from "./unfinished.ts";
import { awaitWal, refuseWithoutArchive } from "./await-wal.ts";
import { factsOf } from "./facts.ts";
import { compressed, counter, decompressed } from "./frames.ts";
import { neededSegments } from "./needed.ts";
import { readRecord } from "./read-record.ts";
import type { BackupRecord, Part, WalRange } from "./record.ts";
import { historyFile, segmentAt, segmentBefore, segmentFile } from "./segments.ts";
import type { Told } from "./work.ts";

export interface TakeOrder {
  id: string;
  type: "full" | "incremental";
  parent: string | null;
  key: ClusterKey;
  /** For people: the cluster's name, and the member that is read. */
  cluster: string;
  node: string;
  run: string;
  tool: string;
  checkpoint: "fast" | "spread";
  /** Kilobytes a second at most; without it as fast as it goes. */
  max_rate_kb: number | null;
  /** Of zstd. */
  level: number;
  /** How long the archive is given to bring the last segment. */
  wal_timeout_ms: number;
  /** Of a cluster whose WAL is streamed: see `receive.ts`. */
  slot?: string | undefined;
}

/** The connections and the repository that it works with; whoever made them closes them. */
export interface TakeWorld {
  repository: Repository;
  /** Of the server that is read. */
  replication: ReplicationSession;
  server: (database?: string) => Promise<PgSession>;
  /** The primary of the cluster at this moment; it alone ends a segment and archives it. */
  primary: () => Promise<PgSession>;
  tell: (told: Told) => void;
  now: () => Date;
  signal: AbortSignal;
}

/** One that fails leaves no record, and removes its parts where it can. @throws PgdbaError */
export async function take(order: TakeOrder, world: TakeWorld): Promise<BackupRecord> {
  const { repository, tell, signal } = world;
  const startedAt = world.now();
  const identified = await identify(world.replication, signal);
  assertOurs(order, identified.systemIdentifier);
  const facts = await factsOf(world.server, signal);
  assertFits(order, facts.version);
  const slot = order.slot ?? null;
  await refuseWithoutArchive(world, order.key, { timeline: identified.timeline, slot });
  const parts: Part[] = [];
  let manifest: Part | null = null;
  let start: Position = { lsn: "0/0", timeline: 0 };
  const prefix = backupPrefix(order.key, order.id);
  try {
    await begin(repository, order.key, order.id, order.run, { signal });
    if (order.parent !== null) await uploadParent(order, order.parent, world);
    let total = 0;
    let done = 0;
    const store = async (
      part: Omit<Part, "bytes" | "stored_bytes" | "sha256">,
      bytes: AsyncIterable<Uint8Array>,
    ): Promise<Part> => {
      const count = counter();
      await repository.create(
        `${prefix}${part.name}`,
        compressed(told(bytes), count, order.level),
        { signal },
      );
      return {
        ...part,
        bytes: count.bytes,
        stored_bytes: count.storedBytes,
        sha256: count.sha256(),
      };
    };
    const told = async function* (bytes: AsyncIterable<Uint8Array>) {
      for await (const piece of bytes) {
        done += piece.length;
        tell({ done, total: Math.max(done, total), unit: "bytes" });
        yield piece;
      }
    };
    tell({ text: "waiting for a checkpoint" });
    const end = await baseBackup(
      world.replication,
      {
        version: facts.version,
        label: `pgdba ${order.id}`,
        checkpoint: order.checkpoint,
        incremental: order.type === "incremental",
        maxRateKb: order.max_rate_kb ?? undefined,
      },
      {
        started(at, tablespaces) {
          start = at;
          total = 1024 * tablespaces.reduce((sum, { kilobytes }) => sum + kilobytes, 0);
          tell({ text: "reading the data" });
        },
        async archive(tablespace, bytes) {
          // Until 14 the server leaves the two empty blocks at a tar's end to its clients.
          parts.push(await store(partOf(tablespace), facts.version < 15 ? ended(bytes) : bytes));
        },
        async manifest(bytes) {
          manifest = await store({ name: "manifest.zst", kind: "manifest" }, bytes);
        },
      },
      signal,
    );
    const history = await timelineHistory(world.replication, end.timeline, signal);
    const wal = rangeOf(start, end, facts.server.segment_bytes);
    await awaitWal(world, {
      slot,
      key: order.key,
      end: parseLsn(end.lsn),
      segmentBytes: facts.server.segment_bytes,
      segments: neededSegments(
        parseLsn(start.lsn),
        { lsn: parseLsn(end.lsn), timeline: end.timeline },
        history,
        facts.server.segment_bytes,
      ),
      timeoutMs: order.wal_timeout_ms,
    });
    // Archived when the timeline began, which may have been into another repository; nothing is restored without it.
    if (history !== null) {
      const name = walName(order.key, historyFile(end.timeline));
      await repository.create(name, Buffer.from(history), { signal });
    }
    const all = manifest === null ? parts : [...parts, manifest as Part];
    await assertThere(repository, prefix, all, signal);
    const record: BackupRecord = {
      format: 1,
      id: order.id,
      type: order.type,
      parent: order.parent,
      cluster: { ...order.key, name: order.cluster },
      node: order.node,
      source: facts.standby ? "standby" : "primary",
      started_at: startedAt.toISOString(),
      finished_at: world.now().toISOString(),
      wal,
      parts,
      manifest,
      bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
      stored_bytes: all.reduce((sum, { stored_bytes }) => sum + stored_bytes, 0),
      compression: "zstd",
      server: facts.server,
      databases: facts.databases,
      run: order.run,
      tool: order.tool,
    };
    await repository.create(
      recordName(order.key, order.id),
      Buffer.from(`${JSON.stringify(record, null, 1)}\n`),
      { signal },
    );
    return record;
  } catch (error) {
    await removeParts(repository, prefix).catch(() => {});
    throw error;
  }
}

/** Removes what a backup without a record has left. */
export async function removeParts(repository: Repository, prefix: string): Promise<number> {
  const names: string[] = [];
  for await (const { name } of repository.list(prefix)) names.push(name);
  if (names.length > 0) await repository.remove(names);
  return names.length;
}

function partOf({ oid, path }: Tablespace): Pick<Part, "name" | "kind" | "tablespace"> {
  return oid === null
    ? { name: "data.tar.zst", kind: "data" }
    : {
        name: `tablespace-${oid}.tar.zst`,
        kind: "tablespace",
        tablespace: { oid, path: path ?? "" },
      };
}

async function* ended(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* bytes;
  yield Buffer.alloc(1024);
}

function rangeOf(start: Position, end: Position, segmentBytes: number): WalRange {
  const [from, to] = [parseLsn(start.lsn), parseLsn(end.lsn)];
  return {
    timeline: start.timeline,
    start_lsn: lsnText(from),
    start_segment: segmentFile(segmentAt(start.timeline, from, segmentBytes), segmentBytes),
    end_timeline: end.timeline,
    end_lsn: lsnText(to),
    end_segment: segmentFile(segmentBefore(end.timeline, to, segmentBytes), segmentBytes),
  };
}

async function uploadParent(order: TakeOrder, parent: string, world: TakeWorld): Promise<void> {
  const { repository, signal, replication } = world;
  const { manifest } = await readRecord(repository, order.key, parent, signal);
  const name = `${backupPrefix(order.key, parent)}${manifest?.name ?? "manifest.zst"}`;
  const stored = await repository.read(name, { signal });
  if (stored === null)
    throw new PgdbaError("step_refused", `The manifest of ${parent} is gone from the repository`, {
      hint: "Nothing can be the difference to it: take a full backup.",
    });
  await uploadManifest(replication, decompressed(stored, name), signal);
}

function assertOurs({ key, cluster, node }: TakeOrder, identity: string): void {
  if (identity === key.system_identifier) return;
  throw new PgdbaError(
    "identity_mismatch",
    `${node} has the system identifier ${identity}; the repository's part of ${cluster} is that of ${key.system_identifier}`,
    {
      hint: "Another server answers there, or the cluster was made anew: run `pgdba backup setup` for it.",
    },
  );
}

function assertFits({ key, type, node }: TakeOrder, version: number): void {
  if (version !== key.version)
    throw new PgdbaError(
      "step_refused",
      `${node} runs PostgreSQL ${version}; the repository's part is for ${key.version}`,
      {
        hint: "After an upgrade run `pgdba backup setup` again, so that the new version gets a part of its own.",
      },
    );
  if (version < 13)
    throw new PgdbaError(
      "unsupported",
      `${node} runs PostgreSQL ${version}, whose backups have no manifest`,
      {
        hint: "PostgreSQL 13 is the oldest that can be backed up so; `--type logical` works.",
      },
    );
  if (type === "incremental" && version < 17)
    throw new PgdbaError(
      "unsupported",
      `PostgreSQL ${version} has no incremental backups; they came with 17`,
      {
        hint: "Take a full one (`--type full`) more often, with WAL archived in between; or, where full ones are too large, use pgBackRest, whose backups pgdba lists.",
      },
    );
}

/** Somebody may have taken it for the leftover of a dead one. */
async function assertThere(
  repository: Repository,
  prefix: string,
  parts: readonly Part[],
  signal: AbortSignal,
): Promise<void> {
  for (const { name, stored_bytes } of parts) {
    const found = await repository.stat(`${prefix}${name}`, { signal });
    if (found?.bytes === stored_bytes) continue;
    throw new PgdbaError(
      "repository_failed",
      `${name} was written to ${repository.where}, and is not there as it was written`,
      {
        hint: "Somebody removes or changes what lies in the repository; find out who, and take the backup again.",
      },
    );
  }
}
