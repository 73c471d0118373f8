/** "Can I restore to 14:03?": yes or no, with the proof, and what a restore would start from. Nothing but the repository is asked. */
import { PgdbaError } from "../../engine/errors.ts";
import { parseLsn } from "../../engine/shared/units.ts";
import type { Signalled } from "../repository/contract.ts";
import { lsnText } from "../postgres/lsn.ts";
import { type Start, type Unfit, chooseStart, startsOn } from "./choose.ts";
import type { Holdings } from "./holdings.ts";
import { type Micros, iso, micros } from "./instant.ts";
import { type WalSource, latestOf, locateMark, locateTime, newestMark } from "./locate.ts";
import { type Stretch, pathTo, timelineFor } from "./timelines.ts";
import type { WalMark } from "./wal-records.ts";

export type Wanted =
  | { kind: "time"; at: Micros }
  | { kind: "lsn"; lsn: bigint }
  | { kind: "name"; name: string }
  | { kind: "xid"; xid: number }
  /** As soon as the backup is consistent. */
  | { kind: "immediate" }
  /** All that was archived. */
  | { kind: "latest" };

/** Where recovery stops: before or after the record at an LSN; null at the end of WAL. */
export type Stop = { lsn: bigint; inclusive: boolean } | null;

export interface Restorable {
  timeline: number;
  path: Stretch[];
  start: Start;
  stop: Stop;
  /** The last transaction that is there afterwards, where it is known. */
  commit: WalMark | null;
  /** A sentence: what shows that WAL reaches so far. */
  proof: string;
  /** The amount of WAL between the start of the backup and the stop. */
  walBytes: bigint;
  /** From where to where the timeline can be restored, as `data` of a refusal has it. */
  windows(): Promise<WindowData[]>;
}

/** From where to where the path can be restored without a hole. */
export interface Window {
  from: { backup: string; lsn: bigint; at: string };
  to: { lsn: bigint; at: string | null };
}

export interface Question {
  wanted: Wanted;
  backup?: string | null | undefined;
  timeline?: number | null | undefined;
  /** The timeline that the cluster is on, where it could be asked. */
  now?: number | null | undefined;
  clock: Date;
}

/** @throws PgdbaError step_refused, with the windows in `data` | invalid_param */
export async function restorable(
  holdings: Holdings,
  question: Question,
  { read, progress, signal }: Pick<WalSource, "read" | "progress"> & Signalled,
): Promise<Restorable> {
  const { timeline, path } = pathFor(holdings, question);
  const { starts, unfit } = startsOn(holdings, path);
  const wal = (start: Start): WalSource => ({
    holdings,
    path,
    from: parseLsn(start.backup.record.wal!.start_lsn),
    read,
    ...(progress ? { progress } : {}),
    signal,
  });
  try {
    const found = await locate({ starts, unfit }, question, wal);
    const from = parseLsn(found.start.backup.record.wal!.start_lsn);
    const to = found.stop?.lsn ?? found.start.reach;
    const windows = async () => (await windowsOf(starts, wal)).map(windowData);
    return { timeline, path, ...found, walBytes: to > from ? to - from : 0n, windows };
  } catch (error) {
    if (!(error instanceof PgdbaError) || error.code !== "step_refused") throw error;
    const windows = await windowsOf(starts, wal);
    throw new PgdbaError("step_refused", `${error.message}. ${windowText(timeline, windows)}`, {
      hint: error.hint,
      data: { timeline, windows: windows.map(windowData), unfit: unfit.map((one) => ({ ...one })) },
      nothingDone: true,
    });
  }
}

function pathFor(holdings: Holdings, { timeline, now }: Pick<Question, "timeline" | "now">) {
  const seen = holdings.runs.map((run) => run.timeline);
  const chosen = timelineFor(holdings.histories, seen, { now, asked: timeline });
  return { timeline: chosen, path: pathTo(holdings.histories, chosen) };
}

/** A moment between the newest backup and the end of WAL; which one, `seed` decides. Where there is none it is the backup itself. */
export async function momentIn(
  holdings: Holdings,
  question: Pick<Question, "timeline" | "now">,
  { read, signal }: Pick<WalSource, "read"> & Signalled,
  seed: string,
): Promise<Wanted> {
  const { path } = pathFor(holdings, question);
  const start = startsOn(holdings, path).starts.at(-1);
  if (!start) return { kind: "latest" };
  const from = parseLsn(start.backup.record.wal!.start_lsn);
  const newest = await newestMark({ holdings, path, from, read, signal });
  const first = micros(new Date(start.backup.record.finished_at));
  // The newest record itself is no moment that another one comes after.
  const span = newest === null ? 0n : newest.time - first - 1n;
  if (span <= 0n) return { kind: "immediate" };
  const share = BigInt(Bun.hash(seed)) % 1_000_000n;
  return { kind: "time", at: first + (span * share) / 1_000_000n };
}

type Found = Pick<Restorable, "start" | "stop" | "commit" | "proof">;

async function locate(
  all: { starts: readonly Start[]; unfit: readonly Unfit[] },
  { wanted, backup, clock }: Question,
  wal: (start: Start) => WalSource,
): Promise<Found> {
  const what = wantedText(wanted);
  if (wanted.kind === "time") return await locateInTime(all, { at: wanted.at, backup, clock }, wal);
  if (wanted.kind === "immediate" || wanted.kind === "latest") {
    const start = asked(all, backup, what);
    if (wanted.kind === "latest") {
      const newest = await newestMark(wal(start));
      return {
        start,
        stop: null,
        commit: newest?.kind === "commit" ? newest : null,
        proof: `WAL after ${start.backup.record.id} is there without a hole up to ${lsnText(start.reach)}${newest ? `, of ${iso(newest.time)}` : ""}`,
      };
    }
    return {
      start,
      stop: { lsn: start.end, inclusive: true },
      commit: null,
      proof: `${start.backup.record.id} is consistent at ${lsnText(start.end)}, and all WAL up to there is there`,
    };
  }
  if (wanted.kind === "lsn") {
    const { lsn } = wanted;
    const start = chooseStart(all, { stop: lsn, until: lsn + 1n, asked: backup ?? null, what });
    return {
      start,
      stop: { lsn, inclusive: true },
      commit: null,
      proof: `WAL after ${start.backup.record.id} is there without a hole up to ${lsnText(start.reach)}`,
    };
  }
  const is = (mark: WalMark) =>
    wanted.kind === "name"
      ? mark.kind === "restore_point" && mark.name === wanted.name
      : mark.kind === "commit" && mark.xid === wanted.xid;
  for (const first of windowStarts(all.starts)) {
    const { mark } = await locateMark(wal(first), is);
    if (!mark) continue;
    const start = chooseStart(all, {
      stop: mark.lsn,
      until: mark.end,
      asked: backup ?? null,
      what,
    });
    return {
      start,
      stop: { lsn: mark.lsn, inclusive: true },
      commit: mark.kind === "commit" ? mark : null,
      proof: `${what} is at ${lsnText(mark.lsn)}, of ${iso(mark.time)}`,
    };
  }
  throw new PgdbaError("step_refused", `${upper(what)} is in no WAL that can be restored`, {
    hint: "A name is that of pg_create_restore_point, an xid that of a transaction that was committed.",
  });
}

/** A start that is newer than the moment by more than this can't hold it, however wrong the clocks are. */
const CLOCKS_MS = 3_600_000;

async function locateInTime(
  all: { starts: readonly Start[]; unfit: readonly Unfit[] },
  { at, backup, clock }: { at: Micros; backup: string | null | undefined; clock: Date },
  wal: (start: Start) => WalSource,
): Promise<Found> {
  const what = iso(at);
  if (at > micros(clock)) {
    throw new PgdbaError(
      "invalid_param",
      `${what} is still to come: it is ${clock.toISOString()}`,
      {
        hint: "Name a moment that has passed; mind the timezone.",
      },
    );
  }
  if (backup) asked(all, backup, what);
  const latest = at + BigInt(CLOCKS_MS) * 1000n;
  const candidates = all.starts.filter(
    ({ backup: { record } }) =>
      (!backup || record.id === backup) && micros(new Date(record.started_at)) <= latest,
  );
  for (const start of candidates.toReversed()) {
    const { last, next, commit } = await locateTime(wal(start), at);
    if (next !== null && next.lsn >= start.end && isAfter(start, at, last)) {
      return {
        start,
        stop: stopBetween(start, last, next),
        commit,
        proof: `WAL tells of ${iso(next.time)} at ${lsnText(next.lsn)} (${next.kind.replaceAll("_", " ")}), ${
          commit
            ? `and the last commit before it is of ${iso(commit.time)}`
            : "and of no commit between the backup and it"
        }`,
      };
    }
    // Its WAL ends before that moment. An older backup could only reach it where this one has a hole, and that is the same hole.
    if (next === null) {
      throw new PgdbaError(
        "step_refused",
        start.gap
          ? `WAL for ${what} is missing: ${start.gap.first_file} to ${start.gap.last_file}`
          : `WAL up to ${what} is not archived yet${last ? `: the newest record is of ${iso(last.time)}` : ""}`,
        {
          hint: start.gap
            ? "The segments may still be in pg_wal of a node: `backup/setup` fills gaps from there."
            : "Write a restore point and switch WAL on the primary (select pg_create_restore_point('now'); select pg_switch_wal()), and ask again.",
        },
      );
    }
  }
  throw new PgdbaError("step_refused", `${what} is before the first backup that can be restored`, {
    hint: "A backup can only be brought forward by WAL, never back.",
  });
}

/**
 * After the last record that counts, rather than before the first that does not: a transaction that was committed later may hold its locks
 * by then, such as that of a table which it drops, and nobody could look at the table.
 */
function stopBetween({ end }: Start, last: WalMark | null, next: WalMark): Stop {
  return last !== null && last.lsn >= end
    ? { lsn: last.lsn, inclusive: true }
    : { lsn: next.lsn, inclusive: false };
}

/** Whether all that the backup holds was written by then: WAL before the stop tells it, or else the record of the backup. */
function isAfter({ backup }: Start, at: Micros, last: WalMark | null): boolean {
  const finished = micros(new Date(backup.record.finished_at));
  return (last !== null && latestOf(last) <= at) || finished <= at;
}

/** The backup that was asked for, else the newest one. */
function asked(
  all: { starts: readonly Start[]; unfit: readonly Unfit[] },
  backup: string | null | undefined,
  what: string,
): Start {
  const newest = backup ? null : all.starts.at(-1);
  if (newest) return newest;
  const found = all.starts.find(({ backup: { record } }) => record.id === backup);
  return found ?? chooseStart(all, { stop: -1n, until: 0n, asked: backup ?? null, what });
}

/** The first start of each window. */
function windowStarts(starts: readonly Start[]): Start[] {
  const firsts: Start[] = [];
  for (const start of starts) {
    const last = firsts.at(-1);
    if (!last || start.end > last.reach) firsts.push(start);
  }
  return firsts;
}

async function windowsOf(
  starts: readonly Start[],
  wal: (start: Start) => WalSource,
): Promise<Window[]> {
  const windows: Window[] = [];
  for (const start of windowStarts(starts)) {
    const { record } = start.backup;
    const newest = await newestMark(wal(start));
    // A backup is finished when its WAL is there, which is after the last record of that.
    const isLater = newest !== null && newest.time > micros(new Date(record.finished_at));
    const at = isLater ? iso(newest.time) : newest && record.finished_at;
    windows.push({
      from: { backup: record.id, lsn: start.end, at: record.finished_at },
      to: { lsn: start.reach, at },
    });
  }
  return windows;
}

function windowText(timeline: number, windows: readonly Window[]): string {
  if (windows.length === 0) return `Nothing can be restored on timeline ${timeline}`;
  const parts = windows.map(({ from, to }) =>
    to.at === from.at
      ? `to the end of ${from.backup}, of ${from.at}`
      : `from ${from.at} to ${to.at ?? lsnText(to.lsn)} (${from.backup} and WAL up to ${lsnText(to.lsn)})`,
  );
  return `Timeline ${timeline} can be restored ${parts.join(", and ")}`;
}

type WindowData = ReturnType<typeof windowData>;

const windowData = ({ from, to }: Window) => ({
  from: { ...from, lsn: lsnText(from.lsn) },
  to: { ...to, lsn: lsnText(to.lsn) },
});

function wantedText(wanted: Wanted): string {
  if (wanted.kind === "time") return iso(wanted.at);
  if (wanted.kind === "lsn") return `LSN ${lsnText(wanted.lsn)}`;
  if (wanted.kind === "name") return `restore point ${wanted.name}`;
  if (wanted.kind === "xid") return `transaction ${wanted.xid}`;
  return wanted.kind === "immediate" ? "the end of the backup" : "the end of WAL";
}

const upper = (text: string) => text.slice(0, 1).toUpperCase() + text.slice(1);
