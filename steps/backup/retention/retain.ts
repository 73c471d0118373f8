/**
 * Which backups and which WAL may go: a pure function of what a repository holds, a policy and a moment. It never breaks a chain, never
 * takes WAL that a kept backup needs, and gives an order in which the removal can be cut anywhere: what is left is garbage at worst, and
 * never a record of something that is broken.
 */
import { PgdbaError } from "../../../engine/errors.ts";
import { CLOCK_MS } from "../clock.ts";
import { choose, type Reasons } from "./choose.ts";
import { type Holdings, type Kept, type Line, lineTo, type Segment } from "./history.ts";
import { flawsOf } from "./flaws.ts";
import { hasRule, type Policy } from "./policy.ts";
import { unneeded } from "./wal.ts";

const SHARE = 0.5;

export interface Circumstances {
  /** Our clock, ms since 1970, and others that were read at the same time: the server's, the repository's. */
  now: number;
  clocks?: readonly { whose: string; at: number }[];
  /** Somebody has said that more than half may go. */
  moreThanHalf?: boolean;
}

export interface Retained {
  /** In the order of their starts. `why` has a sentence for each, also for one that goes. */
  backups: { id: string; stays: boolean; why: string[] }[];
  /** Children before parents. */
  remove: string[];
  /** After the backups. */
  wal: Segment[];
  /** The reasons why nothing of a series is removed, or nothing at all. */
  refused: Refusal[];
}

export interface Refusal {
  reason: "no_policy" | "clock" | "unverified" | "history" | "more_than_half";
  why: string;
  hint: string;
}

export function retain(holdings: Holdings, policy: Policy, at: Circumstances): Retained {
  const lines = linesOf(holdings);
  const flaws = flawsOf(holdings, lines);
  const backups = holdings.backups
    .map((backup) => ({ ...backup, verified: !flaws.has(backup.id) }))
    .toSorted(byStart);
  const refused: Refusal[] = [];
  const clock = clockRefusal(backups, at);
  if (clock !== null) refused.push(clock);
  if (!hasRule(policy)) refused.push(NO_POLICY);
  if (refused.length > 0) return nothing(backups, refused);

  const reasons: Reasons = new Map();
  let physicalHeld = false;
  for (const [name, series] of seriesOf(backups)) {
    const lives = name === PHYSICAL ? livesOf(holdings) : NO_LIVES;
    const refusal = seriesRefusal(series, flaws, lives, lines);
    const chosen =
      refusal === null ? choose(series, policy, at.now, lives, lines) : held(series, refusal.why);
    for (const [id, list] of chosen) reasons.set(id, list);
    if (refusal === null) continue;
    refused.push(refusal);
    physicalHeld ||= name === PHYSICAL;
  }
  const gone = backups.filter(({ id }) => !reasons.has(id));
  if (gone.length > backups.length * SHARE && at.moreThanHalf !== true) {
    const why = `${gone.length} of ${backups.length} backups would go`;
    return nothing(backups, [...refused, { reason: "more_than_half", why, hint: HALF }], reasons);
  }
  const kept = backups.filter(({ id }) => reasons.has(id));
  const isOnward = ({ id }: Kept) => reasons.get(id)!.some(({ onward }) => onward);
  return {
    backups: backups.map(({ id }) => told(id, reasons)),
    remove: childrenFirst(gone),
    wal: physicalHeld ? [] : unneeded(holdings.segments, kept, isOnward, lines),
    refused,
  };
}

const PHYSICAL = "physical";
const NO_POLICY: Refusal = {
  reason: "no_policy",
  why: "No rule says what to keep",
  hint: "Give one: --keep-full 3, --keep-days 14, --keep-weekly 8.",
};
const HALF =
  "Look at the reasons (`--plan`); when this is what you want, say so with --more-than-half.";
const NOT_NEEDED = "no rule keeps it";

function byStart(a: Kept, b: Kept): number {
  return a.started - b.started || (a.id < b.id ? -1 : 1);
}

/** Physical backups are one series. Of logical ones, those of the same databases are one, and say nothing about others. */
function seriesOf(backups: readonly Kept[]): Map<string, Kept[]> {
  return Map.groupBy(backups, ({ type, databases }) =>
    type === "logical" ? JSON.stringify(databases.toSorted()) : PHYSICAL,
  );
}

/** The oldest timeline that anything is known of is one that the server was made with, and has no history. */
function linesOf(holdings: Holdings): Map<number, Line> {
  const lines = new Map(holdings.lines.map((line) => [line.timeline, line]));
  const oldest = Math.min(...livesOf(holdings).keys());
  if (!lines.has(oldest)) lines.set(oldest, { timeline: oldest, from: [] });
  return lines;
}

const NO_LIVES: ReadonlyMap<number, number> = new Map();

/** All timelines, each with the last time that WAL of it came in. */
function livesOf({ segments, lines, backups }: Holdings): Map<number, number> {
  const lives = new Map<number, number>();
  const seen = (timeline: number, at: number) => {
    if (at > (lives.get(timeline) ?? -Infinity)) lives.set(timeline, at);
  };
  for (const { timeline } of lines) seen(timeline, 0);
  for (const { wal, finished } of backups) if (wal !== null) seen(wal.endTimeline, finished);
  for (const { timeline, at } of segments) seen(timeline, at);
  return lives;
}

function seriesRefusal(
  series: readonly Kept[],
  flaws: ReadonlyMap<string, string>,
  lives: ReadonlyMap<number, number>,
  lines: ReadonlyMap<number, Line>,
): Refusal | null {
  const newest = series.at(-1)!;
  const flaw = flaws.get(newest.id);
  if (flaw !== undefined)
    return {
      reason: "unverified",
      why: `${newest.id}, the newest of its kind, ${flaw}`,
      hint: `\`pgdba backup verify ${newest.id}\`, or take another one; then again.`,
    };
  const timeline = Math.max(0, ...lives.keys());
  if (timeline === 0 || lineTo(timeline, lines) !== undefined) return null;
  return {
    reason: "history",
    why: `Nobody knows where timeline ${timeline}, the newest, began: its history file is missing`,
    hint: "Archive it from the `pg_wal` of any node that has it; then again.",
  };
}

function held(series: readonly Kept[], why: string): Reasons {
  return new Map(series.map(({ id }) => [id, [{ why, onward: true }]]));
}

function clockRefusal(
  backups: readonly Kept[],
  { now, clocks = [] }: Circumstances,
): Refusal | null {
  const refusal = (why: string): Refusal => ({
    reason: "clock",
    why,
    hint: "Set the clocks right (NTP), then again: by a wrong clock the wrong backups would go.",
  });
  if (!Number.isFinite(now)) throw new PgdbaError("internal", "retention was asked without a time");
  const off = clocks.find(({ at }) => !(Math.abs(at - now) <= CLOCK_MS));
  if (off !== undefined)
    return refusal(
      `The clock of ${off.whose} says ${said(off.at)}, and this machine's ${said(now)}`,
    );
  const future = backups.find(
    ({ started, finished }) => !(Math.max(started, finished) <= now + CLOCK_MS),
  );
  return future === undefined
    ? null
    : refusal(`${future.id} was finished at ${said(future.finished)}, and here it is ${said(now)}`);
}

const said = (at: number) => (Number.isFinite(at) ? new Date(at).toISOString() : "no time at all");

function nothing(
  backups: readonly Kept[],
  refused: Refusal[],
  reasons: Reasons = new Map(),
): Retained {
  return {
    backups: backups.map(({ id }) => ({ ...told(id, reasons), stays: true })),
    remove: [],
    wal: [],
    refused,
  };
}

function told(id: string, reasons: Reasons): Retained["backups"][number] {
  const list = reasons.get(id);
  return { id, stays: list !== undefined, why: list?.map(({ why }) => why) ?? [NOT_NEEDED] };
}

/** So that whatever is left when the removal is cut has its parent. A child may have started before its parent by a clock that jumped. */
function childrenFirst(gone: readonly Kept[]): string[] {
  const children = Map.groupBy(gone, ({ parent }) => parent);
  const order: string[] = [];
  const done = new Set<string>();
  const visit = (backup: Kept): void => {
    if (done.has(backup.id)) return;
    done.add(backup.id);
    for (const child of children.get(backup.id) ?? []) visit(child);
    order.push(backup.id);
  };
  for (const backup of gone) visit(backup);
  return order;
}
