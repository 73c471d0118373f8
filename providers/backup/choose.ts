/** Which backup a restore starts from, by what the repository holds. Pure: nothing is read here. */
import { PgdbaError } from "../../engine/errors.ts";
import { parseLsn } from "../../engine/shared/units.ts";
import { type Gap, gapsOf, reachOf } from "./continuity.ts";
import type { HeldBackup, Holdings } from "./holdings.ts";
import type { Segment } from "./segments.ts";
import { type Stretch, isOnPath } from "./timelines.ts";

/** A backup from which a path can be restored, and how far. */
export interface Start {
  backup: HeldBackup;
  /** The backup and those that it is the difference to, the full one first. */
  chain: HeldBackup[];
  /** From here on it is consistent. */
  end: bigint;
  /** The end of the WAL that follows it without a hole, and its last segment; null where not even the first one is there. */
  reach: bigint;
  last: Segment | null;
  /** What is missing before WAL goes on, where something follows the hole. */
  gap: Gap | null;
}

/** A backup that can't be used, and the reason in a few words. */
export interface Unfit {
  id: string;
  why: string;
}

/** Each physical backup that lies on the path: those that a restore can start from (oldest first), and why the others can't. */
export function startsOn(
  holdings: Holdings,
  path: readonly Stretch[],
): { starts: Start[]; unfit: Unfit[] } {
  const byId = new Map(holdings.backups.map((one) => [one.record.id, one]));
  const starts: Start[] = [];
  const unfit: Unfit[] = [];
  // Where there is no hole, WAL comes equally far from everywhere.
  let within: { from: bigint; reach: NonNullable<ReturnType<typeof reachOf>> } | null = null;
  // What comes after a segment is the same for all backups from which WAL comes to it.
  const gapAfter = new Map<string, Gap | null>();
  for (const backup of holdings.backups) {
    const { id, wal } = backup.record;
    if (wal === null) continue;
    const reject = (why: string) => void unfit.push({ id, why });
    const end = parseLsn(wal.end_lsn);
    const start = parseLsn(wal.start_lsn);
    const { segmentBytes, runs } = holdings;
    if (!isOnPath(path, wal.end_timeline, end)) {
      reject(`it was taken on timeline ${wal.end_timeline}, beyond where this path left it`);
      continue;
    }
    const chain = chainOf(backup, byId);
    const broken = chain instanceof Array ? chain.find((one) => one.damaged) : null;
    if (!(chain instanceof Array)) reject(`${chain.missing}, which it builds on, is not there`);
    else if (broken)
      reject(
        broken === backup ? "it is damaged" : `${broken.record.id}, which it builds on, is damaged`,
      );
    else {
      if (within === null || start < within.from || start >= within.reach.lsn) {
        const found = reachOf(runs, path, { from: start, segmentBytes });
        within = found && { from: start, reach: found };
      }
      const reach = within?.reach ?? null;
      const isWhole = reach !== null && reach.lsn >= end;
      const [hole] = isWhole ? [] : gapsOf(runs, path, { from: start, until: end, segmentBytes });
      if (hole) {
        reject(`WAL that it needs is missing: ${spanOf(hole)}`);
        continue;
      }
      const last = reach?.last ?? null;
      const at = last === null ? `from ${start}` : `${last.timeline} ${last.number}`;
      let gap = gapAfter.get(at);
      if (gap === undefined) {
        gap = gapsOf(runs, path, { from: start, segmentBytes })[0] ?? null;
        gapAfter.set(at, gap);
      }
      starts.push({ backup, chain, end, reach: reach?.lsn ?? end, last, gap });
    }
  }
  return { starts, unfit };
}

/** Full first. */
function chainOf(
  backup: HeldBackup,
  byId: ReadonlyMap<string, HeldBackup>,
): HeldBackup[] | { missing: string } {
  const chain = [backup];
  while (chain[0]!.record.type === "incremental") {
    const { parent } = chain[0]!.record;
    const next = parent === null ? undefined : byId.get(parent);
    if (!next || chain.includes(next)) return { missing: parent ?? "a backup" };
    chain.unshift(next);
  }
  return chain;
}

const spanOf = ({ first_file, last_file, first, last }: Gap) =>
  first === last ? first_file : `${first_file} to ${last_file} (${last - first + 1n} segments)`;

/**
 * The newest backup that is consistent at `stop` and whose WAL reaches `until` without a hole. `asked` is the only one that will do, where it is
 * given; of two that would do, one that is not known to be verified is never preferred for being newer by less than the other's WAL is long.
 * @throws PgdbaError step_refused with the reason for each
 */
export function chooseStart(
  { starts, unfit }: { starts: readonly Start[]; unfit: readonly Unfit[] },
  {
    stop,
    until,
    asked,
    what,
  }: { stop: bigint; until: bigint; asked?: string | null; what: string },
): Start {
  const fits = (one: Start) => one.end <= stop && one.reach >= until;
  const chosen = asked
    ? starts.find(({ backup }) => backup.record.id === asked)
    : starts.findLast(fits);
  if (chosen && fits(chosen)) return chosen;
  if (asked) {
    const known = unfit.find(({ id }) => id === asked);
    const why = chosen
      ? reasonAgainst(chosen, { stop })
      : (known?.why ?? "there is no physical backup with this id");
    throw new PgdbaError("step_refused", `${asked} can't be restored to ${what}: ${why}`, {
      hint: "`pgdba backup list` shows all backups; without --backup-id the one that fits is chosen.",
    });
  }
  const reasons = [
    ...starts.map((one) => `${one.backup.record.id}: ${reasonAgainst(one, { stop })}`),
    ...unfit.map(({ id, why }) => `${id}: ${why}`),
  ];
  throw new PgdbaError(
    "step_refused",
    reasons.length === 0
      ? `There is no backup to restore ${what} from`
      : `No backup can be restored to ${what}: ${reasons.slice(-5).join("; ")}`,
    {
      hint: "`pgdba backup list` shows what can be restored, and to which time.",
      data: { unfit: reasons },
    },
  );
}

function reasonAgainst(one: Start, { stop }: { stop: bigint }): string {
  if (one.end > stop) return "it was finished after that";
  return one.gap ? `WAL after it is missing: ${spanOf(one.gap)}` : "its WAL does not reach so far";
}
