/**
 * Timelines: each promotion and each recovery that ends begins one. Its history file tells all timelines before it, and where each ended. Which
 * one a recovery follows is computed here and given to PostgreSQL as a number: its own `latest` takes the newest branch, also that of an
 * earlier recovery into the past.
 */
import { PgdbaError } from "../../engine/errors.ts";
import { parseLsn } from "../../engine/shared/units.ts";
import { historyFile } from "./segments.ts";

/** A part of a timeline: from `from` on, up to `until`; null is without an end. */
export interface Stretch {
  timeline: number;
  from: bigint;
  until: bigint | null;
}

/** A line of a history file. */
export interface Ancestor {
  timeline: number;
  /** Where it ended and the next one began. */
  until: bigint;
  reason: string;
}

/**
 * Oldest first. A recovery that follows timeline 2 and stops before 2 left 1 has read nothing of 2, and PostgreSQL names 2 as its last timeline all the
 * same, with a position before that of the line above. Such a timeline left 1 in truth, and the line above tells of another branch.
 * @throws PgdbaError step_refused for a text that is no history of this timeline
 */
export function parseHistory(timeline: number, text: string): Ancestor[] {
  const ancestors: Ancestor[] = [];
  let newest = 0;
  for (const line of text.split("\n")) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const [, number, lsn, reason] = /^\s*(\d+)\s+([0-9A-F]+\/[0-9A-F]+)\s*(.*)$/i.exec(line) ?? [];
    if (number === undefined || lsn === undefined) throw broken(timeline, `the line ${line}`);
    const next = { timeline: Number(number), until: parseLsn(lsn), reason: reason ?? "" };
    if (next.timeline <= newest) throw broken(timeline, `its lines are not in order`);
    newest = next.timeline;
    while (ancestors.length > 0 && ancestors.at(-1)!.until > next.until)
      next.timeline = ancestors.pop()!.timeline;
    ancestors.push(next);
  }
  if (newest === 0 || newest >= timeline) throw broken(timeline, "it names no timeline before it");
  return ancestors;
}

/** The histories of all timelines by their number. Timeline 1 has none, and so has one that a server was made with. */
export type Histories = ReadonlyMap<number, readonly Ancestor[]>;

/** The way that leads to the end of `timeline`, oldest first. */
export function pathTo(histories: Histories, timeline: number): Stretch[] {
  const path: Stretch[] = [];
  let from = 0n;
  for (const ancestor of histories.get(timeline) ?? []) {
    path.push({ timeline: ancestor.timeline, from, until: ancestor.until });
    from = ancestor.until;
  }
  return [...path, { timeline, from, until: null }];
}

/** The stretch of a path with the position; null when it lies beyond the path, or on another branch (`timeline`). */
export function stretchAt(
  path: readonly Stretch[],
  lsn: bigint,
  timeline?: number,
): Stretch | null {
  const found = path.filter(
    ({ from, until, timeline: on }) =>
      from <= lsn &&
      (until === null || lsn <= until) &&
      (timeline === undefined || on === timeline),
  );
  return found.at(-1) ?? null;
}

/** True when what happened at `lsn` of `timeline` is a part of the path's past. */
export function isOnPath(path: readonly Stretch[], timeline: number, lsn: bigint): boolean {
  return stretchAt(path, lsn, timeline) !== null;
}

export interface Branch {
  timeline: number;
  /** The timeline that it left, and where; null for the first one. */
  parent: number | null;
  at: bigint | null;
  reason: string | null;
  branches: Branch[];
}

/** All timelines as a tree (mostly with one root), from their histories and the numbers of those of which there is WAL. */
export function treeOf(histories: Histories, seen: Iterable<number> = []): Branch[] {
  const numbers = new Set<number>([...seen, ...histories.keys()]);
  for (const ancestors of histories.values())
    for (const { timeline } of ancestors) numbers.add(timeline);
  const nodes = new Map<number, Branch>();
  for (const timeline of [...numbers].toSorted((a, b) => a - b)) {
    const from = histories.get(timeline)?.at(-1);
    nodes.set(timeline, {
      timeline,
      parent: from?.timeline ?? null,
      at: from?.until ?? null,
      reason: from?.reason ?? null,
      branches: [],
    });
  }
  const roots: Branch[] = [];
  for (const node of nodes.values())
    (node.parent === null ? roots : nodes.get(node.parent)!.branches).push(node);
  return roots;
}

/**
 * The timeline that a recovery follows where nobody names one: the one that the cluster is on (`now`, where it could be asked), else the
 * newest one. A timeline that the cluster left behind, or one that is newer than its own, takes naming it.
 */
export function timelineFor(
  histories: Histories,
  seen: Iterable<number>,
  { now, asked }: { now?: number | null | undefined; asked?: number | null | undefined },
): number {
  const known = new Set<number>([...seen, ...histories.keys()]);
  for (const ancestors of histories.values())
    for (const { timeline } of ancestors) known.add(timeline);
  const all = [...known].toSorted((a, b) => a - b);
  const chosen = asked ?? now ?? all.at(-1) ?? 1;
  if (asked != null && !known.has(asked)) {
    throw new PgdbaError("invalid_param", `The repository knows no timeline ${asked}`, {
      hint: all.length > 0 ? `It knows ${all.join(", ")}.` : "It holds no WAL of this cluster.",
    });
  }
  // Timeline 1 has no history, and a server that was made anew by pg_upgrade or initdb begins with it.
  if (chosen > 1 && !histories.has(chosen) && hasOlder(all, chosen)) {
    throw new PgdbaError(
      "step_refused",
      `The history of timeline ${chosen} (${historyFile(chosen)}) is not in the repository`,
      {
        hint: "Without it nobody knows where this timeline began. The file is in pg_wal of every node that was on it: `backup/fill` brings it from there.",
      },
    );
  }
  return chosen;
}

const hasOlder = (all: readonly number[], timeline: number) => all.some((one) => one < timeline);

function broken(timeline: number, why: string): PgdbaError {
  return new PgdbaError("step_refused", `${historyFile(timeline)} is no history: ${why}`, {
    hint: "Compare it with the file of that name in pg_wal of a node.",
  });
}
