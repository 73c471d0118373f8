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
import { factsOf, type ServerFacts } from "./facts.ts";
import { assertFits, assertOurs, assertThere } from "./may-take.ts";
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
  const { repository, replication, signal } = world;
  const startedAt = world.now();
  const identified = await identify(replication, signal);
  assertOurs(order, identified.systemIdentifier);
  const facts = await factsOf(world.server, signal);
  assertFits(order, facts.version);
  const slot = order.slot ?? null;
  await refuseWithoutArchive(world, order.key, { timeline: identified.timeline, slot });
  const prefix = backupPrefix(order.key, order.id);
  try {
    await begin(repository, order, { signal });
    if (order.parent !== null) await uploadParent(order, order.parent, world);
    const read = await readData(order, world, facts.version);
    const history = await timelineHistory(replication, read.end.timeline, signal);
    await bringWal(order, world, { ...read, history, segmentBytes: facts.server.segment_bytes });
    const all = read.manifest === null ? read.parts : [...read.parts, read.manifest];
    await assertThere(repository, prefix, all, signal);
    const record = recordOf(order, facts, { ...read, all, startedAt, finishedAt: world.now() });
    await repository.create(
      recordName(order.key, order.id),
      Buffer.from(`${JSON.stringify(record, null, 1)}\n`),
      { signal },
    );
    return record;
  } catch (error) {
    // The failure of the backup is the one to report; what is left is found by its marker.
    await removeParts(repository, prefix).catch(() => {});
    throw error;
  }
}

/** What the server gave, and the WAL without which it is nothing. */
interface Read {
  parts: readonly Part[];
  manifest: Part | null;
  start: Position;
  end: Position;
}

/** Streams the server's data into the repository, part by part. */
async function readData(order: TakeOrder, world: TakeWorld, version: number): Promise<Read> {
  const { repository, tell, signal } = world;
  const prefix = backupPrefix(order.key, order.id);
  const parts: Part[] = [];
  let manifest: Part | null = null;
  let start: Position = { lsn: "0/0", timeline: 0 };
  let total = 0;
  let done = 0;
  const told = async function* (bytes: AsyncIterable<Uint8Array>) {
    for await (const piece of bytes) {
      done += piece.length;
      tell({ done, total: Math.max(done, total), unit: "bytes" });
      yield piece;
    }
  };
  const store = async (
    part: Omit<Part, "bytes" | "stored_bytes" | "sha256">,
    bytes: AsyncIterable<Uint8Array>,
  ): Promise<Part> => {
    const count = counter();
    const content = compressed(told(bytes), count, order.level);
    await repository.create(`${prefix}${part.name}`, content, { signal });
    const { bytes: whole, storedBytes } = count;
    return { ...part, bytes: whole, stored_bytes: storedBytes, sha256: count.sha256() };
  };
  tell({ text: "waiting for a checkpoint" });
  const end = await baseBackup(
    world.replication,
    {
      version,
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
        parts.push(await store(partOf(tablespace), version < 15 ? ended(bytes) : bytes));
      },
      async manifest(bytes) {
        manifest = await store({ name: "manifest.zst", kind: "manifest" }, bytes);
      },
    },
    signal,
  );
  return { parts, manifest, start, end };
}

/** Waits for the WAL that the backup needs, and brings the history of its timeline. */
async function bringWal(
  { key, slot, wal_timeout_ms: timeoutMs }: TakeOrder,
  world: TakeWorld,
  of: Pick<Read, "start" | "end"> & { history: string | null; segmentBytes: number },
): Promise<void> {
  const { history, segmentBytes } = of;
  const [start, end] = [parseLsn(of.start.lsn), parseLsn(of.end.lsn)];
  const { timeline } = of.end;
  const segments = neededSegments(start, { lsn: end, timeline }, history, segmentBytes);
  await awaitWal(world, { slot: slot ?? null, key, end, segmentBytes, segments, timeoutMs });
  if (history === null) return;
  // Archived when the timeline began, which may have been into another repository; nothing is restored without it.
  const name = walName(key, historyFile(timeline));
  await world.repository.create(name, Buffer.from(history), { signal: world.signal });
}

function recordOf(
  order: TakeOrder,
  facts: ServerFacts,
  {
    parts,
    manifest,
    start,
    end,
    ...read
  }: Read & {
    all: readonly Part[];
    startedAt: Date;
    finishedAt: Date;
  },
): BackupRecord {
  return {
    format: 1,
    id: order.id,
    type: order.type,
    parent: order.parent,
    cluster: { ...order.key, name: order.cluster },
    node: order.node,
    source: facts.standby ? "standby" : "primary",
    started_at: read.startedAt.toISOString(),
    finished_at: read.finishedAt.toISOString(),
    wal: rangeOf(start, end, facts.server.segment_bytes),
    parts: [...parts],
    manifest,
    bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
    stored_bytes: read.all.reduce((sum, { stored_bytes }) => sum + stored_bytes, 0),
    compression: "zstd",
    server: facts.server,
    databases: facts.databases,
    run: order.run,
    tool: order.tool,
  };
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
