/**
 * Streams WAL from whoever is the primary into the repository, where nothing can be installed beside the data. The server keeps all WAL from where its slot
 * stands, and the slot moves only to what is durable in the repository: whatever dies, nothing is missing afterwards.
 */
import { PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import { sleep } from "../../engine/shared/sleep.ts";
import { parseBytes, parseLsn } from "../../engine/shared/units.ts";
import { sqlstateOf } from "../postgres/errors.ts";
import { lsnText } from "../postgres/lsn.ts";
import { identify, timelineHistory } from "../postgres/replication/commands.ts";
import type { ReplicationSession } from "../postgres/replication/session.ts";
import { type Next, WalStream } from "../postgres/replication/stream.ts";
import type { PgSession } from "../postgres/session.ts";
import type { Repository } from "../repository/contract.ts";
import { type ClusterKey, walName, walPrefix } from "../repository/layout.ts";
import { createSlot, slotOf } from "./receive/slot.ts";
import { SegmentSink } from "./receive/sink.ts";
import { historyFile, parseSegment, segmentFile, startOf, timelineText } from "./segments.ts";
import { type Ancestor, parseHistory, pathTo, type Stretch, stretchAt } from "./timelines.ts";
import type { Told } from "./work.ts";

export interface ReceiveOrder {
  key: ClusterKey;
  slot: string;
  /** A segment with a commit in it is ended after so long, ms; null for never. */
  switchMs: number | null;
  /** It is over once this segment is kept; null to go on until it is interrupted. */
  until: string | null;
}

export interface ReceiveWorld {
  repository: Repository;
  /** To the primary of the moment, each time. */
  replication(): Promise<ReplicationSession>;
  primary(): Promise<PgSession>;
  /** Removes the slot from servers that do not lead any more, where it would keep WAL for nobody. */
  tidy(): Promise<void>;
  log(message: string, level?: "info" | "warn"): void;
  tell(told: Told): void;
  signal: AbortSignal;
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
/** A stream that has lasted so long was well. */
const WELL_MS = 60_000;
/** The server takes a receiver for alive for so long after it has died (wal_sender_timeout), and keeps its slot for it. */
const IN_USE_MS = 120_000;
/** Well below wal_sender_timeout, of which 60 s is the default. */
const ALIVE_MS = 5_000;
const TIDY_MS = 60_000;
const STUCK_MS = 20_000;
const OBJECT_IN_USE = "55006";
/** What is read is not there any more. */
const REMOVED = "58P01";

/** @throws PgdbaError step_refused | object_differs (another server writes there) | repository_failed | the signal's reason */
export async function receive(order: ReceiveOrder, world: ReceiveWorld): Promise<{ last: string }> {
  let pause = FIRST_PAUSE_MS;
  let inUseSince: number | null = null;
  for (;;) {
    const begun = performance.now();
    try {
      return await streamed(order, world);
    } catch (thrown) {
      world.signal.throwIfAborted();
      const error = toPgdbaError(thrown);
      const inUse = sqlstateOf(error) === OBJECT_IN_USE;
      inUseSince = inUse ? (inUseSince ?? begun) : null;
      const isLong = inUseSince !== null && performance.now() - inUseSince > IN_USE_MS;
      if (isLong || !(inUse || error.retryable || error.code === "connection_failed")) throw error;
      world.log(`${error.message}; again in ${Math.round(pause / 100) / 10} s`, "warn");
    }
    await sleep(pause, world.signal);
    pause =
      performance.now() - begun > WELL_MS ? FIRST_PAUSE_MS : Math.min(pause * 2, LONGEST_PAUSE_MS);
  }
}

/** One connection, over as many timelines as it brings. */
async function streamed(order: ReceiveOrder, world: ReceiveWorld): Promise<{ last: string }> {
  const session = await world.replication();
  try {
    const { systemIdentifier, timeline, lsn } = await identify(session, world.signal);
    if (systemIdentifier !== order.key.system_identifier)
      throw new PgdbaError(
        "identity_mismatch",
        `${session.where} is another cluster (system identifier ${systemIdentifier})`,
        {
          hint: `The repository's part is of ${order.key.system_identifier}. Look at the address in the cluster's entry.`,
        },
      );
    const [[[bytes] = []] = []] = await session.ask("SHOW wal_segment_size", world.signal);
    const segmentBytes = parseBytes(String(bytes));
    const path = await pathOf(session, timeline, order, world);
    let at = await startAt(session, { path, lsn: parseLsn(lsn), segmentBytes }, order, world);
    for (;;) {
      world.log(
        `streaming from ${session.where}, timeline ${at.timeline}, from ${lsnText(at.start)} on`,
      );
      const { next, last } = await oneTimeline(session, { ...at, segmentBytes }, order, world);
      if (last !== null) return { last };
      if (next === null)
        throw new PgdbaError("connection_failed", `${session.where} ended the stream`, {
          hint: "It was stopped, or does not lead any more.",
          retryable: true,
        });
      await keepHistory(session, next.timeline, order, world);
      at = {
        timeline: next.timeline,
        start: startOf(next.lsn / BigInt(segmentBytes), segmentBytes),
      };
    }
  } finally {
    session.close();
  }
}

interface At {
  timeline: number;
  /** Of a segment. */
  start: bigint;
}

async function oneTimeline(
  session: ReplicationSession,
  { timeline, start, segmentBytes }: At & { segmentBytes: number },
  order: ReceiveOrder,
  world: ReceiveWorld,
): Promise<{ next: Next; last: string | null }> {
  const stream = new WalStream(session, () => sink.position);
  const failed = new AbortController();
  const signal = AbortSignal.any([world.signal, failed.signal]);
  const sink: SegmentSink = new SegmentSink({
    ...order,
    ...world,
    timeline,
    start,
    segmentBytes,
    signal,
    kept: () => stream.tell(),
    failed: (error) => failed.abort(error),
  });
  // A server that stops waits for its receivers. One whose repository is away gives no sign of life, so that it does not wait for long.
  const alive = setInterval(() => {
    if (sink.stuckMs < STUCK_MS) void stream.tell().catch(() => {});
  }, ALIVE_MS);
  const tidy = () => void world.tidy().catch(() => {});
  const tidying = setInterval(tidy, TIDY_MS);
  tidy();
  const switching = order.switchMs === null ? undefined : switcher(order.switchMs, sink, world);
  try {
    const pieces = stream.pieces({ slot: order.slot, timeline, start }, signal);
    for (;;) {
      const piece = await pieces.next();
      if (piece.done) {
        await sink.end();
        return { next: piece.value, last: sink.reached };
      }
      await sink.take(piece.value);
      if (sink.reached !== null) return { next: null, last: sink.reached };
    }
  } catch (error) {
    // The last segment may have been kept while more was waited for.
    if (sink.reached !== null) return { next: null, last: sink.reached };
    throw error;
  } finally {
    clearInterval(alive);
    clearInterval(switching);
    clearInterval(tidying);
    failed.abort(new PgdbaError("interrupted", "the stream is over"));
  }
}

/** What was committed is in the repository after so long, also where a segment does not get full. */
function switcher(ms: number, sink: SegmentSink, world: ReceiveWorld) {
  let allowed = true;
  let busy = false;
  return setInterval(
    () => {
      if (!allowed || busy || !sink.holdsCommitOf(ms)) return;
      busy = true;
      void world
        .primary()
        .then((pg) => pg.query("SELECT pg_catalog.pg_switch_wal()", [], { changes: true }))
        .catch((error: unknown) => {
          if (sqlstateOf(error) !== "42501") return;
          allowed = false;
          world.log(
            "this role may not end a segment (EXECUTE on pg_switch_wal()): what was committed comes into the repository only when a segment is full",
            "warn",
          );
        })
        .finally(() => (busy = false));
    },
    Math.max(250, Math.min(ms / 4, 5_000)),
  );
}

/** The timelines up to this one, with their histories in the repository. */
async function pathOf(
  session: ReplicationSession,
  timeline: number,
  order: ReceiveOrder,
  world: ReceiveWorld,
): Promise<Stretch[]> {
  const histories = new Map<number, Ancestor[]>();
  const text = await keepHistory(session, timeline, order, world);
  if (text !== null) histories.set(timeline, parseHistory(timeline, text));
  const path = pathTo(histories, timeline);
  for (const one of path)
    if (one.timeline !== timeline) await keepHistory(session, one.timeline, order, world);
  return path;
}

async function keepHistory(
  session: ReplicationSession,
  timeline: number,
  { key }: ReceiveOrder,
  { repository, signal }: ReceiveWorld,
): Promise<string | null> {
  const text = await timelineHistory(session, timeline, signal).catch((error: unknown) => {
    // An older one may be gone from the server.
    if (sqlstateOf(error) !== REMOVED) throw error;
    return session.settled(signal).then(() => null);
  });
  if (text === null) return null;
  await repository.create(walName(key, historyFile(timeline)), Buffer.from(text), { signal });
  return text;
}

/** After the newest segment that is kept, and never after where the slot stands. */
async function startAt(
  session: ReplicationSession,
  { path, lsn, segmentBytes }: { path: Stretch[]; lsn: bigint; segmentBytes: number },
  order: ReceiveOrder,
  world: ReceiveWorld,
): Promise<At> {
  const pg = await world.primary();
  let slot = await slotOf(pg, order.slot);
  if (slot === null || slot.lost) {
    if (slot?.lost)
      world.log(
        `the slot ${order.slot} was too far behind, and the server has given it up (max_slot_wal_keep_size)`,
        "warn",
      );
    await createSlot(session, order.slot, { anew: slot !== null, signal: world.signal });
    slot = await slotOf(pg, order.slot);
  }
  const size = BigInt(segmentBytes);
  const kept = await newestKept(path, order, world, segmentBytes);
  const stands = startOf((slot?.restart ?? lsn) / size, segmentBytes);
  const start = kept === null || kept > stands ? stands : kept;
  const at = { timeline: stretchAt(path, start)?.timeline ?? path.at(-1)!.timeline, start };
  if (start === stands) return at;
  // A new primary's slot begins where it was made; what was written before may still be there.
  if (await isThere(pg, at, segmentBytes)) return at;
  world.log(
    `WAL from ${lsnText(start)} to ${lsnText(stands)} is gone from the server: the archive has a gap there. Take a full backup; pgdba backup gaps shows it`,
    "warn",
  );
  return { timeline: stretchAt(path, stands)?.timeline ?? at.timeline, start: stands };
}

/** The start of the segment after the newest one that is kept on the path; null without any. */
async function newestKept(
  path: readonly Stretch[],
  { key }: ReceiveOrder,
  { repository, signal }: ReceiveWorld,
  segmentBytes: number,
): Promise<bigint | null> {
  for (const { timeline } of path.toReversed()) {
    let newest: bigint | null = null;
    for await (const name of repository.names(walPrefix(key, timelineText(timeline)), { signal })) {
      const file = name.slice(name.lastIndexOf("/") + 1).replace(/\.zst$/, "");
      const found = parseSegment(file, segmentBytes);
      if (found !== null && (newest === null || found.number > newest)) newest = found.number;
    }
    if (newest !== null) return startOf(newest + 1n, segmentBytes);
  }
  return null;
}

/** Whether the server still has the segment in pg_wal; one that can't be asked is tried. */
async function isThere(pg: PgSession, { timeline, start }: At, segmentBytes: number) {
  const file = segmentFile({ timeline, number: start / BigInt(segmentBytes) }, segmentBytes);
  try {
    // Of the segment in which a timeline ended, the server reads it from the next one's.
    const { rows } = await pg.ask(
      "SELECT count(*)::int AS found FROM pg_ls_waldir() WHERE name >= $1 AND substr(name, 9) = $2",
      [file, file.slice(8)],
    );
    return Number(rows[0]?.["found"]) > 0;
  } catch (error) {
    if (sqlstateOf(error) === "42501") return true;
    throw error;
  }
}
