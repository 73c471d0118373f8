/** Random lives of a cluster, as they might stand in a repository, with what really happened beside it. */
import type { Holdings, Kept, Line, Segment } from "../../../../steps/backup/retention/history.ts";
import type { Policy } from "../../../../steps/backup/retention/policy.ts";

const SEGMENT = 16n * 1024n * 1024n;
const HOUR = 3_600_000;
const ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia"];

/** A timeline with the one that it came from, where it did, and the segment in which that is. */
export interface Branch {
  id: number;
  parent: Branch | null;
  lsn: bigint;
  at: number;
}

export interface Life {
  holdings: Holdings;
  policy: Policy;
  now: number;
  branches: Map<number, Branch>;
}

/** Mulberry32: the same lives for the same seed, everywhere. */
function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((((t ^ (t >>> 14)) >>> 0) * below) / 2 ** 32) | 0;
  };
}

export function nameOf(number: number): string {
  return (
    (number >> 8).toString(16).toUpperCase().padStart(8, "0") +
    (number & 255).toString(16).toUpperCase().padStart(8, "0")
  );
}

export function lifeOf(seed: number): Life {
  const random = randomOf(seed);
  const chance = (percent: number) => random(100) < percent;
  const backups: Kept[] = [];
  const segments: Segment[] = [];
  const root: Branch = { id: 1, parent: null, lsn: 0n, at: 0 };
  const branches = new Map([[1, root]]);
  let time = Date.UTC(2026, random(12), 1 + random(28)) + random(24) * HOUR;
  let on = root;
  let wal = 1 + random(300);
  let count = 0;
  const write = () => {
    time += 1 + random(20 * HOUR);
    const segment = nameOf(wal);
    const part = chance(3) ? ".partial" : "";
    segments.push({ timeline: on.id, segment, at: time, name: `${on.id}/${segment}${part}` });
    wal++;
  };
  const branch = (parent: Branch, at: number) => {
    const lsn = BigInt(at) * SEGMENT + BigInt(random(5_000));
    on = { id: Math.max(...branches.keys()) + 1, parent, lsn, at };
    branches.set(on.id, on);
    wal = at;
  };
  const take = (type: Kept["type"]) => {
    const bases = backups.filter((one) => one.type !== "logical" && one.wal!.endTimeline === on.id);
    const parent = type === "incremental" ? bases[random(bases.length)] : undefined;
    if (type === "incremental" && parent === undefined) return;
    const started = time;
    const begun = { timeline: on.id, start: nameOf(wal) };
    if (type !== "logical") {
      if (chance(30)) write();
      // From a standby that follows a new primary while it is copied.
      if (chance(3)) branch(on, wal);
      write();
    }
    const end = {
      endTimeline: on.id,
      endLsn: BigInt(wal - 1) * SEGMENT + BigInt(1 + random(1000)),
      end: nameOf(wal - 1),
      segmentBytes: Number(SEGMENT),
    };
    backups.push({
      id: `${type[0]}${++count}`,
      type,
      parent: parent?.id ?? null,
      started,
      finished: (time += random(HOUR)),
      wal: type === "logical" ? null : { ...begun, ...end },
      verified: chance(85),
      pinned: chance(5),
      databases: type === "logical" ? [["a"], ["b"], ["a", "b"]][random(3)]! : [],
    });
  };
  for (let events = 3 + random(30); events > 0; events--) {
    const what = random(100);
    if (what < 45) write();
    else if (what < 62) take("full");
    else if (what < 78) take("incremental");
    else if (what < 84) take("logical");
    else if (what < 90) branch(on, wal);
    else if (what < 94 && backups.length > 0) {
      // A restore to a moment after some backup: the line goes another way from there.
      const from = backups[random(backups.length)]!;
      if (from.wal === null) continue;
      const end = numberOf(from.wal.end);
      const base = branches.get(from.wal.endTimeline)!;
      const last = segments.findLast((one) => one.timeline === base.id);
      const left = last === undefined ? 0 : numberOf(last.segment) - end;
      branch(base, end + random(Math.max(1, left)));
    } else if (what < 97 && segments.length > 0) segments.splice(random(segments.length), 1);
    else time += random(20) * 24 * HOUR;
  }
  const some = (most: number) => (chance(40) ? 1 + random(most) : undefined);
  const gfs = { daily: some(5), weekly: some(4), monthly: some(3), yearly: some(2) };
  return {
    branches,
    now: time + random(5 * 24 * HOUR),
    holdings: {
      backups: shuffled(backups, random),
      lines: [...branches.values()].slice(1).map(lineOf),
      segments,
    },
    policy: {
      keepFull: some(4),
      keepDays: some(20),
      gfs: chance(50) ? gfs : {},
      zone: ZONES[random(ZONES.length)]!,
    } as Policy,
  };
}

export function numberOf(segment: string): number {
  return parseInt(segment.slice(0, 8), 16) * 256 + parseInt(segment.slice(8), 16);
}

function lineOf(branch: Branch): Line {
  const from: { timeline: number; until: bigint }[] = [];
  for (let child = branch; child.parent !== null; child = child.parent)
    from.unshift({ timeline: child.parent.id, until: child.lsn });
  return { timeline: branch.id, from };
}

function shuffled<T>(list: T[], random: (below: number) => number): T[] {
  for (let at = list.length - 1; at > 0; at--) {
    const other = random(at + 1);
    [list[at], list[other]] = [list[other]!, list[at]!];
  }
  return list;
}
